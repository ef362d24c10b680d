"""A page in the browser on one network and one picture: every number can be followed to pixels.

The server is loaded without torch, so that a port that is taken is said at once.
"""

from typing import TYPE_CHECKING, Any

from convlens.lab.server import application, serve

if TYPE_CHECKING:
    from convlens.lab.answering import Lab

__all__ = ["Lab", "application", "serve"]


def __getattr__(name: str) -> Any:
    if name != "Lab":
        raise AttributeError(f"module 'convlens.lab' has no attribute {name!r}")
    from convlens.lab.answering import Lab

    return Lab
