"""Names of files are free in i-PI's input: what they hold tells what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlobs_client.errors import RecordError
from mlobs_client.ipi.finding import find_output, find_outputs

XYZ = "1\n# CELL(abcABC): 9 9 9 90 90 90 Step: 0 Bead: 0 {}{{atomic_unit}}\nH 0 0 0\n"


def make(folder: Path, **contents: str) -> Path:
    """Files of one run by the names of their outputs, and some that are none of them."""
    for name, content in contents.items():
        (folder / f"sim.{name.replace('__', '.')}").write_text(content)
    (folder / "sim.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(range(256)))
    (folder / "other.vel.xyz").write_text(XYZ.format("velocities"))
    (folder / "sim.2.vel.xyz").write_text(XYZ.format("velocities"))
    return folder / "sim"


def test_outputs_are_known_by_what_they_hold(tmp_path: Path) -> None:
    prefix = make(
        tmp_path,
        v_0__xyz=XYZ.format("velocities"),
        v_1__xyz=XYZ.format("velocities"),
        vc__xyz=XYZ.format("v_centroid"),
        mu_0=" #EXTRAS(mu, q)# Step:  0 \n 1 2 3 4\n",
        md="# column   1     --> step : The current simulation time step.\n",
        RESTART="<simulation/>\n",
    )
    assert {(o.path.name, o.name, o.holds) for o in find_outputs(prefix)} == {
        ("sim.v", "v", ("velocities",)),
        ("sim.vc.xyz", "vc", ("v_centroid",)),
        ("sim.mu", "mu", ("mu", "q")),
        ("sim.md", "md", ("properties",)),
    }
    both = ("v_centroid", "velocities")
    assert find_output(prefix, both, "vel", "say which").name == "sim.vc.xyz"
    (tmp_path / "sim.vc.xyz").unlink()
    assert find_output(prefix, both, "vel", "say which").name == "sim.v"


def test_of_several_outputs_of_one_kind_the_usual_name_is_taken_or_none(tmp_path: Path) -> None:
    prefix = make(tmp_path, a__xyz=XYZ.format("v_centroid"), b__xyz=XYZ.format("v_centroid"))
    with pytest.raises(RecordError, match=r"sim\.a\.xyz, sim\.b\.xyz all hold v_centroid; say"):
        find_output(prefix, ("v_centroid",), "vel", "say which")
    make(tmp_path, vel__xyz=XYZ.format("v_centroid"))
    assert find_output(prefix, ("v_centroid",), "vel", "say which").name == "sim.vel.xyz"


def test_what_is_there_instead_is_listed(tmp_path: Path) -> None:
    prefix = make(tmp_path, vel__xyz=XYZ.format("positions"))
    with pytest.raises(RecordError, match=r"no output holds .*there are sim\.vel\.xyz \(positions"):
        find_output(prefix, ("velocities",), "vel", "say which")
