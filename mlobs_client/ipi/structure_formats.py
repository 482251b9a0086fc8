"""Read structure files of all formats as i-PI reads them.

The formats of i-PI are xyz with its comment, extended xyz with its labels, checkpoints and RESTART,
and PDB with its units; everything else is read by ASE. Of several frames, :func:`read_content`
reads the first, as i-PI does for its first bead.

Source:
    i-PI 3.3.1, ``utils/io/io_units.py`` (units that are not written), ``engine/initializer.py``.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import numpy as np

from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.ipi.labels import are_isotopes, masses_of, numbers_of
from mlobs_client.ipi.trajectory import POSITION_QUANTITIES
from mlobs_client.ipi.xyz import labels_of, parse_frame, read_atoms
from mlobs_client.structure import Array, Integers, from_atoms, to_atoms
from mlobs_client.units import DALTON

if TYPE_CHECKING:
    from ase import Atoms

logger = logging.getLogger(__name__)

Periodicity = tuple[bool, bool, bool]

PERIODIC: Final[Periodicity] = (True, True, True)
MOLECULE: Final[Periodicity] = (False, False, False)
XYZ: Final = frozenset({".xyz", ".extxyz"})

_OF_IPI: Final = re.compile(
    r"CELL[(\[{](abcABC|H|GENH)[)\]}]:|\b(cell|positions|velocities|momenta|forces|\w_centroid)\{"
)


@dataclass(frozen=True)
class Content:
    """The content of a file before it is checked, in bohr; lattice vectors are rows.

    ``constraints`` are those of ASE, ``pbc`` is that of the file. ``masses`` have the shape
    ``(n_atoms,)``, electron masses; None if the file leaves them to the elements.
    """

    numbers: Integers
    positions: Array
    cell: Array
    pbc: Periodicity
    constraints: Sequence[Any] = ()
    masses: Array | None = None


def read_content(path: Path) -> Content:
    """Read the first structure, with the reader that fits the content of the file.

    Raises:
        ConfigError: it is unreadable.
    """
    first, second = head(path)
    with _unreadable(path):
        if _is_xyz(path, first, second):
            return _content_of(path, *_first_frame(path))
        if (content := _read_single(path, first)) is not None:
            return content
    import ase.io

    try:
        return _from_ase(ase.io.read(path))
    except Exception as error:  # ASE's readers raise anything
        raise ConfigError(f"{path}: ASE cannot read a structure from it: {error}") from error


def read_last(path: Path) -> tuple[Content, int]:
    """Read the last structure, and count those of the file.

    Raises:
        ConfigError: a structure is unreadable, or there is none.
    """
    first, second = head(path)
    with _unreadable(path):
        if _is_xyz(path, first, second):
            ((n_frames, frame),) = deque(enumerate(_frames(path), start=1), maxlen=1)
            return _content_of(path, *frame), n_frames
        if (content := _read_single(path, first)) is not None:
            return content, 1
    frames = deque(enumerate(iterate_atoms(path), start=1), maxlen=1)
    if not frames:
        raise ConfigError(f"{path}: holds no structure; name a file with atoms")
    ((n_frames, atoms),) = frames
    return _from_ase(atoms), n_frames


@contextlib.contextmanager
def _unreadable(path: Path) -> Generator[None, None, None]:
    """Turn the errors of our own readers into one that names the file."""
    try:
        yield
    except ConfigError:
        raise
    except (RecordError, ValueError, KeyError, IndexError) as error:
        raise ConfigError(f"{path}: no structure can be read from it: {error}") from error


def _is_xyz(path: Path, first: str, second: str) -> bool:
    """Return whether it is xyz of i-PI, of whatever name, or xyz by its name."""
    return not _is_xml(first) and (
        path.suffix in XYZ or (first.strip().isdecimal() and is_of_ipi(second))
    )


def _is_xml(first: str) -> bool:
    return re.match(r"\s*(<\?xml|<!--|<simulation)", first) is not None


def _read_single(path: Path, first: str) -> Content | None:
    """Read a file with one structure that i-PI reads, but not ASE; None for all others."""
    if _is_xml(first):
        return _read_checkpoint(path)
    if path.suffix.lower() == ".pdb" and _is_pdb_of_ipi(path, first):
        return _read_pdb_of_ipi(path)
    return None


def _content_of(path: Path, line: int, comment: str, lines: list[str]) -> Content:
    """Parse a frame of xyz."""
    if is_of_ipi(comment):
        return _parse_of_ipi(path, line, comment, lines)
    return _from_ase(read_atoms(comment, lines), labels_of(comment, lines))


def _from_ase(atoms: Atoms, labels: tuple[str, ...] = ()) -> Content:
    masses = atoms.get_masses() * DALTON if atoms.has("masses") else _masses_of(labels)
    return Content(*from_atoms(atoms), atoms.constraints, masses)


def iterate_atoms(path: Path) -> Generator[Atoms, None, None]:
    """Read all structures of a file, with all other data that ASE finds.

    xyz with labels of i-PI (``D``, ``O18``) is read as :func:`read_content` does, with any number
    of atoms in each frame; everything else is read by ASE alone.

    Args:
        path: path of the file.

    Raises:
        ConfigError: a structure is unreadable.
    """
    import ase.io

    n_read = 0
    try:
        first, _ = head(path)
        if path.suffix not in XYZ or not first.strip().isdecimal():
            frames = ase.io.iread(path, index=":")
        else:
            frames = (_atoms_of(path, *frame) for frame in _frames(path))
        for atoms in frames:
            yield atoms
            n_read += 1
    except ConfigError:
        raise
    except Exception as error:  # ASE's readers raise anything
        raise ConfigError(
            f"{path}: ASE cannot read structures from it beyond the first {n_read}: {error}"
        ) from error


def _atoms_of(path: Path, line: int, comment: str, lines: list[str]) -> Atoms:
    if not is_of_ipi(comment):
        return read_atoms(comment, lines)
    found = _parse_of_ipi(path, line, comment, lines)
    return to_atoms(found.numbers, found.positions, found.cell, found.pbc)


def head(path: Path) -> tuple[str, str]:
    """Return the first two lines."""
    with _lines(path) as file:
        return file.readline(), file.readline()


def _lines(path: Path) -> TextIO:
    """Open a file that may be binary or in another encoding."""
    return path.open(encoding="utf-8", errors="replace")


def is_of_ipi(comment: str) -> bool:
    """Return whether i-PI, but not ASE, understands the second line of an xyz file."""
    return "Properties=" not in comment and _OF_IPI.search(comment) is not None


def _frames(path: Path) -> Generator[tuple[int, str, list[str]], None, None]:
    """Yield the line number of the comment, from 1, the comment and the lines of the atoms.

    The last line may lack its newline.
    """
    with _lines(path) as file:
        number = 1
        first = file.readline().strip()
        while first or number == 1:
            if not first.isdecimal() or int(first) == 0:
                which = "first line of an xyz file" if number == 1 else f"line {number}"
                raise ConfigError(
                    f"{path}: the {which} must be the number of atoms, not {first[:40]!r}"
                )
            comment = file.readline().rstrip("\n") + "\n"
            lines = [line.rstrip("\n") + "\n" for line in islice(file, int(first))]
            if len(lines) < int(first):
                said = "first line" if number == 1 else f"line {number}"
                raise ConfigError(f"{path}: has {len(lines)} atoms, but its {said} says {first}")
            yield number + 1, comment, lines
            number += 2 + len(lines)
            first = file.readline().strip()


def _first_frame(path: Path) -> tuple[int, str, list[str]]:
    """Return the line number of the comment, the comment and the lines of the atoms."""
    with contextlib.closing(_frames(path)) as frames:
        frame = next(frames)
        try:
            has_more = next(frames, None) is not None
        except ConfigError:  # in what is not taken
            has_more = True
    if has_more:
        logger.info("%s has several frames, of which the first is taken", path)
    return frame


def _parse_of_ipi(path: Path, line: int, comment: str, lines: list[str]) -> Content:
    has_unit = re.search(r"\b(?!cell\b|CELL\b)\w+\{", comment) is not None
    if not has_unit or ("CELL" in comment and "cell{" not in comment):
        logger.warning(
            "%s names no unit of its %s, so bohr is assumed, as in i-PI; if that is wrong, write "
            "positions{angstrom} cell{angstrom} into its second line",
            path,
            "cell" if has_unit else "positions",
        )
    if not has_unit:
        comment = f"positions{{atomic_unit}} {comment}"
    parsed = parse_frame(comment, lines, f"{path}:{line}")
    if parsed.quantity not in POSITION_QUANTITIES:
        raise ConfigError(f"{path}: holds {parsed.quantity}, not positions; name another file")
    cell = np.zeros((3, 3)) if parsed.cell is None else parsed.cell
    pbc = PERIODIC if cell.any() else MOLECULE
    return Content(parsed.numbers, parsed.values, cell, pbc, masses=_masses_of(parsed.labels))


def _masses_of(labels: tuple[str, ...]) -> Array | None:
    """Return the masses of isotopes with those of the other atoms; None if there is no isotope."""
    return masses_of(labels) if are_isotopes(labels) else None


def _read_checkpoint(path: Path) -> Content:
    """Read the first bead of the first system, using only the classes of i-PI for these."""
    from ipi.inputs.beads import InputBeads
    from ipi.inputs.cell import InputCell
    from ipi.utils.io.inputs.io_xml import xml_parse_file

    tags = {}
    try:
        with path.open() as file:
            root = xml_parse_file(file).fields[0][1]
        systems = [node for name, node in root.fields if name == "system"]
        tags = dict(reversed(systems[0].fields)) if systems else {}
    except Exception as error:  # of the parser of XML
        raise ConfigError(f"{path}: cannot be read as XML: {error}") from error
    if "beads" not in tags or "cell" not in tags:
        raise ConfigError(
            f"{path}: has no <beads> and <cell>, so it is an input, not a checkpoint; name the "
            "file in its <initialize>, or a RESTART"
        )
    beads, cell = InputBeads(), InputCell()
    beads.parse(tags["beads"])
    cell.parse(tags["cell"])
    found = beads.fetch()
    names = tuple(str(name) for name in found.names)
    positions = np.array(found.q[0], dtype=np.float64).reshape(-1, 3)
    vectors = np.array(cell.fetch().h, dtype=np.float64).T  # i-PI has them as columns
    masses = np.array(found.m, dtype=np.float64)
    known = masses if masses.all() else _masses_of(names)
    return Content(numbers_of(names), positions, vectors, PERIODIC, masses=known)


def _is_pdb_of_ipi(path: Path, title: str) -> bool:
    """Return whether i-PI reads it differently from ASE: units in the title, or heavy hydrogen."""
    if title.startswith("TITLE") and _OF_IPI.search(title):
        return True
    with _lines(path) as file:
        return any(
            line.startswith(("ATOM", "HETATM")) and line[12:16].strip() in ("D", "T")
            for line in file
        )


def _read_pdb_of_ipi(path: Path) -> Content:
    from ipi.utils.io import read_file

    with _lines(path) as file:
        found = read_file("pdb", file)
    atoms = found["atoms"]
    names = tuple(str(name) for name in atoms.names)
    positions = np.array(atoms.q, dtype=np.float64).reshape(-1, 3)
    vectors, masses = np.array(found["cell"].h).T, _masses_of(names)
    return Content(numbers_of(names), positions, vectors, PERIODIC, masses=masses)
