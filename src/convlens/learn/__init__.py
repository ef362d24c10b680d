"""A picture in, an answer out; data in, weights out."""
