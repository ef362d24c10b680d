"""How good a network's answers are, and pages of the right and wrong ones."""
