"""Convolve through Fourier transforms, by kernels of convlens and by torch."""
