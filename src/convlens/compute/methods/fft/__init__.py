"""Convolution through Fourier transforms, of our own and of torch."""
