"""The systems that a ``<system_template>`` of i-PI makes.

Source:
    i-PI 3.3.1, ``InputSysTemplate`` in ``ipi/inputs/system.py``.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from mlobs_client.check.forcefields import split_list, text_of


def fill_templates(root: ET.Element) -> tuple[str, ...]:
    """Put the first instance into a ``<system_template>``; the others are alike.

    Returns:
        The prefixes of all systems that come of the input; of one system at least.
    """
    prefixes = [tag.get("prefix", "").strip() for tag in root.findall("system")]
    for template in root.iter("system_template"):
        labels = split_list(text_of(template, "labels", ""))
        instances = [split_list(tag.text or "") for tag in template.findall("instance")]
        for system in template.findall("template/system"):
            prefix = system.get("prefix", "").strip()
            prefixes += [_fill(prefix, labels, values) for values in instances]
        for tag in template.iter() if instances else ():
            tag.text = _fill(tag.text or "", labels, instances[0])
            for name, value in tag.attrib.items():
                tag.set(name, _fill(value, labels, instances[0]))
    return tuple(prefixes) or ("",)


def _fill(text: str, labels: Sequence[str], values: Sequence[str]) -> str:
    for label, value in sorted(zip(labels, values, strict=False), reverse=True):
        text = text.replace(label, value)  # INDEX10 before INDEX1
    return text
