"""Read tags of an input (or a RESTART) of i-PI, with i-PI's defaults.

Source:
    i-PI 3.3.1, ``ipi/utils/inputvalue.py``, ``ipi/utils/io/inputs/io_xml.py``,
    ``ipi/inputs/{outputs,initializer,beads}.py``.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import NamedTuple

import numpy as np

from mlobs_client.ipi.dimensions import factor
from mlobs_client.structure import Array


class NumberWithUnit(NamedTuple):
    """A number with its unit, as written in the input."""

    text: str
    unit: str

    def in_atomic_units(self, name: str, where: str) -> float:
        """Return the number in atomic units.

        Args:
            name: name of the quantity, for example ``temperature``.
            where: file, for the error message.

        Raises:
            ValueError: the text is not a number.
            RecordError: i-PI knows no such unit for this quantity.
        """
        return float(self.text) * factor(name, self.unit, where)


def quantity_of(tag: ET.Element | None) -> NumberWithUnit | None:
    """Return the number in a tag with its ``units``; None if there is none."""
    text = "" if tag is None else (tag.text or "").strip()
    if tag is None or not text:
        return None
    return NumberWithUnit(text, attribute_of(tag, "units", "atomic_unit"))


def attribute_of(tag: ET.Element, name: str, default: str) -> str:
    """Return an attribute without the blanks around it, as i-PI does."""
    return tag.get(name, default).strip()


def text_of(parent: ET.Element, tag: str, default: str) -> str:
    """Return the text of a tag below its parent, or the default if there is no text."""
    found = parent.find(tag)
    return default if found is None or not found.text else found.text.strip()


def split_list(text: str) -> tuple[str, ...]:
    """Split a list of i-PI, ``[ a, b ]``, with or without quotes."""
    names = (name.strip(" \n\t'\"") for name in text.strip().strip("[]").split(","))
    return tuple(name for name in names if name)


def is_true(text: str) -> bool:
    """Return the truth value of a text as i-PI reads it."""
    return text.strip().lower() == "true"


def list_of(tag: ET.Element | None) -> tuple[str, ...]:
    """Return the entries of a list in a tag; empty without a tag."""
    return split_list("" if tag is None else tag.text or "")


def array_of(tag: ET.Element | None) -> Array:
    """Return the numbers of a list in a tag, shape ``(n,)``; n is 0 without a tag.

    Raises:
        ValueError: an entry is not a number.
    """
    return np.array([float(word) for word in list_of(tag)])


def find_output(root: ET.Element) -> ET.Element:
    """Return ``<output>`` of ``<simulation>``, or an empty tag if there is none."""
    found = root.find("output")
    return ET.Element("output") if found is None else found


def checkpoint_names(output: ET.Element) -> tuple[str, ...]:
    """Return the ``filename`` of each ``<checkpoint>`` in ``<output>``, without its prefix."""
    return tuple(attribute_of(tag, "filename", "restart") for tag in output.findall("checkpoint"))


def count_beads(parent: ET.Element) -> int:
    """Return the number of beads of the first system below a tag.

    A RESTART gives their number in ``<beads>``, an input in ``<initialize>``.

    Raises:
        ValueError: ``nbeads`` is not a number.
    """
    tags = (tag for name in ("beads", "initialize") for tag in parent.iter(name))
    first = next(tags, None)
    return 1 if first is None else int(attribute_of(first, "nbeads", "1"))
