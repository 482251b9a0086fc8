"""Files of a small run."""

from __future__ import annotations

from small_run import case, texts

__all__ = ["case", "texts"]
