"""Build readable networks by name; each family has its own file."""

from convlens.zoo.building import list_models, model
from convlens.zoo.detection import DETECTORS
from convlens.zoo.inputs import Inputs
from convlens.zoo.networks import NETWORKS, Network, weights
from convlens.zoo.small import Digits, Filters, digits, filters
from convlens.zoo.weights.released import Weights

__all__ = [
    "DETECTORS",
    "NETWORKS",
    "Digits",
    "Filters",
    "Inputs",
    "Network",
    "Weights",
    "digits",
    "filters",
    "list_models",
    "model",
    "weights",
]
