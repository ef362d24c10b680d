"""A picture in, an answer out: run networks and say what they answer."""
