"""Transposed convolution, one phase of the stride at a time."""
