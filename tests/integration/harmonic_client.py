"""A client with exact numbers: four charges on springs, in numpy only.

Run as ``harmonic_client.py unix NAME [PAUSE]`` or ``harmonic_client.py HOST PORT [PAUSE]``. It
prints how many structures it has evaluated. Neither the springs nor the dipole are isotropic,
so the virial and the Born charges are not symmetric.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from mlobs_client.errors import MlobsError
from mlobs_client.structure import Array
from mlobs_client.wire.client import run_client
from mlobs_client.wire.extras import encode
from mlobs_client.wire.protocol import Evaluate, Reply
from mlobs_client.wire.transport import TcpAddress, UnixAddress

SPRINGS = np.array([[0.05, 0.01, 0.0], [0.01, 0.07, -0.02], [0.0, -0.02, 0.06]])
# mu_i = sum_Ij Z[I, i, j] R_Ij; the sum over atoms vanishes
BORN_CHARGES = np.random.default_rng(3).normal(size=(4, 3, 3))
BORN_CHARGES -= BORN_CHARGES.mean(axis=0)


def evaluate(cell: Array, positions: Array) -> Reply:
    """Springs to the origin, and a dipole that is linear in the positions."""
    forces = -positions @ SPRINGS
    return Reply(
        energy=-0.5 * float(np.sum(positions * forces)),
        forces=forces,
        virial=positions.T @ forces,
        extras=encode(
            {
                "dipole": np.einsum("Iij,Ij->i", BORN_CHARGES, positions),
                "born_charges": BORN_CHARGES,
            }
        ),
    )


def main(mode: str, where: str, pause: str = "0") -> int:
    """Serve until EXIT; return the exit status."""
    evaluated = 0

    def answer(request: Evaluate) -> list[Reply]:
        nonlocal evaluated
        time.sleep(float(pause))
        evaluated += len(request.positions)
        pairs = zip(request.cells, request.positions, strict=True)
        return [evaluate(cell, positions) for cell, positions in pairs]

    address = UnixAddress(where) if mode == "unix" else TcpAddress(mode, int(where))
    try:
        signum = run_client(address, 30.0, answer)
    except MlobsError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(evaluated)
    return 0 if signum is None else 128 + signum


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
