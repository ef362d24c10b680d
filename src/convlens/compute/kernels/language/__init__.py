"""Translate the language of kernels, a subset of Python, for LLVM; compile it once per machine."""
