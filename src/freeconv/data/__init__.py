"""Data sets: where their files come from, what is in them, and their cross-validation folds."""
