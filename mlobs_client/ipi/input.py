"""Read the parts of an input (or a RESTART) of i-PI that matter to clients.

Source:
    i-PI 3.3.1, ``ipi/inputs/{simulation,forcefields,forces,outputs}.py``, with its defaults.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mlobs_client.errors import ConfigError
from mlobs_client.ipi.asked_outputs import (
    PropertiesOutput,
    TrajectoryOutput,
    read_components,
    read_properties,
    read_trajectory,
)
from mlobs_client.ipi.forcefields import Forcefield, read_forcefields
from mlobs_client.ipi.system_templates import fill_templates
from mlobs_client.ipi.tags import (
    NumberWithUnit,
    attribute_of,
    checkpoint_names,
    count_beads,
    find_output,
    quantity_of,
    split_list,
    text_of,
)

DRIVEN: Final = "driven_dynamics"
BAROSTATTED: Final = frozenset({"nph", "npt", "nst", "scnpt", "sc-npt"})
"""Modes of dynamics in which the cell changes."""
PREFIX: Final = "/tmp/ipi_"
PRIVATE: Final = "mlobs-run-"
"""Prefix of the names of folders that ``mlobs run`` makes for the sockets of one run."""


@dataclass(frozen=True)
class Force:
    """A ``<force>`` tag, in ``<forces>`` or, with ``biases``, in ``<bias>``."""

    forcefield: str
    weight: float
    n_beads: int  # 0: all
    interpolated: tuple[str, ...]
    biases: bool


@dataclass(frozen=True)
class IpiInput:
    """An input of i-PI.

    Attributes:
        path: path of the file; i-PI runs in its folder.
        prefix: prefix of the outputs.
        floatformat: format of all numbers that i-PI writes, except in xyz files.
        sockets_prefix: string that i-PI puts before the address of a unix socket.
        step: first step; not 0 in a RESTART.
        total_steps: number of the last step.
        motions: modes of all ``<motion>`` tags.
        super_motion: mode of ``<smotion>``, for example ``remd``; "dummy" if there is none.
        dynamics: modes of all kinds of dynamics, for example ``npt``.
        barostats: modes of all ``<barostat>`` tags.
        has_multiple_time_steps: whether ``<nmts>`` or ``<mts_weights>`` define inner time steps.
        n_systems: number of ``<system>`` tags; 0 if there is a ``<system_template>``.
        n_beads: number of beads of the first system.
        writes_asr_threshold: whether ``asr_threshold`` is set.
        takes_born_charges: whether there is ``<bec mode='driver'>``.
        timestep: text and unit of the first time step; None without dynamics.
        temperature: text and unit of the temperature of the first ensemble; None if not given.
        checkpoints: file names of all ``<checkpoint>`` tags.
        components: indices, from 0, of the forces that an output shows separately.
        system_prefixes: prefixes of all systems, including those from a ``<system_template>``.
    """

    path: Path
    prefix: str
    floatformat: str
    sockets_prefix: str
    step: int
    total_steps: int
    forcefields: tuple[Forcefield, ...]
    forces: tuple[Force, ...]
    properties: tuple[PropertiesOutput, ...]
    trajectories: tuple[TrajectoryOutput, ...]
    motions: tuple[str, ...]
    super_motion: str
    dynamics: tuple[str, ...]
    barostats: tuple[str, ...]
    has_multiple_time_steps: bool
    n_systems: int
    n_beads: int
    writes_asr_threshold: bool
    takes_born_charges: bool
    timestep: NumberWithUnit | None
    temperature: NumberWithUnit | None
    checkpoints: tuple[str, ...]
    components: frozenset[int]
    system_prefixes: tuple[str, ...] = ("",)

    @property
    def sockets(self) -> tuple[Forcefield, ...]:
        """Forcefields that wait for socket clients."""
        return tuple(ff for ff in self.forcefields if ff.kind in ("ffsocket", "ffcavphsocket"))

    @property
    def is_mpi_job(self) -> bool:
        """True if i-PI communicates with its drivers via MPI."""
        return any(ff.kind == "ffmpi" for ff in self.forcefields)

    @property
    def is_composed(self) -> bool:
        """True if forcefields are nested: i-PI passes neither name nor prefix on to inner ones."""
        return any(ff.kind in ("ffcommittee", "ffrotations") for ff in self.forcefields)

    @property
    def writes_steps(self) -> bool:
        """True if one of the ``<properties>`` tags contains the step."""
        return any("step" in output.names for output in self.properties)

    @property
    def is_driven(self) -> bool:
        """True if i-PI itself applies a field."""
        return DRIVEN in self.motions

    @property
    def barostatted(self) -> list[str]:
        """Modes of the dynamics in which the cell changes, sorted; empty at constant volume."""
        return sorted(BAROSTATTED.intersection(self.dynamics))

    def file(self, filename: str) -> Path:
        """Return the path of an output that all systems share, such as a ``<checkpoint>``."""
        return self.path.parent / self._name(filename)

    def files(self, filename: str) -> list[Path]:
        """Return the paths of a ``<properties>`` or ``<trajectory>`` output, one per system."""
        name = self._name(filename)
        prefixes = dict.fromkeys(self.system_prefixes)
        return [self.path.parent / (f"{one}_{name}" if one else name) for one in prefixes]

    def _name(self, filename: str) -> str:
        return f"{self.prefix}.{filename}" if self.prefix else filename


def read(path: Path) -> IpiInput:
    """Read an input or a RESTART of i-PI.

    Raises:
        ConfigError: it is missing, is not XML, or a number in it is invalid.
    """
    return read_content(_read_bytes(path), path)


def read_content(content: bytes, path: Path) -> IpiInput:
    """Read the content of an input, which may not have been written to its path yet.

    Raises:
        ConfigError: it is not XML, or a number in it is invalid.
    """
    root = _parse(content, path)
    prefixes = fill_templates(root)
    try:
        _check_numbers(root)
        return replace(_read(path, root), system_prefixes=prefixes)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; i-PI expects a plain number there") from error


def _sockets_prefix(root: ET.Element) -> str:
    """Return the prefix of sockets; a RESTART from ``mlobs run`` names a folder that is gone."""
    prefix = attribute_of(root, "sockets_prefix", PREFIX)
    return PREFIX if re.fullmatch(rf".*{PRIVATE}\w{{8}}/", prefix) else prefix


def _floatformat(path: Path, root: ET.Element) -> str:
    written = attribute_of(root, "floatformat", "%16.8e")
    try:
        float(written % 1.5)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{path}: <simulation floatformat='{written}'> does not format one number; write "
            "'%25.17e', with all digits"
        ) from None
    return written


def _check_numbers(root: ET.Element) -> None:
    """Refuse tags whose text is not a finite number in the allowed range.

    Raises:
        ValueError: there is one; the error names the tag and its text.
    """
    for tag in root.iter():
        text = (tag.text or "").strip()
        if tag.tag not in ("temperature", "timestep", "total_steps", "step") or not text:
            continue
        try:
            number = float(text)
        except ValueError:
            raise ValueError(f"<{tag.tag}> is {text!r}") from None
        if not math.isfinite(number) or number < 0.0 or (tag.tag == "timestep" and number == 0.0):
            raise ValueError(f"<{tag.tag}> is {text}")


def parse(path: Path) -> ET.Element:
    """Return the outermost tag, ``<simulation>``.

    Raises:
        ConfigError: it is missing, or is not XML of i-PI.
    """
    return _parse(_read_bytes(path), path)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such input of i-PI; 'mlobs init water-nvt' writes one to start from"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read as XML: {error}") from error


def _parse(content: bytes, path: Path) -> ET.Element:
    try:
        root = ET.fromstring(content)
    except ET.ParseError as error:
        raise ConfigError(f"{path}: cannot be read as XML: {error}") from error
    if root.tag != "simulation":
        raise ConfigError(
            f"{path}: the outermost tag is <{root.tag}>, not the <simulation> of an input of i-PI"
        )
    return root


def _read(path: Path, root: ET.Element) -> IpiInput:
    outputs = find_output(root)
    dynamics = [tag for name in ("dynamics", DRIVEN) for tag in root.iter(name)]
    return IpiInput(
        path=path,
        prefix=attribute_of(outputs, "prefix", "i-pi"),
        floatformat=_floatformat(path, root),
        sockets_prefix=_sockets_prefix(root),
        step=int(text_of(root, "step", "0")),
        total_steps=int(text_of(root, "total_steps", "1000")),
        forcefields=read_forcefields(root),
        forces=tuple(_forces(root)),
        properties=tuple(read_properties(tag) for tag in outputs.findall("properties")),
        trajectories=tuple(read_trajectory(tag) for tag in outputs.findall("trajectory")),
        motions=tuple(_modes(root.iter("motion"), "dynamics")),
        super_motion=next(_modes(root.findall("smotion"), "dummy"), "dummy"),
        dynamics=tuple(_modes(dynamics, "nve")),
        barostats=tuple(_modes(root.iter("barostat"), "dummy")),
        has_multiple_time_steps=any(
            _has_inner_steps(tag) for tag in (*dynamics, *_force_tags(root))
        ),
        n_systems=0 if root.find("system_template") is not None else len(root.findall("system")),
        n_beads=count_beads(root),
        writes_asr_threshold=next(root.iter("asr_threshold"), None) is not None,
        takes_born_charges="driver" in _modes(root.iter("bec"), ""),
        timestep=quantity_of(next(root.iter("timestep"), None)),
        temperature=quantity_of(root.find(".//ensemble/temperature")),
        checkpoints=checkpoint_names(outputs),
        components=frozenset(read_components(outputs)),
    )


def _modes(tags: Iterable[ET.Element], default: str) -> Iterator[str]:
    return (attribute_of(tag, "mode", default) for tag in tags)


def _force_tags(root: ET.Element) -> Iterator[ET.Element]:
    return (tag for parent in root.iter("forces") for tag in parent.findall("force"))


def _forces(root: ET.Element) -> Iterator[Force]:
    for parent in root.iter():
        for tag in parent.findall("force") if parent.tag in ("forces", "bias") else ():
            yield Force(
                forcefield=attribute_of(tag, "forcefield", ""),
                weight=float(attribute_of(tag, "weight", "1.0")),
                n_beads=int(attribute_of(tag, "nbeads", "0")),
                interpolated=split_list(text_of(tag, "interpolate_extras", "")),
                biases=parent.tag == "bias",
            )


def _has_inner_steps(tag: ET.Element) -> bool:
    """Return whether this ``<dynamics>`` or ``<force>`` has several levels of time steps."""
    return (
        split_list(text_of(tag, "nmts", "1")) != ("1",)
        or len(split_list(text_of(tag, "mts_weights", ""))) > 1
    )
