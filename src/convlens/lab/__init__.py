"""A page in the browser on one network and one picture, where every number leads to the pixels.

`serve` loads without torch, so that it can report a taken port at once.
"""

from typing import TYPE_CHECKING, Any

from convlens.lab.serving import serve

if TYPE_CHECKING:
    from convlens.lab.answers.answering import Lab
    from convlens.lab.server import application

__all__ = ["Lab", "application", "serve"]


def __getattr__(name: str) -> Any:
    if name == "Lab":
        from convlens.lab.answers.answering import Lab

        return Lab
    if name == "application":
        from convlens.lab.server import application

        return application
    raise AttributeError(f"module 'convlens.lab' has no attribute {name!r}")
