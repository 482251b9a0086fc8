"""Untrained networks, and water for them."""

from __future__ import annotations

from untrained import network, water

__all__ = ["network", "water"]
