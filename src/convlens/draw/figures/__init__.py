"""Draw figures of one number: the maps, the window, the kernel and the sum, as SVG or PNG."""

from convlens.draw.figures.laying import number_figure
from convlens.draw.figures.shapes import Figure

__all__ = ["Figure", "number_figure"]
