"""Write the source of register blocks, the innermost loops of kernels."""
