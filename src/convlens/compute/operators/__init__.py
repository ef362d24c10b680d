"""The operations as operators of torch, with their derivatives."""
