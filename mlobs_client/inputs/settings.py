"""Choose what follows from a structure and an ensemble: time step, beads, thermostat, strides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from mlobs_client.errors import ConfigError
from mlobs_client.inputs.starting_structure import Start
from mlobs_client.units import FEMTOSECOND, INVERSE_CM

Ensemble = Literal["nve", "nvt", "npt", "trpmd"]

TIMESTEPS: Final = (
    (1.5, 0.5, 3700.0),  # O-H
    (2.5, 0.7, 2700.0),  # O-D
    (25.0, 1.0, 2360.0),  # N-N
    (np.inf, 2.0, 800.0),  # P-P
)
"""Upper limit of the lightest mass (u), time step (fs), and largest wavenumber of its bonds, cm^-1,
which velocity Verlet then moves by at most 20 cm^-1."""
TRPMD_BEADS: Final = 8
SAMPLING: Final = 2.0  # fs between velocities or dipoles: spectra up to 8000 cm^-1
LENGTH: Final = 20_000.0  # fs
COLLECTIVE: Final = 500.0  # fs, of a thermostat on the total kinetic energy
LOCAL: Final = 1000.0  # fs, of a thermostat on each atom; broadens lines by 1/(2 pi c tau)


@dataclass(frozen=True)
class Settings:
    """The settings of a run that do not depend on its models.

    Attributes:
        ensemble: nve, nvt, npt at 1 bar, or trpmd.
        temperature: K.
        beads: number of beads of the ring polymer.
        timestep: fs.
        stride: steps between two velocities or dipoles.
        is_local: the thermostat acts on each atom, not on the total kinetic energy.
        fastest: largest wavenumber of a bond of the lightest atom, cm^-1.
    """

    ensemble: Ensemble
    temperature: float
    beads: int
    timestep: float
    stride: int
    is_local: bool
    fastest: float

    @property
    def shift(self) -> float:
        """Amount by which velocity Verlet moves the fastest vibration, cm^-1."""
        phase = self.fastest * INVERSE_CM * self.timestep * FEMTOSECOND
        return self.fastest * phase**2 / 24.0

    @property
    def n_steps(self) -> int:
        """Steps of 20 ps, a multiple of all strides."""
        longest = 10 * self.stride
        return longest * round(LENGTH / self.timestep / longest)

    @property
    def batch_size(self) -> int:
        """Beads that each of two clients gets at once."""
        return -(-self.beads // 2)

    @property
    def command(self) -> str:
        """The line that starts the run."""
        return f"mlobs run input.xml client.toml{' -n 2' if self.beads > 1 else ''}"


def choose(
    start: Start,
    ensemble: Ensemble = "nvt",
    temperature: float = 300.0,
    beads: int | None = None,
    timestep: float | None = None,
) -> Settings:
    """Choose what is not given.

    Args:
        start: the structure.
        ensemble: of the run.
        temperature: K.
        beads: 8 by default for trpmd, else 1.
        timestep: fs; by default that of :data:`TIMESTEPS` for the lightest atom.

    Raises:
        ConfigError: the ensemble does not fit the structure or the number of beads.
    """
    _check(start, ensemble, beads)
    _, usual, fastest = next(row for row in TIMESTEPS if start.lightest < row[0])
    step = usual if timestep is None else timestep
    # a global thermostat neither reaches single vibrations of a molecule nor spares fixed atoms
    is_local = not start.atoms.pbc.any() or len(start.fixed) > 0
    return Settings(
        ensemble,
        temperature,
        beads or (TRPMD_BEADS if ensemble == "trpmd" else 1),
        step,
        max(1, round(SAMPLING / step)),
        is_local,
        fastest,
    )


def _check(start: Start, ensemble: Ensemble, beads: int | None) -> None:
    if ensemble == "trpmd" and beads == 1:
        raise ConfigError(
            "--ensemble trpmd with --beads 1 is classical; give more beads, or --ensemble nvt"
        )
    if ensemble != "npt":
        return
    if not start.atoms.pbc.all():
        raise ConfigError(
            f"--ensemble npt changes the cell, but the structure is {start.description}, with pbc "
            f"= {start.atoms.pbc.tolist()}; use --ensemble nvt"
        )
    if len(start.fixed):
        raise ConfigError(
            "--ensemble npt moves all atoms with the cell, but the structure has fixed atoms; use "
            "--ensemble nvt, or remove the constraint"
        )
