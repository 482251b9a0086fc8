"""The README: its commands are run, its client file is valid, its tables are those of results/."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mlobs_client.campaign.file import CampaignTable
from mlobs_client.cli import COMMANDS
from mlobs_client.client.config import parse
from mlobs_client.quantities import QUANTITIES
from mlobs_client.tables import validate

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def test_the_campaign_file_and_the_client_file_are_valid() -> None:
    campaign, client = blocks("toml")
    validate(CampaignTable, tomllib.loads(campaign), "README.md")
    parse(tomllib.loads(client), "README.md")


def test_every_command_that_it_names_exists() -> None:
    named = set(re.findall(r"\bmlobs ([a-z]+(?:-[a-z]+)*)\b", README))
    assert named - {"is", "check"} <= set(COMMANDS)


def test_every_quantity_that_it_names_exists() -> None:
    table = README.split("| quantity |")[1].split("\n\n")[0]
    named = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert named - {"forces", "virial", "field"} <= set(QUANTITIES)


def test_its_tables_are_made_from_the_results() -> None:
    tables = runpy.run_path(str(ROOT / "tests" / "long" / "tables.py"))
    assert tables["with_tables"](README) == README


def test_it_names_no_file_that_is_not_there() -> None:
    named = set(re.findall(r"`((?:ipi_inputs|examples|drivers|tests)/[\w/.]*)`", README))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.timeout(600)
def test_its_commands_work_one_after_the_other(tmp_path: Path) -> None:
    folder = tmp_path
    for words in commands():
        if words[0] == "cd":
            folder = folder / words[1]
            continue
        if words[1] in ("ir", "vdos"):
            words += ["--resolution", "3000", "--blocks", "2"]  # the last one counts
        command = [sys.executable, "-m", "mlobs_client", *words[1:]]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
        if words[1] == "init":
            shorten(folder / words[3] / "input.xml")


def shorten(path: Path) -> None:
    """Two beads and 80 steps in place of 20 ps."""
    text = re.sub(r"<total_steps>\s*\d+", "<total_steps> 80", path.read_text())
    text = re.sub(r"nbeads='\d+'", "nbeads='2'", text)
    path.write_text(re.sub(r"<batch_size>\s*\d+", "<batch_size> 1", text))
