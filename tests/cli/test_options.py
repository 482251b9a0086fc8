"""Options refuse what click would take."""

from __future__ import annotations

import click
import pytest

from mlobs_client.cli.options import FiniteRange, ResultName


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "-1", "ten"])
def test_only_finite_numbers_within_the_limits_are_taken(text: str) -> None:
    with pytest.raises(click.BadParameter):
        FiniteRange(0.0).convert(text, None, None)
    assert FiniteRange(0.0).convert("2.5", None, None) == 2.5


@pytest.mark.parametrize("text", ["", ".", "..", "/"])
def test_a_folder_is_no_name_of_results(text: str) -> None:
    with pytest.raises(click.BadParameter, match="give a name in it"):
        ResultName().convert(text, None, None)
    assert ResultName().convert("folder/vdos", None, None).name == "vdos"
