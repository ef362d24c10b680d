"""Convolve small kernels by Winograd's minimal filtering."""
