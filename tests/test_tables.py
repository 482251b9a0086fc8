"""Tables of TOML: what is unknown or wrong is said in one line, for any file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from mlobs_client.errors import ConfigError
from mlobs_client.tables import Table, read_toml, suggest, validate


class Round(Table):
    kind: Literal["round"]
    radius: float


class Square(Table):
    kind: Literal["square"]
    side: float


class Drawing(Table):
    shape: Annotated[Round | Square, Field(discriminator="kind")]
    marks: tuple[int | float | str, ...] = ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"shap": {}}, "unknown setting 'shap'; did you mean 'shape'?"),
        ({"shape": {"radius": 1}}, "'kind' is missing in [shape]; write kind = \"round\""),
        (
            {"shape": {"kind": "oval"}},
            "kind = 'oval' is not available in [shape]; use one of 'round', 'square'",
        ),
        ({"shape": {"kind": "round", "side": 1}}, "in [shape]; use one of kind, radius"),
        ({"shape": {"kind": "square", "sid": 1}}, "in [shape]; did you mean 'side'?"),
        ({"shape": {"kind": "square"}}, "the setting 'side' is missing in [shape]"),
        ({"shape": {"kind": "square", "side": "x"}}, "shape.side = 'x': "),
        ({"shape": {"kind": "square", "side": 1}, "marks": [[]]}, "marks.0 = []: "),
    ],
)
def test_a_mistake_is_one_line_that_names_place_and_remedy(content, said) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(Drawing, content, "drawing.toml")
    assert str(caught.value).startswith("drawing.toml: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_is_an_error_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: make one"):
        read_toml(tmp_path / "none.toml", "make one")


def test_a_file_that_is_no_toml_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("a = ")
    with pytest.raises(ConfigError, match="cannot be read as TOML"):
        read_toml(tmp_path / "a.toml", "make one")


def test_all_names_are_said_where_none_is_near() -> None:
    assert suggest("xyz", ["beta", "alpha"]) == "use one of alpha, beta"
