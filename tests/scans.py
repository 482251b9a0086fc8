"""Field scans whose answers are known: of molecules that are drawn, and of a toy with i-PI."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlobs_client.cli.init import copy_kind
from mlobs_client.ipi import Trajectory
from mlobs_client.ipi.labels import masses_of
from mlobs_client.studies.samples import Sample
from mlobs_client.units import ANGSTROM, FEMTOSECOND, KELVIN, PICOSECOND, VOLT_PER_ANGSTROM

Array = npt.NDArray[np.float64]
KT = 300.0 * KELVIN
CELL = 9.0 * ANGSTROM * np.eye(3)
DIRECTION = np.array([2.0, -1.0, 2.0]) / 3.0
GRID = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) / 2.0
N_MOLECULES = len(GRID)
MOMENT = 0.7  # e bohr, of a molecule
BOND, ANGLE = 0.975 * ANGSTROM, np.deg2rad(105.0)
SPACING = 10.0 * FEMTOSECOND
CLUSTER = """9
Lattice="12 0 0 1 13 0 -1 2 14" Properties=species:S:1:pos:R:3 pbc="F F F"
O 0.0 0.0 0.0
H 0.757 0.586 0.0
H -0.757 0.586 0.1
O 0.1 -0.3 3.0
H 0.857 0.286 3.0
H -0.657 0.286 3.1
O 2.9 0.2 0.3
H 3.657 0.786 0.3
H 2.143 0.786 0.4
"""
"""Three molecules for q-TIP4P/F."""
TOYS = """[potential]
kind = "toy"
name = "qtip4pf"

[dipole]
kind = "toy"
name = "qtip4pf"

[field]"""


def draw_sample(
    strength: float, diffusion: float, n_beads: int = 1, n_samples: int = 400, seed: int = 0
) -> Sample:
    """Independent rigid molecules in a field: Langevin's orientations, Brownian steps.

    Args:
        strength: of the field, V/angstrom, along DIRECTION; negative, against it.
        diffusion: angstrom^2/ps.
        n_beads: all at the same place.
        n_samples: every 10 fs, independent but for the places of the molecules.
        seed: of all that is drawn.
    """
    rng = np.random.default_rng(seed)
    field = strength * VOLT_PER_ANGSTROM * DIRECTION
    axes = _draw_axes(abs(float(field @ DIRECTION)) * MOMENT / KT, n_samples, rng)
    axes *= np.copysign(1.0, strength)
    sideways = np.cross(axes, rng.normal(size=axes.shape))
    sideways /= np.linalg.norm(sideways, axis=-1, keepdims=True)
    steps = np.sqrt(2.0 * diffusion * ANGSTROM**2 * 0.01) * rng.normal(size=axes.shape)
    oxygens = GRID @ CELL + np.cumsum(steps, axis=0)
    halves = np.cos(ANGLE / 2) * axes, np.sin(ANGLE / 2) * sideways
    bonds = [BOND * (halves[0] + sign * halves[1]) for sign in (1.0, -1.0)]
    places = np.stack([oxygens, oxygens + bonds[0], oxygens + bonds[1]], axis=2)  # [t, m, OHH, i]
    positions = places.reshape(n_samples, 1, 3 * N_MOLECULES, 3).repeat(n_beads, axis=1)
    return Sample(
        name=f"beads={n_beads}_field={strength:g}_seed={seed}",
        field=field,
        n_beads=n_beads,
        temperature=KT,
        has_barostat=False,
        duration=n_samples * SPACING / PICOSECOND,
        dipoles=MOMENT * axes.sum(axis=1),
        positions=Trajectory(
            np.arange(n_samples),
            "positions",
            np.tile([8, 1, 1], N_MOLECULES),
            positions,
            np.tile(CELL, (n_samples, 1, 1)),
            ("O", "H", "H") * N_MOLECULES,
        ),
        positions_spacing=SPACING,
        velocities=np.diff(positions[:, 0], axis=0, append=positions[-1:, 0]) / SPACING,
        velocities_spacing=SPACING,
        masses=masses_of(("O", "H", "H") * N_MOLECULES),
    )


def _draw_axes(strength: float, n_samples: int, rng: np.random.Generator) -> Array:
    """Unit vectors [t, m, i] with the density exp(strength cos(theta))."""
    u, phi = rng.uniform(size=(2, n_samples, N_MOLECULES))
    cosine = 2.0 * u - 1.0
    if strength > 0.0:  # by inversion of the integral
        cosine = 1.0 + np.log(u + (1.0 - u) * np.exp(-2.0 * strength)) / strength
    first = np.cross(DIRECTION, [0.6, 0.0, 0.8])
    first /= np.linalg.norm(first)
    second = np.cross(DIRECTION, first)
    around = np.cos(phi)[..., None] * first + np.sin(phi)[..., None] * second
    sine = np.sqrt(1.0 - cosine**2)[..., None]
    return np.asarray(cosine[..., None] * DIRECTION + sine * around)


def write_scan(
    folder: Path, fields: Sequence[float], beads: Sequence[int], steps: int, at_once: int = 1
) -> Path:
    """The shipped field scan with analytic models of three molecules; returns its file."""
    copy_kind("field-scan", folder)
    campaign, template = folder / "campaign.toml", folder / "template"
    text = re.sub(r"(?m)^field = \[.*?\]", f"field = {list(fields)}", campaign.read_text())
    text = re.sub(r"(?m)^beads = \[.*?\]", f"beads = {list(beads)}", text)
    campaign.write_text(re.sub(r"at_once = \d+", f"at_once = {at_once}", text))
    (template / "init.xyz").write_text(CLUSTER)
    client = (template / "client.toml").read_text()
    client = re.sub(r"\[potential\].*?\[field\]", TOYS, client, flags=re.DOTALL)
    (template / "client.toml").write_text(f'virial = "none"\n{client}')
    xml = (template / "input.xml").read_text()
    xml = re.sub(r"stride='\d+'", "stride='2'", xml)
    xml = re.sub(r"<total_steps> \d+", f"<total_steps> {steps}", xml)
    (template / "input.xml").write_text(xml.replace("0.5 </timestep>", "0.25 </timestep>"))
    return campaign
