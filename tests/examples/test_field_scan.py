"""The example of a field scan with the bundled models, in a short form."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlobs_client.results import Points, Result

EXAMPLE = Path(__file__).parents[2] / "examples" / "field_scan"
KEPT = tuple(f'\nname = "{name}_seed=1"' for name in ("beads=1_field=0.0", "beads=4_field=0.2"))


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of 36 steps that write each of them."""
    folder = tmp_path_factory.mktemp("example") / "scan"
    shutil.copytree(EXAMPLE, folder)
    text = (folder / "campaign.toml").read_text()
    head, *runs = text.partition("[execution]")[0].split("[[runs]]")
    kept = [run for run in runs if run.startswith(KEPT)]
    assert len(kept) == len(KEPT)
    short = re.sub(r"length = \d+", "length = 36", "[[runs]]".join([head, *kept]))
    (folder / "campaign.toml").write_text(short)
    xml = folder / "template" / "input.xml"
    xml.write_text(re.sub(r"stride='\d+'", "stride='1'", xml.read_text()))
    words = ["field-scan", "campaign.toml", "-o", "short"]
    done = subprocess.run(
        [sys.executable, "-m", "mlobs_client", *words], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def points_of(path: Path, quantity: str) -> list[Points]:
    return [one for one in Result.read(path).points if one.quantity == quantity]


def test_the_result_has_the_quantities_of_the_example(short: Path) -> None:
    expected, found = (
        {(one.quantity, one.unit, one.x_name, one.is_line) for one in Result.read(path).points}
        for path in (EXAMPLE / "expected.json", short / "short.json")
    )
    # two fields for two kinds of nuclei: one at zero field only, and no line
    assert {name for name, *_ in expected - found} <= {"polarization", "D over D at zero field"}
    assert found <= expected
    lengths = points_of(short / "short.json", "O-H length")
    assert [(one.label, one.x.tolist()) for one in lengths] == [
        ("classical", [0.0]),
        ("4 beads", [0.2]),
    ]


def test_quantum_nuclei_have_begun_to_stretch_their_bonds(short: Path) -> None:
    (classical,), (quantum,) = (one.mean for one in points_of(short / "short.json", "O-H length"))
    # 18 fs: beads that start at one point have spread, 0.005 angstrom or more
    assert quantum > classical + 0.002
