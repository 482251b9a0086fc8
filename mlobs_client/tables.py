"""TOML to validated models.

An unknown key is an error that suggests the nearest known one; a value out of range names the
place and what would be right.
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

BRANCHES: Final = frozenset({"int", "float", "str"})  # of unions of plain values


class Table(BaseModel):
    """A TOML table: nothing unknown, nothing changed afterwards, no NaN.

    ``RENAMED`` holds old names of settings, each with the new one; their use is an error.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    RENAMED: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _old_names_are_refused(cls, content: object) -> object:
        for old, new in cls.RENAMED.items():
            if isinstance(content, dict) and old in content:
                raise ValueError(f"the setting {old!r} is called {new!r} now")
        return content


Model = TypeVar("Model", bound=Table)


def read_toml(path: Path, missing: str) -> dict[str, Any]:
    """Read any TOML file.

    Args:
        path: of the file.
        missing: what to say after its name where it is not there.

    Raises:
        ConfigError: the file is missing or is not TOML.
    """
    try:
        return parse_toml(path.read_bytes(), path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: {missing}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read as TOML: {error}") from error


def parse_toml(content: bytes, path: Path) -> dict[str, Any]:
    """Read what is, or will be, the content of a TOML file.

    Raises:
        ConfigError: it is not TOML.
    """
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # also thousands of digits, or of brackets
        raise ConfigError(f"{path}: cannot be read as TOML: {error}") from error


def validate(model: type[Model], content: dict[str, Any], where: str) -> Model:
    """Validate the content of a file.

    Args:
        model: what it must be.
        content: tables as :mod:`tomllib` gives them.
        where: the file's name, for errors.

    Raises:
        ConfigError: one line for the first thing that is wrong.
    """
    try:
        return model.model_validate(content)
    except pydantic.ValidationError as error:
        raise ConfigError(f"{where}: {_explain(error, model)}") from None


def suggest(name: str, known: Iterable[str]) -> str:
    """Say which known name may have been meant, or all of them."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"use one of {', '.join(sorted(names))}"


def _explain(error: pydantic.ValidationError, model: type[BaseModel]) -> str:
    # A misspelt key makes two errors, "unknown" and "missing"; the first of them teaches more.
    # Of the kinds that a setting may have, the user meant the one that fits the furthest.
    first = min(error.errors(), key=lambda e: (e["type"] != "extra_forbidden", -len(e["loc"])))
    unknown = first["loc"][-1:] if first["type"] == "extra_forbidden" else ()
    tables = first["loc"][: len(first["loc"]) - len(unknown)]
    branches = BRANCHES | set(_kinds(model))
    path = [str(part) for part in tables if part not in branches and "[" not in str(part)]
    path += [str(part) for part in unknown]  # also where it is called like a branch
    if first["type"] == "extra_forbidden":
        return f"unknown setting {path[-1]!r}{_inside(path[:-1])}; {_suggest_setting(path, model)}"
    if first["type"] == "union_tag_not_found":
        kind = _kinds(model, path[0])[0]
        return f"the setting 'kind' is missing{_inside(path)}; write kind = \"{kind}\", for example"
    if first["type"] == "missing" and path[-1].isdigit():
        return f"{'.'.join(path[:-1])} has too few numbers: number {int(path[-1]) + 1} is missing"
    if first["type"] == "missing":
        return f"the setting {path[-1]!r} is missing{_inside(path[:-1])}"
    if first["type"] == "value_error":
        return f"{first['msg'].removeprefix('Value error, ')}{_inside(path)}"
    return f"{'.'.join(path)} = {first['input']!r}: {first['msg']}"


def _kinds(model: type[BaseModel], field: str | None = None) -> list[str]:
    """The values of ``kind``: pydantic puts which one it tried into the path of an error."""
    fields = model.model_fields
    annotations = [_annotation(model, field)] if field else [f.annotation for f in fields.values()]
    tables = [table for one in annotations for table in _tables(one)]
    found = [table.model_fields["kind"] for table in tables if "kind" in table.model_fields]
    return [kind for one in found for kind in get_args(one.annotation)]


def _inside(path: list[str]) -> str:
    return f" in [{'.'.join(path)}]" if path else ""


def _suggest_setting(path: list[str], model: type[BaseModel]) -> str:
    if path[1:] and path[-1] in model.model_fields:
        return (
            f"{path[-1]!r} is a setting of the whole file: move it above the first [table], for "
            f"what stands below [{path[0]}] belongs to it"
        )
    tables = _tables(_annotation(model, path[0])) if path[1:] else [model]
    return suggest(path[-1], {name for table in tables for name in table.model_fields})


def _annotation(model: type[BaseModel], name: str) -> Any:
    """The type of a setting, or of the tables that have no setting of their own."""
    field = model.model_fields.get(name)
    return field.annotation if field else get_type_hints(model)["__pydantic_extra__"]


def _tables(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for part in get_args(annotation) for table in _tables(part)]
