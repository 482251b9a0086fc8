"""Figures of ``make bench`` and ``make validate`` as JSON, with where they come from.

Long work can be interrupted: every study that is done is kept, and a second run does the studies
that are missing, as long as the commit is the same.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from rich.progress import track

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
PACKAGES = ("mlobs", "ipi", "mace-torch", "torch", "ase", "numpy")


def _commit() -> str:
    """Its name; "-dirty" if more than results has changed since."""
    described, changed = (
        subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
        for words in (["describe", "--always"], ["diff", "--quiet", "HEAD", "--", ".", ":!results"])
    )
    name = described.stdout.strip()
    return (f"{name}-dirty" if changed.returncode else name) or "unknown"


COMMIT = _commit()
"""At the start: what is measured is the code as it was then."""


@dataclass(frozen=True)
class Figure:
    """One number.

    Attributes:
        name: what it is.
        value: in ``unit``.
        error: one standard error, or None where it is exact or a single measurement.
        unit: as text.
        reference: what it is compared with, and where that comes from.
        passed: whether it holds; None where nothing is asked.
    """

    name: str
    value: float
    error: float | None
    unit: str
    reference: str
    passed: bool | None

    def __post_init__(self) -> None:
        json.dumps(asdict(self))  # fails here, next to the study, and not after hours at the end


def run(name: str, studies: Mapping[str, Callable[[], list[Figure]]]) -> int:
    """Do the studies named on the command line, or all, and say whether each figure holds.

    Only a run of all of them writes ``results/NAME.json``.

    Returns:
        The exit status: 1 if a figure does not hold.
    """
    chosen = sys.argv[1:] or list(studies)
    everything = not sys.argv[1:]
    done = _resume(name) if everything else {}
    for study in track([study for study in chosen if study not in done], name):
        done[study] = studies[study]()
        if everything:
            _keep(name, done)
    figures = [figure for study in chosen for figure in done[study]]
    if everything:
        print(_write(name, figures))
    for figure in figures:
        mark = {True: "holds", False: "DOES NOT HOLD", None: ""}[figure.passed]
        error = "" if figure.error is None else f" +- {figure.error:.2g}"
        print(
            f"{figure.name:64s} {figure.value:9.4g}{error} {figure.unit}  {figure.reference} {mark}"
        )
    return int(any(figure.passed is False for figure in figures))


def _resume(name: str) -> dict[str, list[Figure]]:
    """Figures by study that an interrupted run of this commit has left."""
    path = _unfinished(name)
    if not path.exists():
        return {}
    content = json.loads(path.read_text())
    if content["commit"] != COMMIT or COMMIT.endswith("-dirty"):
        return {}
    return {study: [Figure(**one) for one in found] for study, found in content["studies"].items()}


def _keep(name: str, studies: dict[str, list[Figure]]) -> None:
    """Write what is known so far, for :func:`_resume`."""
    RESULTS.mkdir(exist_ok=True)
    found = {study: [asdict(one) for one in figures] for study, figures in studies.items()}
    _unfinished(name).write_text(json.dumps({"commit": COMMIT, "studies": found}, indent=1))


def _unfinished(name: str) -> Path:
    return RESULTS / f"{name}.unfinished.json"


def _write(name: str, figures: list[Figure]) -> Path:
    """Write ``results/NAME.json``; an interrupted run leaves the previous file as it was."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {
        "figures": [asdict(figure) for figure in figures],
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "system": platform.platform()},
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
        "commit": COMMIT,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(content, indent=1) + "\n")
    unfinished.replace(path)
    _unfinished(name).unlink(missing_ok=True)
    return path


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()
