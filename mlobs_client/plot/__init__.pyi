from .against_field import plot_against_field
from .draw import draw, write
from .figure import COLORS, DASHES, STYLE, Plot, save, save_figure
from .parity import plot_parity
from .polarization import plot_polarization
from .reliability import plot_reliability
from .winding import plot_winding

__all__ = [
    "COLORS",
    "DASHES",
    "STYLE",
    "Plot",
    "draw",
    "plot_against_field",
    "plot_parity",
    "plot_polarization",
    "plot_reliability",
    "plot_winding",
    "save",
    "save_figure",
    "write",
]
