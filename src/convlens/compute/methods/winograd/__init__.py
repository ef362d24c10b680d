"""Convolution of small kernels by Winograd's minimal filtering."""
