"""Accelerate whole networks of torch."""
