"""Let i-PI itself read an input, without starting a run.

i-PI's parser keeps global state, prints, and may end the process, so it runs in a process of its
own: the last line that ``python -m mlobs_client.check.ipi_parser INPUT`` prints is JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from mlobs_client.check.first_outputs import Fault, find_faults
from mlobs_client.check.initial_state import InitialState, describe_state
from mlobs_client.check.models import require_trusted_input
from mlobs_client.errors import ConfigError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.structure import Array

DEADLINE: Final = 300.0  # seconds; <ffdirect> loads its models here
REMEDIES: Final = {
    "could not initialize the cell": "give a cell with a volume in the file of <initialize>, or in "
    "<cell> with its units",
    "No such file": "paths are relative to the folder of the input, in which 'mlobs run' starts "
    "i-PI",
}


@dataclass(frozen=True)
class ParsedInput:
    """The system as i-PI would start it.

    Attributes:
        names: labels of the atoms, in i-PI's order.
        positions: positions of the first bead, shape ``(n_atoms, 3)``, bohr.
        cell: shape ``(3, 3)``, bohr, lattice vectors are rows.
        n_beads: number of beads of the ring polymer.
        faults: mistakes that i-PI would find when it first writes its outputs.
        state: masses, temperatures, time step, fixed coordinates.
    """

    names: tuple[str, ...]
    positions: Array
    cell: Array
    n_beads: int
    faults: tuple[Fault, ...] = ()
    state: InitialState | None = None


def parse_with_ipi(path: Path, folder: Path | None = None) -> ParsedInput:
    """Let i-PI read an input with all its files.

    Args:
        path: path of the XML.
        folder: folder to which paths in the XML are relative; by default, the folder of the XML.

    Raises:
        ConfigError: i-PI refuses the input; the message is i-PI's own.
        ModelError: i-PI would load models that are not trusted.
    """
    folder = path.parent if folder is None else folder
    require_trusted_input(ipi_input.read(path), folder)
    answer = _ask(path, folder)
    if "refused" in answer:
        raise ConfigError(f"{path}: i-PI refuses it: {_with_remedy(answer['refused'], path)}")
    return ParsedInput(
        names=tuple(answer["names"]),
        positions=np.array(answer["positions"], dtype=np.float64).reshape(-1, 3),
        cell=np.array(answer["cell"], dtype=np.float64),
        n_beads=int(answer["n_beads"]),
        faults=tuple(Fault(*fault) for fault in answer["faults"]),
        state=InitialState.from_json(answer["state"]),
    )


def _ask(path: Path, folder: Path) -> dict[str, Any]:
    """Read the input in a separate process."""
    file = os.path.relpath(path.absolute(), folder.absolute())
    command = [sys.executable, "-m", "mlobs_client.check.ipi_parser", file]
    try:
        process = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"{path}: i-PI did not finish reading it within {DEADLINE:g} s") from None
    last = (process.stdout.strip().splitlines() or [""])[-1]
    try:
        answer: dict[str, Any] = json.loads(last)
    except json.JSONDecodeError:
        reason = (process.stderr.strip().splitlines() or [f"exit status {process.returncode}"])[-1]
        raise ConfigError(f"{path}: i-PI cannot read it: {reason}") from None
    return answer


def _with_remedy(refusal: str, path: Path) -> str:
    for words, remedy in REMEDIES.items():
        if words in refusal:
            return f"{refusal}; {remedy}"
    return f"{refusal}; correct it in {path.name}"


def _describe_input(name: str) -> dict[str, Any]:
    """Read the input with i-PI; this runs in the separate process."""
    from ipi.engine.simulation import Simulation

    with Path(name).open() as stream:
        simulation = Simulation.load_from_xml(stream, custom_verbosity="quiet", read_only=True)
    system = simulation.syslist[0]
    return {
        "names": [str(label) for label in system.beads.names],
        "positions": np.asarray(system.beads.q[0]).tolist(),
        "cell": np.asarray(system.cell.h).T.tolist(),  # i-PI has the vectors as columns
        "n_beads": int(system.beads.nbeads),
        "faults": list(find_faults(simulation)),
        "state": describe_state(simulation),
    }


def _answer(name: str) -> dict[str, Any]:
    """Return the input as i-PI reads it, or the reason why i-PI refuses it."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return _describe_input(name)
    except Exception as error:  # i-PI raises anything
        text = " ".join(str(error).split())
        return {"refused": f"{type(error).__name__}: {text}"}


if __name__ == "__main__":
    print(json.dumps(_answer(sys.argv[1])))
