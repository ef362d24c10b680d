"""Make the operations operators of torch, with their derivatives."""
