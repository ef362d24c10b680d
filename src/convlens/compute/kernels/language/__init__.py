"""The language of kernels: a little of Python, translated for LLVM and compiled once a machine."""
