"""The table at the end of ``mlobs demo``; its runs: tests/studies/test_demo_results.py."""

from __future__ import annotations

import json
from pathlib import Path

from csv_files import read_csv

from mlobs_client.cli.demo import _write
from mlobs_client.results import Estimate
from mlobs_client.studies.demo_results import Row


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
