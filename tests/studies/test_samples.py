"""What a run was is read from its own files, and what it wrote from its equilibration on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mlobs_client.campaign.campaign import Campaign
from mlobs_client.campaign.file import CampaignTable
from mlobs_client.campaign.state import DONE, CampaignRun
from mlobs_client.errors import RecordError
from mlobs_client.results.skip import Skip
from mlobs_client.studies.samples import read_samples
from mlobs_client.units import DALTON, FEMTOSECOND, KELVIN, VOLT_PER_ANGSTROM

FIELD = '[field]\nvector = [0.1, 0.0, -0.2]\nunit = "V/angstrom"\n'


@pytest.fixture
def campaign(finished_run: Path, tmp_path: Path) -> Campaign:
    """Two runs: one in a field, and one that has not begun."""
    folder = tmp_path / "runs" / "one"
    shutil.copytree(finished_run, folder)
    client = folder / "client.toml"
    client.write_text(client.read_text() + FIELD)
    xml = folder / "input.xml"
    xml.write_text(xml.read_text().replace("300 </temperature>", "250 </temperature>"))
    runs = {
        name: CampaignRun(name, tmp_path / "runs" / name, {}, None) for name in ("one", "other")
    }
    table = CampaignTable.model_validate({"parameters": {"seed": (1, 2)}})
    return Campaign(tmp_path / "campaign.toml", table, runs)


def finish(campaign: Campaign) -> None:
    (campaign.runs["one"].folder / DONE).write_text(json.dumps({"steps": 400}))


def test_field_beads_and_temperature_are_those_of_the_files_of_the_run(
    campaign: Campaign,
) -> None:
    (sample,) = read_samples(campaign, Skip())
    np.testing.assert_allclose(sample.field / VOLT_PER_ANGSTROM, [0.1, 0.0, -0.2])
    assert (sample.name, sample.n_beads, sample.has_barostat) == ("one", 2, False)
    # i-PI rounds its factors
    assert sample.temperature == pytest.approx(250.0 * KELVIN, rel=3e-6)
    assert sample.duration == pytest.approx(0.2)
    assert sample.positions.values.shape[1:] == (2, 3, 3)
    assert sample.start.numbers.tolist() == [8, 1, 1]
    np.testing.assert_allclose(sample.masses / DALTON, [15.999, 1.008, 1.008], rtol=1e-6)
    assert sample.velocities_spacing == pytest.approx(1.0 * FEMTOSECOND, rel=1e-7)


def test_a_run_with_a_barostat_is_known_from_its_input(campaign: Campaign) -> None:
    xml = campaign.runs["one"].folder / "input.xml"
    xml.write_text(xml.read_text().replace("<dynamics mode='nve'", "<dynamics mode='npt'"))
    (sample,) = read_samples(campaign, Skip())
    assert sample.has_barostat


def test_what_is_skipped_is_missing_everywhere(campaign: Campaign) -> None:
    (whole,), (late,) = (read_samples(campaign, skip) for skip in (Skip(), Skip(fraction=0.5)))
    assert late.duration == pytest.approx(0.1)
    assert late.positions.steps[0] == 200
    for name in ("dipoles", "velocities"):
        long, short = getattr(whole, name), getattr(late, name)
        assert len(short) == len(long) // 2 + 1
        np.testing.assert_array_equal(short, long[-len(short) :])
    np.testing.assert_array_equal(
        late.positions.values, whole.positions.values[whole.positions.steps >= 200]
    )


def test_runs_that_have_not_ended_are_named(
    campaign: Campaign, caplog: pytest.LogCaptureFixture
) -> None:
    read_samples(campaign, Skip())
    assert "other has not begun" in caplog.text
    assert "one is not done: 0.2 ps so far" in caplog.text


def test_a_run_that_is_done_and_too_short_is_an_error(
    campaign: Campaign, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RecordError, match="no run has written anything yet"):
        read_samples(campaign, Skip(picoseconds=1.0))
    assert "one is not done, and cannot be read yet" in caplog.text
    finish(campaign)
    with pytest.raises(RecordError, match="shorter than what is skipped"):
        read_samples(campaign, Skip(picoseconds=1.0))


def test_a_field_has_the_weight_of_its_force(campaign: Campaign) -> None:
    xml = campaign.runs["one"].folder / "input.xml"
    xml.write_text(xml.read_text().replace("<force ", "<force weight='0.5' "))
    (sample,) = read_samples(campaign, Skip())
    np.testing.assert_allclose(sample.field / VOLT_PER_ANGSTROM, [0.05, 0.0, -0.1])


def test_a_field_that_no_force_applies_is_refused(campaign: Campaign) -> None:
    xml = campaign.runs["one"].folder / "input.xml"
    xml.write_text(xml.read_text().replace("<force forcefield='mlobs'", "<force forcefield='a'"))
    with pytest.raises(RecordError, match=r"client.toml: has \[field\], but serves no <force>"):
        read_samples(campaign, Skip())


def test_fixed_voltages_in_a_cell_that_changes_are_no_fixed_field_and_refused(
    campaign: Campaign,
) -> None:
    folder = campaign.runs["one"].folder
    client, xml = folder / "client.toml", folder / "input.xml"
    client.write_text(client.read_text().replace("[field]\n", "[field]\nreduced = true\n"))
    read_samples(campaign, Skip())  # the cell does not change
    xml.write_text(xml.read_text().replace("<dynamics mode='nve'", "<dynamics mode='npt'"))
    with pytest.raises(RecordError, match="reduced = true fixes the voltages"):
        read_samples(campaign, Skip())


def test_a_fixed_displacement_is_no_field_and_refused(campaign: Campaign) -> None:
    client = campaign.runs["one"].folder / "client.toml"
    client.write_text(client.read_text().replace("[field]", "[displacement]"))
    with pytest.raises(RecordError, match=r"client.toml: \[displacement\] does not fix the field"):
        read_samples(campaign, Skip())


def test_an_input_without_a_temperature_is_refused(campaign: Campaign) -> None:
    finish(campaign)
    xml = campaign.runs["one"].folder / "input.xml"
    xml.write_text(xml.read_text().replace("ensemble>", "other>"))
    with pytest.raises(RecordError, match=r"no <temperature> in <ensemble>"):
        read_samples(campaign, Skip())
