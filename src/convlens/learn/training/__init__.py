"""Data in, weights out."""
