"""Convolution and convolutional networks: compute, see, build, train and run."""
__version__ = "0.1.0"
