"""Figures, styled once, with the numbers beside them.

Each function takes results of :mod:`mlobs_client.analysis` and returns a :class:`Plot`: a figure
together with what it shows. :func:`save` writes both: PNG and PDF, CSV and JSON of one stem.
"""

from mlobs_client.plot.against_field import plot_against_field
from mlobs_client.plot.figure import COLORS, DASHES, STYLE, Plot, save
from mlobs_client.plot.parity import plot_parity
from mlobs_client.plot.polarization import plot_polarization
from mlobs_client.plot.reliability import plot_reliability
from mlobs_client.plot.spectra import plot_spectra
from mlobs_client.plot.winding import plot_winding

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
