from .against_field import plot_against_field
from .figure import COLORS, DASHES, STYLE, Plot, save
from .parity import plot_parity
from .polarization import plot_polarization
from .reliability import plot_reliability
from .spectra import plot_spectra
from .winding import plot_winding

__all__ = [
    "COLORS",
    "DASHES",
    "STYLE",
    "Plot",
    "plot_against_field",
    "plot_parity",
    "plot_polarization",
    "plot_reliability",
    "plot_spectra",
    "plot_winding",
    "save",
]
