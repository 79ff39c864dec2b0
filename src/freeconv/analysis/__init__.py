"""From recorded epochs to statistics, comparisons and verdicts; never trains anything."""
