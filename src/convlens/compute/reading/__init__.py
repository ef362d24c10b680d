"""Arguments as the user wrote them, read and checked into a problem."""
