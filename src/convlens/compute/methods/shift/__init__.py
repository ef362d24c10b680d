"""Convolve by matrix products with shifted inputs."""
