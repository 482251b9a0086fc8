"""Studies of one or several runs: samples of their observables, field scans and the demo."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
