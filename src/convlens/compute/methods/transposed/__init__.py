"""Convolve transposed, one phase of the stride at a time."""
