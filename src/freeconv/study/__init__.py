"""Studies: their configuration, the grid of runs it spans, and the settings of each."""
