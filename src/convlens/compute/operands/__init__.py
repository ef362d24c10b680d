"""Check and convert the arrays of a call, those given and those returned."""
