"""The table at the end of ``mlobs demo``; its runs: tests/studies/test_demo_results.py."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from csv_files import read_csv
from rich.console import Console

from mlobs_client.cli.demo import _describe, _prepare, _write
from mlobs_client.errors import ConfigError
from mlobs_client.results import Estimate
from mlobs_client.studies import demo
from mlobs_client.studies.demo_plan import OF_KINDS, PARTS, Cost, plan
from mlobs_client.studies.demo_results import Row

SLOW = {run.kind: Cost(32.0, 0.6) for run in OF_KINDS}
"""Costs of cores on which not all parts of the demo fit into its time."""


def test_the_table_has_rows_without_an_error_before_others_with_its_source(tmp_path: Path) -> None:
    drift = Estimate(0.5, float("nan"), "µeV/atom/ps", 3.0, "3 independent samples")
    stretch = Estimate(3600.0, 8.0, "cm^-1", 4, error_from="jackknife over 4 blocks")
    _write([Row("drift", drift), Row("stretch", stretch)], tmp_path)
    first, second = read_csv(tmp_path / "table.csv")
    assert (first["value"], first["error"], first["error_from"]) == ("0.5", "", "")
    assert (first["no_error"], second["no_error"]) == ("3 independent samples", "")
    assert (second["error"], second["error_from"]) == ("8", "jackknife over 4 blocks")
    written = json.loads((tmp_path / "table.json").read_text())
    assert [row["error"] for row in written] == [None, 8.0]


def test_it_says_how_long_it_takes_what_is_left_out_and_from_how_many_to_how_many_ps() -> None:
    assert list(_describe(plan(SLOW, 80.0))) == [
        "This takes about 6.8 minutes, the first figure about 2.9.",
        "left out: the spectra of classical nuclei, for want of time: runs of at least 0.51 ps are "
        "needed",
        "left out: the spectra of TRPMD, for want of time: runs of at least 0.51 ps are needed",
        "shortened: trpmd, trpmd-field-0.05, trpmd-field-0.1, trpmd-field-0.15, nve-field-0.05, "
        "nve-field-0.15 from 0.08 ps to 0.032 ps",
        "shortened: nve-field-0.1 from 0.2 ps to 0.04 ps",
        "shortened: nve from 0.2 ps to 0.044 ps",
    ]


def test_a_demo_that_continues_is_not_measured_again_and_keeps_its_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    monkeypatch.setattr(demo, "measure", lambda *_: measured.append(1) or SLOW)
    console = Console(quiet=True)
    parts = _prepare(tmp_path, None, 2, time.monotonic(), console)
    changed = tmp_path / "nve" / "client.toml"
    changed.write_text(f"# changed\n{changed.read_text()}")
    before = demo.read_lengths(tmp_path)
    assert _prepare(tmp_path, None, 2, time.monotonic(), console) == parts
    assert measured == [1]
    assert demo.read_lengths(tmp_path) == before
    assert changed.read_text().startswith("# changed")


def test_with_a_scale_nothing_is_measured_and_all_parts_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "measure", lambda *_: pytest.fail("measured"))
    assert _prepare(tmp_path, 0.01, 2, time.monotonic(), Console(quiet=True)) == PARTS
    with pytest.raises(ConfigError, match="give the same --scale as before"):
        _prepare(tmp_path, None, 2, time.monotonic(), Console(quiet=True))
