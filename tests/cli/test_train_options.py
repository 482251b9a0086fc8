"""Options of ``mlobs train`` that are wrong are refused before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mlobs_client.cli.train import command


@pytest.mark.parametrize(
    "wrong", ["channel=4", "channels=0", "channels=4-4", "degree=3", "radial=8,layers"]
)
def test_parts_of_a_network_are_named_or_refused(wrong: str, tmp_path: Path) -> None:
    line = ["potential", "nowhere.extxyz", "-o", str(tmp_path / "o"), "--network", wrong]
    found = CliRunner().invoke(command, line)
    assert found.exit_code == 2
    assert "write channels=32" in found.output


@pytest.mark.parametrize("wrong", ["gas.extxyz", "gas.extxyz=", "=1", "gas.extxyz=0", "a=nan"])
def test_a_further_file_needs_a_weight(wrong: str, tmp_path: Path) -> None:
    line = ["potential", "nowhere.extxyz", "-o", str(tmp_path / "o"), "--also", wrong]
    found = CliRunner().invoke(command, line)
    assert found.exit_code == 2
    assert "write FILE=WEIGHT, as in gas.extxyz=0.1" in found.output


def test_size_and_cutoff_are_those_of_the_networks_to_start_from(tmp_path: Path) -> None:
    line = ["potential", "nowhere.extxyz", "-o", str(tmp_path / "o"), "--start", "a.model"]
    found = CliRunner().invoke(command, [*line, "--cutoff", "5"])
    assert found.exit_code == 2
    assert "--cutoff is that of the networks of --start" in found.output
