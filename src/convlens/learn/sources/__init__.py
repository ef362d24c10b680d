"""Files, cameras and arrays in, pictures and the inputs of networks out."""
