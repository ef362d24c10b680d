"""Blocks of registers: the innermost loops of the kernels, written out as text."""
