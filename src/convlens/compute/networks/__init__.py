"""Whole networks of torch, accelerated."""
