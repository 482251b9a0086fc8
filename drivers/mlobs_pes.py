"""Run mlobs inside i-PI's own driver, through MPI, shared memory, or no transport at all.

As a socket client (--shm for shared memory, --mpi under mpirun):
    i-pi-driver-py -u -a ADDRESS -m custom -P mlobs_pes.py -o client=client.toml
Inside i-PI:
    <ffdirect name='mlobs'><pes>custom</pes><pes_path>mlobs_pes.py</pes_path>
      <parameters>{client: client.toml}</parameters></ffdirect>
"""

import os
from pathlib import Path

import numpy as np
from ipi.pes.dummy import Dummy_driver

from mlobs_client.client import ClientSession

__DRIVER_NAME__ = "custom"
__DRIVER_CLASS__ = "MlobsDriver"


class MlobsDriver(Dummy_driver):
    """Evaluates models, terms and observables of a client file, whose [socket] is not used."""

    def __init__(self, client="client.toml", *args, **kwargs):
        self.client = Path(client)
        super().__init__(*args, **kwargs)

    def check_parameters(self):
        # several drivers of one job must not share a record
        self.session = ClientSession.from_file(self.client, name=f"driver-{os.getpid()}")

    def compute(self, cell, pos):
        """Evaluate one structure or a list; i-PI's cells have the lattice vectors as columns."""
        batched = isinstance(cell, list)
        cells = np.array(cell if batched else [cell]).transpose(0, 2, 1)
        positions = np.array(pos if batched else [pos]).reshape(len(cells), -1, 3)
        replies = self.session(cells, positions)
        results = [(r.energy, r.forces, r.virial.T, r.extras.decode()) for r in replies]
        return results if batched else results[0]
