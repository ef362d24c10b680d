"""Convolution of a single channel, row by row."""
