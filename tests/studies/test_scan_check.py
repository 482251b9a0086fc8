"""What the analysis of a field scan will need is asked for before the first run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from scans import write_scan

from mlobs_client.campaign.campaign import load
from mlobs_client.cli.campaign import plan
from mlobs_client.cli.field_scan import command
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.studies.scan_check import check_scan


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return write_scan(tmp_path, (0.0, 0.1, 0.2), (1, 2), 100)


def edit(scan: Path, file: str, pattern: str, new: str) -> None:
    path = scan.parent / "template" / file
    text = path.read_text()
    changed = re.sub(pattern, new, text, flags=re.DOTALL)
    assert changed != text
    path.write_text(changed)


def test_the_shipped_scan_lacks_nothing(scan: Path) -> None:
    check_scan(load(scan))


@pytest.mark.parametrize(
    ("pattern", "new", "said"),
    [
        (r"time\{", "potential{", r"no <properties> has step and time; write for example <prop"),
        (r"<trajectory filename='pos'.*?</trajectory>", "", r"add <trajectory filename='pos'> pos"),
        (r"<trajectory filename='vel'.*?</trajectory>", "", r"add <trajectory filename='vel'> v_c"),
        (r"<trajectory filename='dipole'.*?</trajectory>", "", r"extra_type='dipole'> extras"),
        (r"<temperature .*?</temperature>", "", r"has no <temperature> in <ensemble>"),
    ],
)
def test_an_input_that_lacks_something_is_found_by_the_template(
    scan: Path, pattern: str, new: str, said: str
) -> None:
    edit(scan, "input.xml", pattern, new)
    where = re.escape(str(scan.parent / "template" / "input.xml"))
    with pytest.raises(ConfigError, match=f"run .*beads=.* could not be analysed: {where}.*{said}"):
        check_scan(load(scan))


def test_a_line_as_the_remedy_has_it_is_enough(scan: Path) -> None:
    edit(scan, "input.xml", r"<trajectory filename='vel'.*?</trajectory>", "")
    with pytest.raises(ConfigError) as raised:
        check_scan(load(scan))
    (tag,) = re.findall(r"add (<trajectory .*</trajectory>)", str(raised.value))
    edit(scan, "input.xml", "</output>", f"{tag}</output>")
    check_scan(load(scan))


def test_a_campaign_without_averages_is_said_by_its_plan(scan: Path) -> None:
    said = "no <properties> in the input: 'mlobs campaign collect' will have nothing to average"
    before = CliRunner().invoke(plan, [str(scan)], catch_exceptions=False)
    assert said not in before.output
    edit(scan, "input.xml", r"<properties.*?</properties>", "")
    after = CliRunner().invoke(plan, [str(scan)], catch_exceptions=False)
    assert said in after.output


def test_a_scan_without_a_field_is_refused_before_anything_is_run(scan: Path) -> None:
    scan.write_text(re.sub(r"(?m)^field = .*", "field = [0.0]", scan.read_text()))
    done = CliRunner().invoke(command, [str(scan), "-o", str(scan.parent / "out")])
    assert isinstance(done.exception, RecordError)
    assert "all fields are zero" in str(done.exception)
    assert not (scan.parent / "runs").exists()
