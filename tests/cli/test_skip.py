"""``--skip`` takes a time or a percentage of each run."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from csv_files import column

from mlobs_client.cli.skip import SkipType
from mlobs_client.cli.vdos import command as vdos
from mlobs_client.results.skip import Skip


@pytest.mark.parametrize(
    ("text", "skip"),
    [("2.5", Skip(picoseconds=2.5)), ("20%", Skip(fraction=0.2)), ("0", Skip())],
)
def test_a_time_and_a_percentage_are_told_apart(text: str, skip: Skip) -> None:
    assert SkipType().convert(text, None, None) == skip


@pytest.mark.parametrize("text", ["-1", "100%", "-5%", "nan", "nan%", "%", "two"])
def test_what_leaves_nothing_or_is_not_a_number_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        SkipType().convert(text, None, None)


def test_half_of_a_run_is_the_same_as_its_time(finished_run: Path, tmp_path: Path) -> None:
    options = ["--resolution", "2000", "--blocks", "2"]
    for name, skip in (("percentage", "50%"), ("time", "0.1"), ("all", "0")):
        words = [str(finished_run / "simulation"), "-o", str(tmp_path / name), "--skip", skip]
        CliRunner().invoke(vdos, [*words, *options], catch_exceptions=False)
    half, same, full = (
        column(tmp_path / f"{name}.csv", "value").tolist() for name in ("percentage", "time", "all")
    )
    assert half == same
    assert half != full
