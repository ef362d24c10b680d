"""Convolve tiles by Fourier transforms in registers, and bound the errors of the results."""
