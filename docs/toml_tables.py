"""Directive ``toml-tables``: every table and setting of a TOML file, from its pydantic models."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

Schema = dict[str, Any]

LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "minItems": "at least {} of them",
    "pattern": "matching ``{}``",
}
"""Keywords of JSON Schema, and what they say to a reader."""

TYPES = {"object": "table", "boolean": "true or false"}
"""Types of JSON that TOML calls differently."""


class TomlTables(SphinxDirective):
    """One section for the top of a file and one for each of its tables: ``MODULE:MODEL``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        module, _, name = self.arguments[0].partition(":")
        schema = getattr(importlib.import_module(module), name).model_json_schema()
        lines = [line for title, table in _tables(schema) for line in _section(title, table)]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _tables(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Title and schema of the top of the file, and of each table that it may hold."""
    yield "Above the first table", schema
    for name, setting in schema["properties"].items():
        for reference in re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(setting)):
            table = schema["$defs"][reference]
            kind = table["properties"].get("kind", {}).get("const")
            title = f"[[{name}]]" if setting.get("type") == "array" else f"[{name}]"
            yield f'{title}, kind = "{kind}"' if kind else title, table


def _section(title: str, table: Schema) -> Iterator[str]:
    yield from (title, "-" * len(title), "")
    text = inspect.cleandoc(table.get("description", "")).replace("|", r"\|")
    text = re.sub(r'^[^\n.]*?(\]|kind = "\w+"): ', "", text)  # the title says it
    yield from f"{text[:1].upper()}{text[1:]}".splitlines()
    yield from ("", ".. list-table::", "   :header-rows: 1", "")
    yield from _row("setting", "value", "default")
    for name, setting in table["properties"].items():
        if "$ref" not in json.dumps(setting):
            needed = name in table.get("required", ())
            default = "required" if needed else _default(setting.get("default"))
            yield from _row(f"``{name}``", _value(setting), default)
    yield ""


def _row(*cells: str) -> Iterator[str]:
    for mark, cell in zip("*  ", cells, strict=True):
        yield f"   {mark} - {cell}"


def _default(value: Any) -> str:
    return "none" if value in (None, [], {}) else f"``{json.dumps(value)}``"


def _value(setting: Schema) -> str:
    """What a setting may be, in words."""
    if "anyOf" in setting:
        return " or ".join(_value(one) for one in setting["anyOf"] if one.get("type") != "null")
    if choices := setting.get("enum", [setting[key] for key in ("const",) if key in setting]):
        return " or ".join(f"``{json.dumps(choice)}``" for choice in choices)
    if "prefixItems" in setting:
        items = setting["prefixItems"]
        return f"array of {len(items)}: {_value(items[0])}"
    limits = [text.format(setting[key]) for key, text in LIMITS.items() if key in setting]
    inner = setting.get("items", setting.get("additionalProperties"))
    of = f" of {_value(inner)}" if isinstance(inner, dict) and inner else ""
    kind = setting.get("type", "any value")
    return ", ".join([f"{TYPES.get(kind, kind)}{of}", *limits])


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("toml-tables", TomlTables)
    return {"parallel_read_safe": True}
