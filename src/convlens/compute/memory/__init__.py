"""Reuse memory for results, and count how much is kept alive."""
