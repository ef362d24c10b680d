"""Record a network: follow every call of torch, keep every tensor, know which module is running."""
