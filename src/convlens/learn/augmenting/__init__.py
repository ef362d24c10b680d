"""Random changes of samples, which move picture, boxes, masks and points together."""
