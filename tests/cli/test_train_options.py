"""Options of ``mlobs train`` that are wrong are refused before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mlobs_client.cli.train import command


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("channel=4", "'channel=4': write NAME=N, with a NAME of channels, layers, correlation"),
        ("radial=8,layers", "layers is a whole number from 1 to 8"),
        ("channels=0", "channels is a whole number from 1 to 1024"),
        ("channels=4-4", "channels is a whole number from 1 to 1024"),
        ("degree=3", "degree is a whole number from 0 to 2"),
        ("layers=9999999", "layers is a whole number from 1 to 8"),
        ("radial=8-x", "a whole number from 1 to 1024, or several of them such as 64-64"),
        ("layers=2,layers=3", "layers is given twice"),
    ],
)
def test_parts_of_a_network_are_refused_with_the_reason(
    wrong: str, said: str, tmp_path: Path
) -> None:
    line = ["potential", "nowhere.extxyz", "-o", str(tmp_path / "o"), "--network", wrong]
    found = CliRunner().invoke(command, line)
    assert found.exit_code == 2
    assert said in " ".join(found.output.split())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("gas.extxyz", "'gas.extxyz' has no weight"),
        ("=1", "'=1' has no weight"),
        ("gas.extxyz=", "the weight '' is not a positive number"),
        ("gas.extxyz=0", "the weight '0' is not a positive number"),
        ("a=nan", "the weight 'nan' is not a positive number"),
    ],
)
def test_a_further_file_needs_a_weight(wrong: str, said: str, tmp_path: Path) -> None:
    line = ["potential", "nowhere.extxyz", "-o", str(tmp_path / "o"), "--also", wrong]
    found = CliRunner().invoke(command, line)
    assert found.exit_code == 2
    output = " ".join(found.output.split())
    assert said in output
    assert "write FILE=WEIGHT, as gas.xyz=0.1" in output


def test_size_and_cutoff_are_those_of_the_networks_to_start_from(tmp_path: Path) -> None:
    line = ["potential", "nowhere.extxyz", "-o", str(tmp_path / "o"), "--start", "a.model"]
    found = CliRunner().invoke(command, [*line, "--cutoff", "5"])
    assert found.exit_code == 2
    assert "--cutoff is that of the networks of --start" in found.output
