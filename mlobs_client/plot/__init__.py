"""Draw figures in one style, and write them with their numbers.

:func:`draw` draws any :class:`~mlobs_client.results.result.Result`, and :func:`write` writes figure
and result. Other functions return a :class:`Plot`, a figure with its numbers, and :func:`save`
writes both: PNG and PDF, CSV and JSON of one stem.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
