"""Draw what networks say, as pictures and films."""

from convlens.draw.drawing import drawn
from convlens.draw.filming import Film
from convlens.draw.segments import drawn_map
from convlens.draw.sheets import sheet

__all__ = ["Film", "drawn", "drawn_map", "sheet"]
