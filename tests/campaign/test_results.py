"""The table of all results."""

from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
from campaigns import write_campaign

from mlobs_client.campaign.campaign import Campaign, load
from mlobs_client.campaign.results import collect, write_table
from mlobs_client.errors import RecordError
from mlobs_client.ipi import Properties
from mlobs_client.results.skip import Skip

HEADER = """# column   1     --> step : The current simulation time step.
# column   2     --> time{femtosecond} : The elapsed simulation time.
# column   3     --> temperature{kelvin} : The current temperature.
# cols.    4-5   --> pair : Two numbers.
"""
VALUES = np.random.default_rng(7).normal(300.0, 10.0, 1000)


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    """Two runs, of which the first is done: 1000 independent samples."""
    campaign = load(write_campaign(tmp_path, seeds=[1]))
    run = next(iter(campaign.runs.values()))
    campaign.template.write(campaign.values(run), run.folder, {})
    rows = (f"{i} {0.5 * i} {value} 1.0 {i}\n" for i, value in enumerate(VALUES))
    (run.folder / "simulation.out").write_text(HEADER + "".join(rows))
    (run.folder / "RESTART").write_text("<simulation><step> 999 </step></simulation>")
    run.mark_done(2.0)
    return campaign


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_is_a_row_with_its_parameters_and_averages(
    campaign: Campaign, tmp_path: Path
) -> None:
    table, _ = write_table(collect(campaign, Skip()), tmp_path / "new" / "results")
    first, second = read_csv(table)
    assert first["run"] == "temperature=280_seed=1"
    assert (first["temperature"], first["seed"]) == ("280", "1")
    assert (first["state"], first["steps"], first["wall time (second)"]) == ("done", "999", "2")
    assert float(first["temperature (kelvin)"]) == pytest.approx(VALUES.mean(), rel=1e-9)
    # independent samples: sigma / sqrt(n), to the error of the statistical inefficiency
    expected = VALUES.std() / np.sqrt(len(VALUES))
    assert float(first["temperature error (kelvin)"]) == pytest.approx(expected, rel=0.36)
    assert float(first["pair[1] (atomic_unit)"]) == pytest.approx(499.5)
    assert (second["state"], second["after"]) == ("planned", "temperature=280_seed=1")
    assert second["temperature (kelvin)"] == second["steps"] == ""
    assert not any("step (" in name or "time (f" in name for name in first)


def test_each_system_of_a_run_has_averages_of_its_own(campaign: Campaign, tmp_path: Path) -> None:
    run = next(iter(campaign.runs.values()))
    xml = (run.folder / "input.xml").read_text()
    for prefix in ("a", "b"):
        (run.folder / f"{prefix}_simulation.out").write_text(
            (run.folder / "simulation.out").read_text()
        )
    begin, end = xml.index("<system>"), xml.index("</system>") + len("</system>")
    two = "".join(xml[begin:end].replace("<system>", f"<system prefix='{x}'>") for x in "ab")
    (run.folder / "input.xml").write_text(xml[:begin] + two + xml[end:])
    table, _ = write_table(collect(campaign, Skip()), tmp_path / "results")
    first, _ = read_csv(table)
    for name in ("a_temperature (kelvin)", "b_temperature (kelvin)"):
        assert float(first[name]) == pytest.approx(VALUES.mean(), rel=1e-9)


def test_an_average_that_drifts_has_no_error_and_says_how_long_a_run_is_needed(
    campaign: Campaign, tmp_path: Path
) -> None:
    table, _ = write_table(collect(campaign, Skip()), tmp_path / "results")
    first, second = read_csv(table)
    assert first["pair[1] error (atomic_unit)"] == ""
    # 0.5 ps of a straight line, the most correlated series that a window of a tenth can see
    assert first["pair[1] no error"] == (
        "12 independent samples, needs 20: run about 0.31 ps (620 steps) more"
    )
    assert second["pair[1] no error"] == ""
    assert "temperature no error (kelvin)" not in first


def test_hdf5_has_the_same_columns_in_groups_with_their_units(
    campaign: Campaign, tmp_path: Path
) -> None:
    _, path = write_table(collect(campaign, Skip()), tmp_path / "results")
    with h5py.File(path) as file:
        assert sorted(file) == ["errors", "means", "no error", "parameters", "runs"]
        assert file["parameters/temperature"][:].tolist() == [280, 300]
        assert file["means/temperature"].attrs["unit"] == "kelvin"
        np.testing.assert_allclose(file["means/temperature"][:], [VALUES.mean(), np.nan])
        assert file["runs/state"].asstr()[:].tolist() == ["done", "planned"]


@pytest.mark.parametrize("skip", [Skip(picoseconds=0.09975), Skip(fraction=0.2)])
def test_the_begin_can_be_left_out_by_time_or_by_fraction(campaign: Campaign, skip: Skip) -> None:
    table = {column.header: values for column, values in collect(campaign, skip).items()}
    assert table["temperature (kelvin)"][0] == pytest.approx(VALUES[200:].mean(), rel=1e-9)


def test_a_time_cannot_be_left_out_where_the_properties_have_none() -> None:
    properties = Properties({"potential": np.zeros(9)}, {"potential": ""})
    assert Skip(fraction=0.5).count(9, lambda: properties["time"]) == 4
    with pytest.raises(RecordError, match="no 'time'"):
        Skip(picoseconds=1.0).count(9, lambda: properties["time"])


def test_leaving_out_nearly_all_is_an_error_that_names_the_file(campaign: Campaign) -> None:
    with pytest.raises(RecordError, match=r"simulation\.out: temperature: .* or skip less"):
        collect(campaign, Skip(fraction=0.999))
