"""Convolve single channels row by row."""
