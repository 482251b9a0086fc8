"""Draw figures in one style, and write them with their numbers.

:func:`draw` makes a figure of a :class:`~mlobs_client.results.result.Result`, and :func:`write`
writes both: the figure as PNG and PDF, and the files of the result.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
