"""Files of a small run, and untrained networks."""

from __future__ import annotations

from small_run import case, texts
from untrained import network, water

__all__ = ["case", "network", "texts", "water"]
