"""Compiled and uncompiled give the same, before and after a program is there.

How one of several sizes is chosen: test_networks.py, with programs that are only traced.
"""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from mlobs_client.client.total_energy import predict
from mlobs_client.evaluate.compile import networks as compiled
from mlobs_client.evaluate.compile.background import Background
from mlobs_client.evaluate.compile.networks import CompilationState
from mlobs_client.evaluate.compile.store import ProgramSize
from mlobs_client.evaluate.mace import evaluator as mace
from mlobs_client.evaluate.mace.evaluator import MaceEvaluator
from mlobs_client.evaluate.oxidation import OxidationNumbers
from mlobs_client.structure import Prediction, Structure
from mlobs_client.terms.field import UniformField
from mlobs_client.units import ANGSTROM
from mlobs_client.wire.client import run_client
from mlobs_client.wire.protocol import Evaluate, Reply
from mlobs_client.wire.transport import UnixAddress

FIELD = UniformField(np.array([0.01, -0.02, 0.005]))
WANTED = frozenset({"dipole"})
AGREE = 1e-9  # atomic units; tables have slopes to 2e-11 of the largest one
SMALL = {"max_ell": 1, "correlation": 1, "num_interactions": 1}
"""The smaller a network, the sooner it is compiled."""
START = {"seed": 1, "length": 10.5}
"""It has fewer edges than when it is compressed; the program has room for both."""

NPT = """<simulation verbosity='quiet'>
  <output prefix='out'><properties filename='md'> [step, volume] </properties></output>
  <total_steps> {steps} </total_steps> <prng><seed> 4 </seed></prng>
  <ffsocket name='mace' mode='unix' pbc='False'><address> {address} </address>
    <latency> 1e-4 </latency></ffsocket>
  <system>
    <initialize nbeads='1'><file mode='ase'> init.xyz </file>
      <velocities mode='thermal' units='kelvin'> 100 </velocities></initialize>
    <forces><force forcefield='mace'/></forces>
    <ensemble><temperature units='kelvin'> 100 </temperature>
      <pressure units='gigapascal'> 4 </pressure></ensemble>
    <motion mode='dynamics'><dynamics mode='npt'>
      <timestep units='femtosecond'> 0.1 </timestep>
      <barostat mode='isotropic'><tau units='femtosecond'> 100 </tau>
        <thermostat mode='langevin'><tau units='femtosecond'> 50 </tau></thermostat></barostat>
      <thermostat mode='langevin'><tau units='femtosecond'> 50 </tau></thermostat>
    </dynamics></motion>
  </system>
</simulation>"""


class Pair:
    """One network for energy and dipole, compiled and as it is.

    Attributes:
        n_programs: in use.
        n_compiled: evaluations by programs.
    """

    def __init__(self, network) -> None:
        self._background = Background(patience=0.0)
        self._compiled, self._plain = (
            MaceEvaluator(
                potential_and_dipole=mace.potential_and_dipole(
                    {"it": network("potential and dipole", **SMALL)},
                    oxidation_numbers=OxidationNumbers({"O": -2, "H": 1}),
                    setting=mace.Setting(background=background),
                )
            )
            for background in (self._background, None)
        )
        self.n_compiled = 0

    @property
    def n_programs(self) -> int:
        (committee,) = self._compiled._committees.values()
        (model,) = committee.models
        return len(model._compiled._ready)

    def evaluate(self, structure: Structure, *, patient: bool = True) -> Prediction:
        """By a program, if it is there or worth to wait for; checked against the network."""
        found = self._predict(self._compiled, structure)
        waits = CompilationState.WAITING in self._compiled.compilation
        if patient and waits and not self.n_programs:
            while self._background.running:
                time.sleep(0.1)
            time.sleep(2 * compiled.LOOK_EVERY)
            found = self._predict(self._compiled, structure)
        self.n_compiled += self._compiled.compilation == {CompilationState.READY}
        expected = self._predict(self._plain, structure)
        assert found.energy == pytest.approx(expected.energy, abs=AGREE)
        np.testing.assert_allclose(found.forces, expected.forces, atol=AGREE)
        np.testing.assert_allclose(found.virial, expected.virial, atol=AGREE)
        found_dipole, expected_dipole = (p.observables["dipole"] for p in (found, expected))
        np.testing.assert_allclose(found_dipole, expected_dipole, atol=AGREE)
        return found

    def _predict(self, evaluator: MaceEvaluator, structure: Structure) -> Prediction:
        (prediction,) = predict([structure], [evaluator], [FIELD], WANTED)
        return prediction


@pytest.fixture
def pair(network, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """One program for both tests: the first compiles, the other finds it."""
    monkeypatch.setattr(compiled, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(compiled, "MOST_SIZES", 1)
    monkeypatch.setattr(
        compiled, "padded_size", lambda required: ProgramSize(2, required.n_atoms + 1, 1024, 256)
    )
    monkeypatch.setattr(compiled, "_is_close", lambda required, size: True)
    return Pair(network)


def test_a_run_at_constant_pressure_goes_on_through_a_compilation(
    pair, water, tmp_path: Path
) -> None:
    start = water(3, **START)
    atoms = Atoms(
        start.numbers, start.positions / ANGSTROM, cell=start.cell / ANGSTROM, pbc=start.pbc
    )
    ase.io.write(tmp_path / "init.xyz", atoms, format="extxyz")
    address = f"mlobs-test-{uuid.uuid4().hex[:8]}"
    (tmp_path / "input.xml").write_text(NPT.format(steps=120, address=address))
    n_programs: list[int] = []

    def answer(event: Evaluate) -> Sequence[Reply]:
        structure = Structure(start.numbers, event.positions[0], event.cells[0])
        # in between, some steps without waiting: by the network itself
        found = pair.evaluate(structure, patient=len(n_programs) % 10 == 5)
        n_programs.append(pair.n_programs)
        return [Reply(found.energy, found.forces, found.virial)]

    with (tmp_path / "i-pi.log").open("w") as log:
        command = [Path(sys.executable).with_name("i-pi"), "input.xml"]
        server = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
        try:
            run_client(UnixAddress(address), 30.0, answer)
            assert server.wait(30) == 0
        finally:
            server.kill()
            server.wait()
    volume = np.loadtxt(tmp_path / "out.md")[:, 1]
    assert len(volume) == 121, (tmp_path / "i-pi.log").read_text()
    assert np.ptp(volume) > 0.05 * volume[0], volume
    assert (n_programs[0], n_programs[-1]) == (0, 1)
    assert pair.n_compiled > 100


def test_a_hundred_random_structures_agree_with_the_network(pair, water) -> None:
    random = np.random.default_rng(0)
    pair.evaluate(water(3, **START))
    for seed in range(99):
        pair.evaluate(water(3, seed=seed, length=random.uniform(8.5, 10.5)))
    assert pair.n_compiled > 95  # few have too many edges
