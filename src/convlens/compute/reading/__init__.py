"""Read the user's arguments, check them and make a problem of them."""
