"""Measurements: `./run bench [NAME...] [--json]` prints one table, medians with their targets."""
