"""Memory that results use again, and how much of it is kept alive."""
