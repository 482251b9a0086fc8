"""Train the members of a committee in a folder, each once, even after interruptions.

::

    FOLDER/settings.json          settings of all members; other settings need another folder
    FOLDER/split.json             hash of each structure, and whether it is held out
    FOLDER/dipole-0.model         a member: a model file of MACE, in double precision
    FOLDER/dipole-0.json          record of its training; a member is done when this file exists
    FOLDER/dipole-1.checkpoint    checkpoint of a member in training
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from mlobs_client.errors import ConfigError, LaunchError
from mlobs_client.evaluate.model_files import load
from mlobs_client.evaluate.oxidation import OxidationNumbers
from mlobs_client.files import read_json, write_json
from mlobs_client.learn.data_set import Addition, DataSet, prepare
from mlobs_client.learn.fit import ReportStep
from mlobs_client.learn.labels import (
    Label,
    LabelledStructure,
    find_labels,
    known_keys,
    read_labelled,
)
from mlobs_client.learn.member import read_record, train_member
from mlobs_client.learn.networks import KINDS
from mlobs_client.learn.processes import Training, train_at_once
from mlobs_client.learn.settings import TrainingSettings
from mlobs_client.learn.split import write_split
from mlobs_client.learn.start import Start
from mlobs_client.locks import hold

logger = logging.getLogger(__name__)

ReportMember = Callable[[int, int, float], None]
"""Function that is called with the member, the step and the last validation error."""


def data_digest(path: Path | str) -> str:
    """Return the sha256 of a data set.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def read_data_set(
    settings: TrainingSettings,
    path: Path | str,
    also: Sequence[Path] = (),
    test: Sequence[Path] = (),
    start: Start | None = None,
) -> DataSet:
    """Read and prepare the structures of a committee.

    Args:
        settings: settings of the committee.
        path: the main file, by which the networks are judged.
        also: further files for training, in the order of ``settings.also``; structures may lack
            any of the labels, but all structures of one file have the same labels.
        test: files of structures to hold out.
        start: networks from which members start; None for random weights.

    Raises:
        ConfigError: a further file has none of the labels; see
            :func:`mlobs_client.learn.labels.read_labelled` and
            :func:`mlobs_client.learn.data_set.prepare`.
    """
    optional = {*KINDS[settings.kind].optional} | ({"born_charges"} if also else set())
    labelled = _read(settings, path, optional, settings.test_group)
    if "forces" in settings.labels and "forces" not in labelled[0].labels:
        key = settings.labels["forces"][0]
        logger.warning("%s: no column %r: energies are learned alone (--forces-key)", path, key)
    held_out = [one for file in test for one in _read(settings, file, optional)]
    additions = _read_further(settings, also, len(labelled) + len(held_out))
    for_training = [*labelled, *(one for each in additions for one in each.labelled)]
    if start is not None:
        start.check([*for_training, *held_out])
    known = {name for one in for_training for name in one.labels}
    if "born_charges" in settings.labels and "born_charges" not in known:
        key = settings.labels["born_charges"][0]
        raise ConfigError(f"{path}, and the further files: there are no Born charges {key!r}")
    return prepare(
        settings.kind,
        labelled,
        cutoff=settings.cutoff,
        test_fraction=settings.test_fraction,
        seed=settings.seed,
        fold=settings.branches == "fold",
        also=additions,
        test=_count(held_out, len(labelled)),
        species=() if start is None else start.species,
    )


def _read_further(
    settings: TrainingSettings, files: Sequence[Path], n_before: int
) -> list[Addition]:
    """Read further files; each has its own zero of energies, except where a key names one."""
    additions: list[Addition] = []
    for file, (_, weight) in zip(files, settings.also, strict=True):
        read = _count(_read(settings, file, {*settings.labels}), n_before)
        n_before += len(read)
        own = [replace(one, theory=one.theory or f"file {file}") for one in read]
        additions.append(Addition(own, weight))
    return additions


def _count(labelled: Sequence[LabelledStructure], start: int) -> list[LabelledStructure]:
    """Return structures that are counted from ``start`` on."""
    return [replace(one, index=start + place) for place, one in enumerate(labelled)]


def _read(
    settings: TrainingSettings, path: Path | str, optional: set[str], group_key: str = ""
) -> list[LabelledStructure]:
    """Read a file with those optional labels that it has."""
    numbers = settings.oxidation_numbers
    wanted = {name: Label(*place, settings.transpose) for name, place in settings.labels.items()}
    maybe = {name: wanted.pop(name) for name in settings.labels if name in optional}
    found = find_labels(Path(path), maybe) if maybe else []
    if not wanted and not found:
        keys = ", ".join(repr(label.key) for label in maybe.values())
        raise ConfigError(
            f"{path}: the first structure has none of the labels {keys}; it has "
            f"{', '.join(known_keys(Path(path))) or 'none'}"
        )
    return read_labelled(
        path,
        wanted | {name: maybe[name] for name in found},
        None if numbers is None else OxidationNumbers(numbers),
        group_key=group_key,
        origin=settings.origin,
    )


def train_committee(
    settings: TrainingSettings,
    data_set: DataSet,
    folder: Path | str,
    n_members: int,
    report: ReportMember,
    device: str = "cpu",
    at_once: int = 1,
    start: Start | None = None,
) -> list[Path]:
    """Train the members that are not done yet.

    Args:
        settings: settings of the committee.
        data_set: data set made with these settings.
        folder: folder of the committee, made if needed.
        n_members: number of members.
        report: called with the progress.
        device: device for training.
        at_once: number of members that are trained at once, each in a process of its own.
        start: networks from which members start, those of the data set; None for random weights.

    Returns:
        The model files.

    Raises:
        ConfigError: the folder has different settings, or another process trains in it.
        LaunchError: the folder cannot be made or written.
        ModelError: a file has changed since it was written or cannot be written, or training
            failed.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LaunchError(
            f"{folder}: cannot be made: {error.strerror}; give another folder with -o"
        ) from error
    with hold(folder / "train.lock") as lock:
        if lock is None:
            raise ConfigError(f"{folder}: another process trains in it; wait, or use another")
        if not _has_begun(folder):  # of a command that was wrong, or ended before its first check
            for name in ("settings.json", "split.json"):
                (folder / name).unlink(missing_ok=True)
        _agree(settings, folder / "settings.json")
        n_judged = len(data_set.judged.labelled)
        write_split(folder / "split.json", data_set.labelled, data_set.held_out, n_judged)
        paths = [member_file(folder, settings.kind, member) for member in range(n_members)]
        trainings: dict[int, Training] = {
            member: functools.partial(_train, settings, data_set, path, member, device, start)
            for member, path in enumerate(paths)
            if not read_record(path)
        }
        if at_once > 1:
            train_at_once(trainings, at_once, report)
        for member, path in enumerate(paths):
            if not read_record(path):
                trainings[member](functools.partial(report, member))
            report(member, settings.steps, read_record(path)["error"])
    return paths


def _train(
    settings: TrainingSettings,
    data_set: DataSet,
    path: Path,
    member: int,
    device: str,
    start: Start | None,
    report: ReportStep,
) -> None:
    """Train a member, with the report last, as it is known later."""
    file = None if start is None else start.of_member(member)
    train_member(settings, data_set, path, settings.seed + member, report, device, file)


def member_file(folder: Path | str, kind: str, member: int) -> Path:
    """Return the model file of a member."""
    return Path(folder) / f"{kind}-{member}.model"


def load_member(path: Path | str) -> torch.nn.Module:
    """Read the model file of a member.

    Raises:
        ModelError: the file is not the one that training wrote, or is not trusted, for example
            because another user trained it.
    """
    read_record(path)
    return load(path)


OPTIONS: Final = {
    "data": "FRAMES.extxyz (another content)",
    "also": "--also (other files, contents or weights)",
    "test": "--test (other files or contents)",
    "start": "--start (other networks)",
    "labels": "the keys or units of labels",
}
"""Settings whose values mean little to users, in their words."""


def _has_begun(folder: Path) -> bool:
    """Return whether a member is done, or has a checkpoint."""
    return any(any(folder.glob(f"*-[0-9]*.{end}")) for end in ("checkpoint", "model"))


def _agree(settings: TrainingSettings, path: Path) -> None:
    """Store the settings, or compare them with those that are stored."""
    wanted = settings.model_dump(mode="json")
    if not path.exists():
        write_json(path, wanted)
        return
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in TrainingSettings.model_fields.items()
        if not field.is_required()
    }
    stored = defaults | read_json(path)  # older files do not have all settings
    differing = [name for name in wanted if stored.get(name) != wanted[name]]
    if differing:
        values = "; ".join(
            OPTIONS.get(name, f"{name} = {stored.get(name)!r}, not {wanted[name]!r}")
            for name in differing
        )
        raise ConfigError(
            f"{path.parent}: was started with {values}; give the same, or train in another folder"
        )
