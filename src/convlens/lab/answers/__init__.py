"""The lab's answers: typed dictionaries with NumPy arrays, and the envelope they travel in."""
