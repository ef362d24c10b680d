"""Rows of numbers: copied, padded, interleaved, combined."""
