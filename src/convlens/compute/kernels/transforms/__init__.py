"""Fourier transforms of tiles in the registers, and how far off their results may be."""
