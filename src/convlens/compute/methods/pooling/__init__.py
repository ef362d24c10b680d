"""Pool by rows, and by small windows read in place."""
