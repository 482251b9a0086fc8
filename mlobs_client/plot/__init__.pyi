from .draw import draw, write
from .figure import COLORS, DASHES, STYLE, save_figure

__all__ = ["COLORS", "DASHES", "STYLE", "draw", "save_figure", "write"]
