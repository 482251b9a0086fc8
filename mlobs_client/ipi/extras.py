"""Read the extras that i-PI writes: observables that clients send besides forces.

Numbers have the 9 digits that i-PI prints by default (``floatformat`` in its input), except
in files of ``extra_type='raw'``, which repeat the client's JSON with all digits.

Source:
    i-PI 3.3.1, ``ipi/engine/outputs.py`` (``TrajectoryOutput.write_traj``).
"""

from __future__ import annotations

import ast
import json
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.ipi.continuation import collect_beads, common_steps, find_history
from mlobs_client.ipi.frames import whole_number
from mlobs_client.quantities import sent_as
from mlobs_client.structure import Array, Integers

logger = logging.getLogger(__name__)

# " #EXTRAS(dipole)# Step:          10 ", also EXTRAS_BIAS, and EXTRAS_COMPONENT_RAW for all beads
_HEAD: Final = re.compile(r" #EXTRAS(\w*)\(([^)]*)\)# Step:\s+(\d+)")
_FILE_NAME: Final = "record"  # the one text among our extras


@dataclass(frozen=True)
class Extras:
    """Extras along a run.

    Attributes:
        steps: shape ``(n_steps,)``.
        values: numbers by name, ``[step, ...]`` or ``[step, bead, ...]``, atomic units. Observables
            have the names, shapes and index orders of this package; a file with several extras,
            which i-PI joins into one row, keeps the name "a,b" from i-PI's input.
        texts: texts by name, for each step (and bead).
    """

    steps: Integers
    values: Mapping[str, Array]
    texts: Mapping[str, np.ndarray[Any, np.dtype[np.str_]]]


@dataclass(frozen=True)
class _Block:
    name: str
    step: int
    has_all_beads: bool
    lines: list[str]


def read_extras(*paths: Path | str, bead: int = 0) -> Extras:
    """Read the extras of one bead.

    Args:
        paths: one file, or the files of a continued run in their order. A file of
            ``extras_component_raw`` holds all beads and gives ``[step, bead, ...]``.
        bead: bead to take from a file of ``extra_type='raw'``, which holds all.

    Raises:
        RecordError: a file is missing or holds no extras.
    """
    files = [Path(path) for path in paths]
    blocks = [block for file in files for block in _read_blocks(file)]
    if not blocks:
        raise RecordError(f"{', '.join(map(str, paths))}: no extras of i-PI were found")
    steps = np.array([block.step for block in blocks])
    blocks = [blocks[i] for i in find_history(steps, files[0], "extras")]
    contents = [_parse(block, bead, files[0]) for block in blocks]
    return _stack([block.step for block in blocks], contents, files[0])


def read_bead_extras(*bases: Path | str) -> Extras:
    """Read the extras of all beads, values as ``[step, bead, ...]``.

    Args:
        bases: path without bead, such as ``simulation.dipole`` for ``simulation.dipole_0``, ...;
            several for a run that was continued elsewhere.

    Raises:
        RecordError: see :func:`read_extras`; or the beads have no step in common.
    """
    files = collect_beads([Path(base) for base in bases])
    beads = [read_extras(*paths, bead=bead) for bead, paths in files.items()]
    common = common_steps([extras.steps for extras in beads], Path(bases[0]))
    chosen = [np.isin(extras.steps, common) for extras in beads]
    return Extras(
        common,
        {
            name: np.stack([e.values[name][c] for e, c in zip(beads, chosen, strict=True)], 1)
            for name in beads[0].values
        },
        {
            name: np.stack([e.texts[name][c] for e, c in zip(beads, chosen, strict=True)], 1)
            for name in beads[0].texts
        },
    )


def extras_in(line: str) -> tuple[str, ...]:
    """Return the extras that a header names, as in i-PI's input; empty for any other line."""
    head = _find_head(line)
    return () if head is None else tuple(name.strip() for name in head[2].split(","))


def _read_blocks(path: Path) -> Iterator[_Block]:
    block: _Block | None = None
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                head = _find_head(line)
                if head is None:
                    if block is not None:
                        block.lines.append(line)
                    continue
                if block is not None and line.lstrip().startswith("#"):
                    yield block
                elif block is not None:  # i-PI was killed within a line and continued behind it
                    logger.warning(
                        "%s: extras of step %d are truncated and left out", path, block.step
                    )
                step = whole_number(head[3], f"{path}: Step")
                block = _Block(head[2], step, head[1] == "_COMPONENT_RAW", [])
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read as extras of i-PI: {error}") from error
    if block is not None:
        if block.lines and not block.lines[-1].endswith("\n"):
            logger.warning("%s: the last line is truncated and left out", path)
            block.lines.pop()
        yield block


def _find_head(line: str) -> re.Match[str] | None:
    if "#EXTRAS" not in line:
        return None
    heads = list(_HEAD.finditer(line))
    return heads[-1] if heads else None


def _parse(block: _Block, bead: int, path: Path) -> dict[str, Array | str]:
    if block.name == "raw":
        return _parse_raw(block, bead, path)
    numbers, texts = [], []
    for line in filter(str.strip, block.lines):
        try:
            numbers.append([float(field) for field in line.split()])
        except ValueError:
            texts.append(line.strip())
    names = [name.strip() for name in block.name.split(",")]
    content: dict[str, Array | str] = {}
    if texts:
        names = [name for name in names if name != _FILE_NAME]
        content[_FILE_NAME if _FILE_NAME in block.name.split(",") else block.name] = texts[0]
    key = ",".join(names)
    try:
        if numbers:
            ours, value = _as_ours(key, np.array(numbers), block.has_all_beads)
            content[ours] = value
    except ValueError:  # rows are missing
        return {}
    return content


def _parse_raw(block: _Block, bead: int, path: Path) -> dict[str, Array | str]:
    """Read i-PI's table of all extras, written by Python: {"raw": [JSON of bead 0, ...], ...}."""
    try:
        texts = ast.literal_eval("".join(block.lines))["raw"]
        fields = json.loads(texts[bead])
    except (ValueError, SyntaxError, KeyError, IndexError, TypeError) as error:
        raise RecordError(
            f"{path}: the raw extras of step {block.step} are not the JSON of one client: {error}"
        ) from error
    return dict(
        (key, value) if isinstance(value, str) else _as_ours(key, np.array(value))
        for key, value in fields.items()
    )


def _as_ours(key: str, array: Array, has_all_beads: bool = False) -> tuple[str, Array]:
    """Restore the name and shape of an observable, which i-PI writes as rows and columns."""
    row = sent_as(key)
    if row is None:
        return key, array.squeeze()
    n_unknown = sum(isinstance(size, str) for size in row.shape) + has_all_beads
    if n_unknown > 1:  # then i-PI has kept the shape, or the file cannot be
        return row.name, array
    if row.wire_order:
        return row.name, row.from_wire(array)
    known = [size for size in row.shape if isinstance(size, int)]
    return row.name, array.reshape([-1] * n_unknown + known)


def _stack(steps: list[int], contents: list[dict[str, Array | str]], path: Path) -> Extras:
    usual = Counter(_shape_of(content) for content in contents).most_common(1)[0][0]
    if not usual:
        raise RecordError(f"{path}: has no complete extras of i-PI")
    whole = [i for i, content in enumerate(contents) if _shape_of(content) == usual]
    if len(whole) < len(contents):
        logger.warning(
            "%s: the extras of %d steps are truncated and left out",
            path,
            len(contents) - len(whole),
        )
    kept = [contents[i] for i in whole]
    texts = {name for name, value in kept[0].items() if isinstance(value, str)}
    return Extras(
        np.array([steps[i] for i in whole], dtype=np.int64),
        {name: np.array([c[name] for c in kept]) for name in kept[0] if name not in texts},
        {name: np.array([c[name] for c in kept]) for name in sorted(texts)},
    )


def _shape_of(content: dict[str, Array | str]) -> tuple[tuple[str, tuple[int, ...] | None], ...]:
    return tuple((n, None if isinstance(v, str) else v.shape) for n, v in content.items())
