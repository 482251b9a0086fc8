"""Files of a small run: one water molecule with an analytic potential, in a triclinic cell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import pytest
from ipi_runs import WATER, make_input

from mlobs_client.check.agreement import check_agreement
from mlobs_client.check.files import check_files
from mlobs_client.check.finding import Finding, Level
from mlobs_client.check.inputs import check_input
from mlobs_client.check.ipi_parser import ParsedInput
from mlobs_client.check.strides import check_strides
from mlobs_client.check.structures import check_structure
from mlobs_client.client import config as client_file
from mlobs_client.client.service import ClientFile
from mlobs_client.ipi import input as ipi_input
from mlobs_client.units import ANGSTROM

OUTPUT = """<output prefix='simulation'>
    <properties filename='out' stride='2'> [ step, temperature{kelvin}, potential ] </properties>
    <trajectory filename='dipole' stride='2' extra_type='dipole'> extras </trajectory>
  </output>"""
SOCKET = "<ffsocket name='mlobs' mode='unix' pbc='False'> <address> tiny </address> </ffsocket>"
CLIENT = """structure = "init.xyz"
[socket]
address = "tiny"
[potential]
kind = "toy"
name = "qtip4pf"
[observables]
extras = ["dipole"]
"""
FIELD = "[field]\nvector = [0.0, 0.01, 0.05]\nunit = 'V/angstrom'\n"


class Case:
    """The files of a run, right at first; a test breaks one thing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.input = folder / "input.xml"
        self.client = folder / "client.toml"
        self.structure = folder / "init.xyz"
        self.input.write_text(make_input(OUTPUT, SOCKET, beads=4))
        self.client.write_text(CLIENT)
        self.structure.write_text(WATER)

    def replace(self, path: Path, old: str, new: str) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def add_field(self, name: str = "field") -> None:
        self.client.write_text(CLIENT + FIELD.replace("[field]", f"[{name}]"))

    def drive_with_charges_of_the_client(self) -> None:
        self.replace(self.input, "mode='dynamics'", "mode='driven_dynamics'")
        self.replace(self.input, "<timestep", "<bec mode='driver'/> <timestep")

    def add_second(self, extras: str = '["dipole"]') -> Path:
        """Another forcefield "two", and its client file with these extras."""
        socket = "<ffsocket name='two' mode='unix'> <address> two </address> </ffsocket>"
        self.replace(self.input, "  <system>", f"{socket}\n  <system>")
        self.replace(self.input, "<forces>", "<forces> <force forcefield='two'/>")
        path = self.folder / "two.toml"
        text = self.client.read_text().replace("tiny", "two")
        path.write_text(text.replace('["dipole"]', extras))
        return path

    def judge_input(self) -> list[Finding]:
        return list(check_input(ipi_input.read(self.input)))

    def judge_agreement(
        self, *more: Path, others_serve: bool = False, n_clients: int = 1
    ) -> list[Finding]:
        files = (self.client, *more)
        clients = [ClientFile(path, client_file.load_config(path), n_clients) for path in files]
        ipi = ipi_input.read(self.input)
        return list(check_agreement(ipi, clients, n_beads=4, others_serve=others_serve))

    def judge_strides(self, n_clients: int = 1) -> list[Finding]:
        clients = [ClientFile(self.client, client_file.load_config(self.client), n_clients)]
        return list(check_strides(ipi_input.read(self.input), clients))

    def parse(self, **other: Any) -> ParsedInput:
        """What i-PI makes of the input, without asking it."""
        atoms = ase.io.read(self.structure)
        right = ParsedInput(
            tuple(atoms.symbols), atoms.positions * ANGSTROM, atoms.cell.array * ANGSTROM, n_beads=4
        )
        return replace(right, **other)

    def judge_structure(self, parsed: ParsedInput) -> list[Finding]:
        client = ClientFile(self.client, client_file.load_config(self.client))
        return list(check_structure(ipi_input.read(self.input), parsed, client))

    def judge_all(self) -> list[Finding]:
        return list(check_files(self.input, [self.client]))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def select(findings: list[Finding], level: str) -> list[str]:
    """The texts of one level, what and remedy together; a remedy is never missing."""
    chosen = [finding for finding in findings if finding.level is Level(level)]
    if level != "ok":
        assert all(finding.remedy for finding in chosen)
    return [f"{finding.what} -> {finding.remedy}" for finding in chosen]


@pytest.fixture
def texts():
    return select
