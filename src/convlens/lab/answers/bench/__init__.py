"""The bench: one number with the maps, kernels and functions that it is made with."""
