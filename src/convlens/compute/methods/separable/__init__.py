"""Apply filters that are products of one filter along each axis."""
