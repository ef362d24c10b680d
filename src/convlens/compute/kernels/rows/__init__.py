"""Copy, pad, interleave and combine rows of numbers."""
