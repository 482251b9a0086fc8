"""Evaluate models: structures in, observables and their gradients out.

Only this room and ``learn`` import torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
