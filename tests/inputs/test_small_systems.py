from __future__ import annotations

from pathlib import Path

import pytest

from mlobs_client.inputs.small_systems import small_atoms, small_models
from mlobs_client.inputs.starting_structure import prepare

BOX = Path(__file__).parents[2] / "ipi_inputs" / "water-nvt" / "init.xyz"
PERIODIC = {"molecule": 0, "crystal": 3, "slab": 2, "liquid": 3}


@pytest.mark.parametrize("kind", PERIODIC)
def test_a_small_system_is_of_its_kind_and_needs_no_change(kind: str, tmp_path: Path) -> None:
    start = prepare(small_atoms(kind, BOX), kind)
    assert start.atoms.pbc.sum() == PERIODIC[kind]
    assert start.notes == []
    assert (len(start.fixed) > 0) == (kind == "slab")
    models = small_models(kind, start, tmp_path)
    assert models.has_virial
    assert ("dipole" in models.extras) == (kind in ("molecule", "liquid"))
