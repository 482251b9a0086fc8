"""Read the ``<ff...>`` tags of an input of i-PI, and derive the extras that i-PI gets from them.

Source:
    i-PI 3.3.1, ``ipi/inputs/forcefields.py`` with its defaults; ``gather`` of ``FFCommittee`` and
    ``FFRotations``, and ``FFPlumed.evaluate``, in ``ipi/engine/forcefields.py``.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mlobs_client.ipi.tags import attribute_of, is_true, split_list, text_of

COMMITTEE: Final = ("pot", "uncertainty", "force", "virial")
BASELINE: Final = (
    "baseline_pot", "baseline_force", "baseline_virial", "baseline_extras", "wb_mixing"
)  # fmt: skip


@dataclass(frozen=True)
class Forcefield:
    """A forcefield, ``<ff...>``.

    Attributes:
        kind: name of the tag, for example ``ffsocket``.
        name: name to which ``<force forcefield=...>`` refers.
        pbc: whether positions are wrapped before they are sent; None if the tag does not say.
        mode: mode of a socket: ``unix``, ``inet`` or ``shm``.
        address: address of a socket.
        port: port of an inet socket.
        batch_size: number of structures in one message.
        matching: assignment of clients to beads: ``auto``, ``any`` or ``lock``.
        members: names of the forcefields inside this one.
        baseline: name of the forcefield that is the baseline of a committee; empty if none is.
        plumed_extras: extras that are requested from PLUMED.
        loads: texts that may name files that i-PI itself loads, such as models.
        n_photons: number of photons, which are the last atoms and have the label ``L``.
    """

    kind: str
    name: str
    pbc: bool | None
    mode: str
    address: str
    port: int
    batch_size: int
    matching: str = "auto"
    members: tuple[str, ...] = ()
    baseline: str = ""
    plumed_extras: tuple[str, ...] = ()
    loads: tuple[str, ...] = ()
    n_photons: int = 0

    def extras(self, sent: Mapping[str, frozenset[str]]) -> frozenset[str] | None:
        """Return the keys of the extras that i-PI gets from the forcefield.

        Args:
            sent: keys that clients send, by the names of the forcefields.

        Returns:
            All keys; None if they are unknown, because other programs send them.
        """
        if self.kind == "ffplumed":
            return frozenset(self.plumed_extras)
        if self.kind == "ffcommittee":
            return self._of_committee(sent)
        if self.kind == "ffrotations":
            inner = sent.get(self.members[0]) if self.members else frozenset[str]()
            return None if inner is None else inner | {"o3grid_pots"}
        return sent.get(self.name) if self.can_send else frozenset()

    @property
    def can_send(self) -> bool:
        """True if extras come from a driver, not from i-PI itself."""
        return self.kind in ("ffsocket", "ffcavphsocket", "ffdirect", "ffmpi")

    @property
    def made(self) -> frozenset[str]:
        """Keys of the extras that i-PI itself makes, whatever the members are."""
        if self.kind == "ffcommittee":
            baseline = BASELINE if self.baseline else ()
            return frozenset((*(f"committee_{name}" for name in COMMITTEE), *baseline))
        return frozenset(("o3grid_pots",) if self.kind == "ffrotations" else self.plumed_extras)

    def _of_committee(self, sent: Mapping[str, frozenset[str]]) -> frozenset[str] | None:
        """Return the keys of a committee, which passes on the extras of its last member."""
        members = [name for name in self.members if name != self.baseline]
        last = sent.get(members[-1]) if members else frozenset[str]()
        return None if last is None else self.made | {f"committee_{key}" for key in last}


def read_forcefields(root: ET.Element) -> tuple[Forcefield, ...]:
    """Read all forcefields, including those inside ``<ffcommittee>`` and ``<ffrotations>``.

    Raises:
        ValueError: a text is not a number.
    """
    return tuple(_read(tag) for tag in root.iter() if _is_forcefield(tag))


def _is_forcefield(tag: ET.Element) -> bool:
    return re.fullmatch(r"ff[a-z]+", tag.tag) is not None


def _read(tag: ET.Element) -> Forcefield:
    pbc = tag.get("pbc")
    return Forcefield(
        kind=tag.tag,
        name=attribute_of(tag, "name", ""),
        pbc=None if pbc is None else is_true(pbc),
        mode=attribute_of(tag, "mode", "inet"),
        address=text_of(tag, "address", "localhost"),
        port=int(text_of(tag, "port", "65535")),
        batch_size=int(text_of(tag, "batch_size", "1")),
        matching=attribute_of(tag, "matching", "auto"),
        members=tuple(attribute_of(one, "name", "") for one in tag if _is_forcefield(one)),
        baseline=text_of(tag, "baseline_name", ""),
        plumed_extras=split_list(text_of(tag, "plumed_extras", "")),
        loads=_what_is_loaded(tag),
        n_photons=_count_photons(tag),
    )


def _what_is_loaded(tag: ET.Element) -> tuple[str, ...]:
    """Return all values of the parameters of ``<ffdirect>``, and the model of ``<ffsgdml>``.

    Values can be lists or mappings, but names can contain brackets, so values are split both ways.
    """
    name = {"ffdirect": "parameters", "ffsgdml": "sGDML_model"}.get(tag.tag)
    if name is None:
        return ()
    text = ",".join("".join(one.itertext()) for one in tag.iter(name))
    parts = [*re.split("[{},]", text), *re.split(r"[{},\[\]]", text)]
    values = (value for part in parts for value in (part, part.partition(":")[2]))
    return tuple({value.strip(" \n\t'\"") for value in values} - {""})


def _count_photons(tag: ET.Element) -> int:
    """Return the number of photons: one for each direction, or one for both."""
    has_photons = tag.tag == "ffcavphsocket" and is_true(text_of(tag, "apply_photon", "false"))
    return (1 if text_of(tag, "ph_rep", "loose") == "dense" else 2) if has_photons else 0


def find_parent(name: str, forcefields: Sequence[Forcefield]) -> Forcefield | None:
    """Return the forcefield that contains the one with this name, if any."""
    return next((ff for ff in forcefields if name in ff.members), None)
