"""Results: values, curves and tensors with errors, and the statistics behind them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
