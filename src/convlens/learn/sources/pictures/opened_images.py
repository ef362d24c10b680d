"""Images that the caller opened with Pillow: whether they are open, which frame they stand at."""

from __future__ import annotations

from PIL import Image

__all__ = ["check_open", "place_of"]


def check_open(image: Image.Image, called: str) -> None:
    """Raise ValueError if an image of Pillow's was closed, or its file before it was decoded.

    >>> check_open(Image.new("L", (2, 2)), "`source`")
    """
    if _is_closed(image):
        raise ValueError(
            f"{called} must be open while it is read, and was closed; open it again, or give a "
            "copy() made while it was open"
        )


def place_of(image: Image.Image) -> int:
    """Return the number of the frame that an image of Pillow's stands at.

    >>> place_of(Image.new("L", (2, 2)))
    0
    """
    try:
        return image.tell()
    except AttributeError:  # an unpickled image, or one from copy.deepcopy, has no file any more
        return 0


def _is_closed(image: Image.Image) -> bool:
    try:
        image.im  # noqa: B018
        several = int(getattr(image, "n_frames", 1)) > 1
        file = getattr(image, "_fp", None) if several else None
    except AssertionError:  # it is not decoded yet
        file = getattr(image, "fp", None)
        return file is None or bool(file.closed)
    except ValueError as error:
        return "closed" in str(error)
    try:
        return file is not None and bool(file.closed)
    except ValueError:  # Pillow puts an object in place of a closed file that raises
        return True
