"""Expand each ``<system_template>`` of i-PI into systems.

Source:
    i-PI 3.3.1, ``InputSysTemplate`` in ``ipi/inputs/system.py``.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from copy import deepcopy

from mlobs_client.ipi.tags import attribute_of, list_of


def fill_templates(root: ET.Element) -> tuple[str, ...]:
    """Fill each ``<system_template>`` with its first instance, in place; the others are alike.

    Returns:
        Prefixes of all systems of the input; at least one.
    """
    prefixes = tuple(attribute_of(tag, "prefix", "") for tag in make_systems(root))
    for template in root.iter("system_template"):
        instance = template.find("instance")
        if instance is not None:
            labels = list_of(template.find("labels"))
            _fill_tags(template, labels, list_of(instance))
    return prefixes or ("",)


def make_systems(root: ET.Element) -> Iterator[ET.Element]:
    """Yield each ``<system>`` of an input, and one for each instance of its templates, in order.

    Args:
        root: the ``<simulation>`` tag; it is not changed.
    """
    yield from root.findall("system")
    for template in root.findall("system_template"):
        labels = list_of(template.find("labels"))
        for instance in template.findall("instance"):
            filled = deepcopy(template.find("template/system"))
            if filled is None:
                break
            _fill_tags(filled, labels, list_of(instance))
            yield filled


def _fill_tags(parent: ET.Element, labels: Sequence[str], values: Sequence[str]) -> None:
    for tag in parent.iter():
        tag.text = _fill(tag.text or "", labels, values)
        for name, value in tag.attrib.items():
            tag.set(name, _fill(value, labels, values))


def _fill(text: str, labels: Sequence[str], values: Sequence[str]) -> str:
    for label, value in sorted(zip(labels, values, strict=False), reverse=True):
        text = text.replace(label, value)  # INDEX10 before INDEX1
    return text
