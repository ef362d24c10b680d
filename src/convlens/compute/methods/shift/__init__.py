"""Convolution as shifted matrix products."""
