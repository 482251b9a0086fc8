"""Read TOML files and validate their settings.

For an unknown setting, the error suggests the most similar known one; for a value out of range, it
names the setting and the values that would be right.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar, get_args, get_type_hints

import pydantic
from pydantic import BaseModel, ConfigDict, model_validator

from mlobs_client.errors import ConfigError

BRANCHES: Final = frozenset({"int", "float", "str"})  # branches of unions of plain values


class Table(BaseModel):
    """An immutable TOML table without unknown settings, NaN or infinity.

    ``RENAMED`` maps old names of settings to new ones; using an old name is an error.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    RENAMED: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _old_names_are_refused(cls, content: object) -> object:
        for old, new in cls.RENAMED.items():
            if isinstance(content, dict) and old in content:
                raise ValueError(f"the setting {old!r} is now called {new!r}")
        return content


Model = TypeVar("Model", bound=Table)


def read_toml(path: Path, missing: str) -> dict[str, Any]:
    """Read any TOML file.

    Args:
        path: path of the file.
        missing: text that follows the name of the file in the error if the file does not exist.

    Raises:
        ConfigError: the file is missing, cannot be read, or is not TOML.
    """
    try:
        return parse_toml(path.read_bytes(), path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: {missing}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read as TOML: {error}") from error


def parse_toml(content: bytes, path: Path) -> dict[str, Any]:
    """Parse the content of a TOML file.

    Args:
        content: present or future content of the file.
        path: path of the file, for the error.

    Raises:
        ConfigError: the content is not TOML.
    """
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # also thousands of digits, or of brackets
        raise ConfigError(f"{path}: cannot be read as TOML: {error}") from error


def validate(model: type[Model], content: dict[str, Any], where: str) -> Model:
    """Validate the content of a file.

    Args:
        model: class of the settings.
        content: tables from :mod:`tomllib`.
        where: name of the file, for the error.

    Raises:
        ConfigError: a setting is wrong; the error describes the first one in one line.
    """
    try:
        return model.model_validate(content)
    except pydantic.ValidationError as error:
        raise ConfigError(f"{where}: {_explain(error, model)}") from None


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the known name that was probably meant, or with all known names."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"use one of {', '.join(sorted(names))}"


def _explain(error: pydantic.ValidationError, model: type[BaseModel]) -> str:
    # a misspelt setting causes two errors, "unknown" and "missing"; the first one is more helpful;
    # among the kinds of a table, the user most likely meant the one whose error lies deepest
    first = min(error.errors(), key=lambda e: (e["type"] != "extra_forbidden", -len(e["loc"])))
    unknown = first["loc"][-1:] if first["type"] == "extra_forbidden" else ()
    tables = first["loc"][: len(first["loc"]) - len(unknown)]
    branches = BRANCHES | set(_kinds(model))
    path = [str(part) for part in tables if part not in branches and "[" not in str(part)]
    path += [str(part) for part in unknown]  # also if its name is that of a branch
    if first["type"] == "extra_forbidden":
        remedy = _suggest_setting(path, model, tables)
        return f"unknown setting {path[-1]!r}{_inside(path[:-1])}; {remedy}"
    if first["type"] == "union_tag_not_found":
        kind = _kinds(model, path[0])[0]
        return f"the setting 'kind' is missing{_inside(path)}; write kind = \"{kind}\", for example"
    if first["type"] == "union_tag_invalid":
        tag, tags = first["ctx"]["tag"], first["ctx"]["expected_tags"]
        return f"kind = {tag!r} is not available{_inside(path)}; use one of {tags}"
    if first["type"] == "missing" and path[-1].isdigit():
        return f"{'.'.join(path[:-1])} has too few numbers: number {int(path[-1]) + 1} is missing"
    if first["type"] == "missing":
        return f"the setting {path[-1]!r} is missing{_inside(path[:-1])}"
    if first["type"] == "value_error":
        return f"{first['msg'].removeprefix('Value error, ')}{_inside(path)}"
    return f"{'.'.join(path)} = {first['input']!r}: {first['msg']}"


def _kinds(model: type[BaseModel], field: str | None = None) -> list[str]:
    """Return the values of ``kind``, which pydantic adds to the path of an error."""
    fields = model.model_fields
    annotations = [_annotation(model, field)] if field else [f.annotation for f in fields.values()]
    tables = [table for annotation in annotations for table in _tables(annotation)]
    kinds = [table.model_fields["kind"] for table in tables if "kind" in table.model_fields]
    return [value for kind in kinds for value in get_args(kind.annotation)]


def _inside(path: list[str]) -> str:
    return f" in [{'.'.join(path)}]" if path else ""


def _suggest_setting(path: list[str], model: type[BaseModel], place: tuple[int | str, ...]) -> str:
    if path[1:] and path[-1] in model.model_fields:
        return (
            f"{path[-1]!r} is a setting of the whole file: move it above the first [table], as all "
            f"settings below [{path[0]}] belong to that table"
        )
    tables = _tables(_annotation(model, path[0])) if path[1:] else [model]
    of_kind = [  # settings of another kind would be no help
        table
        for table in tables
        if "kind" in table.model_fields
        and set(get_args(table.model_fields["kind"].annotation)) & set(place)
    ]
    return suggest(path[-1], {name for table in of_kind or tables for name in table.model_fields})


def _annotation(model: type[BaseModel], name: str) -> Any:
    """Return the type of a setting, or of tables that are not declared by name."""
    field = model.model_fields.get(name)
    return field.annotation if field else get_type_hints(model)["__pydantic_extra__"]


def _tables(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for part in get_args(annotation) for table in _tables(part)]
