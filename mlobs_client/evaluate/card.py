"""The calibration card of committees: ``calibration.json`` beside their model files.

A committee is identified by the sha256 of all its members, so that its alpha is used for no other.
Every quantity names the data that it was calibrated on, as these need not be in one file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from mlobs_client.errors import LaunchError, ModelError
from mlobs_client.evaluate.model_files import digest
from mlobs_client.files import read_json, write_json
from mlobs_client.locks import in_turn
from mlobs_client.tables import Table, validate

FILE: Final = "calibration.json"

LIMITS: Final = (
    "alpha holds for structures and labels like those of the data. A calibrated spread is blind to "
    "errors far from them, and to those that all members share, such as errors of the functional "
    "of their labels: there the right alpha may be twice as large, or more. A client warns of "
    "spreads of more than twice the largest one seen here."
)


class CalibratedQuantity(Table):
    """One quantity of a committee.

    ``formula`` gives ``alpha`` with its standard ``error``; for six or more members and 40 or more
    structures, ``mean_of_ratios`` holds both from another formula. Spreads are std(ddof=1) over the
    members, not calibrated, pooled over the components of an atom or structure, in ``unit``; those
    of whole structures are scaled to ``n_atoms`` by the square root of the number of atoms.
    ``coverage`` holds the fractions of the errors within one and two calibrated spreads,
    ``expected_coverage`` those expected from Student's t.
    """

    alpha: float = Field(gt=0.0)
    error: float = Field(ge=0.0)
    formula: str
    mean_of_ratios: tuple[float, float] | None = None
    n_members: int
    n_frames: int
    n_atoms: float = Field(gt=0.0)
    unit: str
    rms_error: float
    rms_spread: float
    smallest_spread: float
    largest_spread: float = Field(gt=0.0)
    coverage: tuple[float, float]
    expected_coverage: tuple[float, float]
    rank_correlation: float | None = None
    data: str
    data_sha256: str
    date: str
    mlobs: str


class _Committee(Table):
    members: dict[str, str]
    quantities: dict[str, CalibratedQuantity]


class _Card(Table):
    format: Literal["mlobs calibration 1"] = "mlobs calibration 1"
    limits: str = LIMITS
    committees: tuple[_Committee, ...] = ()


def card_file(models: Sequence[Path]) -> Path:
    """Return the path of the card of a committee, beside its first member."""
    return models[0].with_name(FILE)


def read_card(models: Sequence[Path | str]) -> dict[str, CalibratedQuantity]:
    """Read the calibrations of a committee, by quantity; none if it was not calibrated.

    Args:
        models: model files of its members.

    Raises:
        ConfigError: the card is damaged.
        ModelError: a file cannot be read.
    """
    paths = [Path(model) for model in models]
    digests = {digest(path) for path in paths}
    for committee in _read(card_file(paths)).committees:
        if set(committee.members.values()) == digests:
            return dict(committee.quantities)
    return {}


def write_card(models: Sequence[Path], quantities: Mapping[str, CalibratedQuantity]) -> Path:
    """Add quantities to the card of a committee, or replace them; all others stay.

    Args:
        models: model files of its members.
        quantities: calibrations by the name of the quantity.

    Returns:
        The path of the card.

    Raises:
        ConfigError: the existing card is damaged.
        ModelError: the card cannot be written, or a model file cannot be read.
    """
    path = card_file(models)
    members = {model.name: digest(model) for model in models}
    try:
        # of two processes that calibrate in one folder, neither loses what the other writes
        with in_turn(path.with_name(f"{path.name}.lock")):
            all_known = {**read_card(models), **quantities}
            known = _read(path).committees
            others = [c for c in known if set(c.members.values()) != set(members.values())]
            committee = _Committee(members=members, quantities=all_known)
            write_json(path, _Card(committees=(*others, committee)).model_dump(mode="json"))
    except LaunchError as error:
        raise ModelError(f"{path}: the card cannot be written: {error}") from error
    return path


def _read(path: Path) -> _Card:
    if not path.exists():
        return _Card()
    remedy = "remove it, and calibrate again with: mlobs calibrate"
    return validate(_Card, read_json(path, remedy), str(path))


@dataclass(frozen=True)
class Alpha:
    """The calibration factor alpha of one spread.

    Attributes:
        value: the factor.
        is_set: True if the client file sets it.
        card: calibration of the spread; None if it was not calibrated.
        of: quantity whose calibration is used; energies that were not calibrated use that of the
            forces.
    """

    value: float
    is_set: bool = False
    card: CalibratedQuantity | None = None
    of: str = ""
