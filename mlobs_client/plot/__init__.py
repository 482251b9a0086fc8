"""Figures, styled once, with the numbers beside them.

Each function takes results of :mod:`mlobs_client.analysis` and returns a :class:`Plot`: a figure
together with what it shows. :func:`save` writes both: PNG and PDF, CSV and JSON of one stem.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
