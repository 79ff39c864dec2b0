"""Figures, each drawn from a data frame."""
