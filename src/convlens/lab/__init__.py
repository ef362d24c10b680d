"""A page in the browser on one network and one picture: every number can be followed to pixels."""

from convlens.lab.answering import Lab
from convlens.lab.server import application, serve

__all__ = ["Lab", "application", "serve"]
