"""Runs, and whole studies of several: their samples, demos and scans of a field."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
