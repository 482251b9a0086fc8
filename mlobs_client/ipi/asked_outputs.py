"""Read which outputs an input of i-PI asks for.

Source:
    i-PI 3.3.1, ``ipi/inputs/outputs.py`` with its defaults.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

from mlobs_client.ipi.tags import attribute_of, split_list


@dataclass(frozen=True)
class PropertiesOutput:
    """A ``<properties>`` tag: file name without prefix, and names without units or arguments."""

    filename: str
    stride: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class TrajectoryOutput:
    """A ``<trajectory>`` tag; ``extras`` are the keys in ``extra_type``, none for ``raw``.

    ``component`` is the index of the force whose extras are written, from 0; None for all forces.
    """

    filename: str
    stride: int
    what: str
    extras: tuple[str, ...]
    component: int | None = None

    @property
    def writes_extras(self) -> bool:
        """True if the output makes i-PI collect the extras of all clients."""
        return self.what.startswith("extras")


def read_properties(tag: ET.Element) -> PropertiesOutput:
    """Read a ``<properties>`` tag."""
    # a name is followed by {unit} and (arguments)
    names = split_list(re.sub(r"\([^)]*\)|\{[^}]*\}", "", tag.text or ""))
    stride = int(attribute_of(tag, "stride", "1"))
    return PropertiesOutput(attribute_of(tag, "filename", "out"), stride, names)


def read_components(outputs: ET.Element) -> Iterator[int]:
    """Yield the index in each ``pot_component_raw{unit}(0)``, ``forces_component(index=1)``, ..."""
    pattern = r"_component(?:_raw)?\s*(?:\{[^}]*\})?\s*\(\s*(?:\w+\s*=)?\s*(\d+)"
    for tag in outputs:
        yield from (int(index) for index in re.findall(pattern, tag.text or ""))


def read_trajectory(tag: ET.Element) -> TrajectoryOutput:
    """Read a ``<trajectory>`` tag."""
    text = (tag.text or "").strip()
    what = re.split(r"[({]", text)[0].strip()  # blanks may stand before {unit} and (arguments)
    component = re.fullmatch(r"extras_component_raw\s*\(\s*(?:idx\s*=)?\s*(\d+)\s*\)", text)
    keys = attribute_of(tag, "extra_type", "raw") if what.startswith("extras") else "raw"
    return TrajectoryOutput(
        filename=attribute_of(tag, "filename", "traj"),
        stride=int(attribute_of(tag, "stride", "1")),
        what=what,
        extras=tuple(name for name in split_list(keys) if name != "raw"),
        component=None if component is None else int(component[1]),
    )
