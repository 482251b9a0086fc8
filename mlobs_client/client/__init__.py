"""The client: it reads a client file, loads the models and replies to i-PI."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
