"""Know, download, read, check, fit and save the weights of networks."""

from convlens.zoo.shipped import DATA, DIGITS
from convlens.zoo.weights.digests import metadata, sha256_of
from convlens.zoo.weights.fitting import fitted
from convlens.zoo.weights.loading import load_weights, mapped_weights, read_weights

__all__ = [
    "DATA",
    "DIGITS",
    "fitted",
    "load_weights",
    "mapped_weights",
    "metadata",
    "read_weights",
    "sha256_of",
]
