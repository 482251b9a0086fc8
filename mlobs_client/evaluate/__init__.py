"""Structures in, values and their gradients out. Torch is imported in this folder only."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
