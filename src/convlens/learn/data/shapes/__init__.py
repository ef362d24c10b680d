"""An endless made-up data set: eight figures on textured ground, drawn from a seed."""
