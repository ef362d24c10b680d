"""Convolve and pool arrays in one, two and three dimensions."""

from convlens.compute.operations import avg_pool, conv, conv_transpose, max_pool
from convlens.compute.planning import Plan, plan

__all__ = ["Plan", "avg_pool", "conv", "conv_transpose", "max_pool", "plan"]
