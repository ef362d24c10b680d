"""Files of pictures, decoded as they are meant to be seen."""
