from .draw import draw, write
from .figure import COLORS, DASHES, STYLE, Plot, save, save_figure
from .parity import plot_parity
from .reliability import plot_reliability

__all__ = [
    "COLORS",
    "DASHES",
    "STYLE",
    "Plot",
    "draw",
    "plot_parity",
    "plot_reliability",
    "save",
    "save_figure",
    "write",
]
