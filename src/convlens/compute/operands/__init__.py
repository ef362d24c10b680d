"""The arrays of a call, as they are given and as they are returned."""
