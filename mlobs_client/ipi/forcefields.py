"""The ``<ff...>`` of an input of i-PI, and the extras that i-PI makes of theirs.

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
    """One ``<ff...>``.

    Attributes:
        kind: the tag, for example ``ffsocket``.
        name: what ``<force forcefield=...>`` refers to.
        pbc: whether positions are wrapped before they are sent; None where it is not written.
        mode: ``unix``, ``inet`` or ``shm`` of a socket.
        address: of a socket.
        port: of an inet socket.
        batch_size: structures in one message.
        matching: ``auto``, ``any`` or ``lock``: which client gets which bead.
        members: names of the forcefields inside of it.
        baseline: name of the one that gives the baseline of a committee; empty without.
        plumed_extras: what PLUMED is asked for.
        loads: texts that may name files that i-PI itself loads, models among them.
        n_photons: how many of the last atoms, labelled ``L``, are photons that no client sees.
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
        """Return the keys of the extras that come out of it.

        Args:
            sent: the keys that clients send, by the name of the forcefield.

        Returns:
            All keys; None where they are not known, because others send them.
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
        """Whether extras come from a program, and not from i-PI itself."""
        return self.kind in ("ffsocket", "ffcavphsocket", "ffdirect", "ffmpi")

    @property
    def made(self) -> frozenset[str]:
        """The keys of extras that i-PI makes here, whatever the members are."""
        if self.kind == "ffcommittee":
            baseline = BASELINE if self.baseline else ()
            return frozenset((*(f"committee_{name}" for name in COMMITTEE), *baseline))
        return frozenset(("o3grid_pots",) if self.kind == "ffrotations" else self.plumed_extras)

    def _of_committee(self, sent: Mapping[str, frozenset[str]]) -> frozenset[str] | None:
        """Of the members' own extras, those of the last one are passed on."""
        members = [name for name in self.members if name != self.baseline]
        last = sent.get(members[-1]) if members else frozenset[str]()
        return None if last is None else self.made | {f"committee_{key}" for key in last}


def read_forcefields(root: ET.Element) -> tuple[Forcefield, ...]:
    """Read all forcefields, also those inside of ``<ffcommittee>`` and ``<ffrotations>``.

    Raises:
        ValueError: a number is none.
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
    """All values of the parameters of ``<ffdirect>``, and the model of ``<ffsgdml>``.

    Values can be lists and mappings, and names can have brackets: so they are split in both ways.
    """
    name = {"ffdirect": "parameters", "ffsgdml": "sGDML_model"}.get(tag.tag)
    if name is None:
        return ()
    text = ",".join("".join(one.itertext()) for one in tag.iter(name))
    parts = [*re.split("[{},]", text), *re.split(r"[{},\[\]]", text)]
    values = (value for part in parts for value in (part, part.partition(":")[2]))
    return tuple({value.strip(" \n\t'\"") for value in values} - {""})


def _count_photons(tag: ET.Element) -> int:
    """One for each direction, or one for both."""
    has_photons = tag.tag == "ffcavphsocket" and is_true(text_of(tag, "apply_photon", "false"))
    return (1 if text_of(tag, "ph_rep", "loose") == "dense" else 2) if has_photons else 0


def find_parent(name: str, forcefields: Sequence[Forcefield]) -> Forcefield | None:
    """Return the forcefield inside of which this one stands."""
    return next((ff for ff in forcefields if name in ff.members), None)
