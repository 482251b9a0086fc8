"""Calibrate the committees of a client file on labelled structures, and write model cards."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from mlobs_client.analysis.calibration import FEWEST_MEMBERS, Calibration, Errors, calibrate
from mlobs_client.client.alphas import committees
from mlobs_client.client.build import assemble
from mlobs_client.client.config import ClientConfig
from mlobs_client.client.mace import MaceTable
from mlobs_client.errors import ConfigError
from mlobs_client.evaluate.card import CalibratedQuantity, write_card
from mlobs_client.files import read_json
from mlobs_client.learn.committee_errors import committee_errors, mean_size
from mlobs_client.learn.labels import Label, read_labelled
from mlobs_client.learn.training import data_digest
from mlobs_client.quantities import QUANTITIES, of_members, of_one_committee

logger = logging.getLogger(__name__)

ABSURD: Final = 10.0
"""Alpha that no committee reaches on structures like its training set."""

FORMULA: Final = "alpha^2 = <e^2>/<s^2> - 1/M"


@dataclass(frozen=True)
class CommitteeCalibration:
    """The calibration of one quantity of one committee.

    Attributes:
        models: files of the members.
        errors: errors on the labelled structures.
        calibration: the calibration from these errors.
        n_atoms: mean number of atoms, to which extensive quantities are scaled.
    """

    models: tuple[Path, ...]
    errors: Errors
    calibration: Calibration
    n_atoms: float


def calibrate_client(
    config: ClientConfig, folder: Path, data: Path, labels: Mapping[str, Label]
) -> dict[str, CommitteeCalibration]:
    """Calibrate all committees of a client for which there are labels.

    A client scales spreads of forces and virials by the alpha of the energies; their own alphas
    are for information, see :mod:`mlobs_client.client.alphas`.

    Args:
        config: the client file; its alphas are not used.
        folder: folder of the client file.
        data: labelled structures that no member was trained on.
        labels: labels by the names of :func:`mlobs_client.quantities.labelled`.

    Returns:
        Calibrations by quantity; quantities that cannot be calibrated are left out with a warning.

    Raises:
        ConfigError: no committee has labels, a committee has fewer than three members or was
            trained on these data, or nothing can be calibrated.
    """
    models = _models(config, folder, labels)
    for paths in models.values():
        _check_data(paths, data)
    labelled = read_labelled(data, labels, with_integers=False)
    assembly = assemble(_uncalibrated(config), folder)
    calibrations, reasons = {}, []
    for quantity, errors in committee_errors(assembly.evaluators, labelled, list(models)).items():
        try:
            calibration = calibrate(errors)
            if calibration.alpha > ABSURD:
                logger.warning(
                    "%s: alpha = %.3g: the errors are that many times the spread; are the unit and "
                    "key of the labels right (--unit, --key), and are these structures like those "
                    "used for training?", quantity, calibration.alpha,
                )  # fmt: skip
        except ConfigError as error:
            reasons.append(str(error))
            continue
        size = mean_size(labelled)
        calibrations[quantity] = CommitteeCalibration(models[quantity], errors, calibration, size)
    if not calibrations:
        raise ConfigError("; ".join(reasons) or f"{data}: nothing can be calibrated with it")
    for reason in reasons:
        logger.warning("not calibrated: %s", reason)
    return calibrations


def write_cards(calibrated: Mapping[str, CommitteeCalibration], data: Path) -> list[Path]:
    """Write calibrations to the cards beside the models.

    Args:
        calibrated: calibrations by quantity.
        data: file of the labelled structures.

    Returns:
        The files that were written.

    Raises:
        ConfigError: an existing card is damaged.
        ModelError: a card cannot be written.
    """
    by_models: dict[tuple[Path, ...], dict[str, CalibratedQuantity]] = {}
    for quantity, one in calibrated.items():
        by_models.setdefault(one.models, {})[quantity] = _entry(one, data)
    return list(dict.fromkeys(write_card(models, cards) for models, cards in by_models.items()))


def _entry(one: CommitteeCalibration, data: Path) -> CalibratedQuantity:
    calibration = one.calibration
    first, second = calibration.coverage
    return CalibratedQuantity(
        alpha=calibration.alpha,
        error=calibration.error,
        formula=FORMULA,
        mean_of_ratios=calibration.mean_of_ratios,
        n_members=calibration.n_members,
        n_frames=calibration.n_frames,
        n_atoms=one.n_atoms,
        unit=one.errors.unit,
        rms_error=calibration.rms_error,
        rms_spread=calibration.rms_spread,
        smallest_spread=calibration.smallest_spread,
        largest_spread=calibration.largest_spread,
        coverage=(first.observed, second.observed),
        expected_coverage=(first.expected, second.expected),
        rank_correlation=calibration.rank_correlation,
        data=data.name,
        data_sha256=data_digest(data),
        date=datetime.date.today().isoformat(),
        mlobs=version("mlobs"),
    )


def _models(
    config: ClientConfig, folder: Path, labels: Mapping[str, Label]
) -> dict[str, tuple[Path, ...]]:
    """Return the model files of each quantity that has labels and a committee."""
    names = {"virials" if name == "stress" else name for name in labels}
    files: dict[str, tuple[Path, ...]] = {}
    for family, _, paths in committees(config, folder):
        row = QUANTITIES[family]
        predicted = of_one_committee(row)
        labelled = [
            name
            for name, members in of_members().items()
            if name in names and members.name in predicted
        ]
        if labelled and len(paths) < FEWEST_MEMBERS:
            raise ConfigError(
                f"[{row.table}] has {len(paths)} members, whose spread is too uncertain; "
                f"give at least {FEWEST_MEMBERS} models to calibrate"
            )
        files |= dict.fromkeys(labelled, tuple(paths))
    if not files:
        raise ConfigError(
            f"the client file has no committee of MACE models for {', '.join(sorted(names))}; add "
            "it, or name other labels with --key"
        )
    return files


def _check_data(models: Sequence[Path], data: Path) -> None:
    """Refuse the file that the members were trained on, according to ``mlobs train``."""
    report = models[0].with_name("report.json")
    if not report.is_file():
        return
    content = read_json(report)
    settings = content.get("settings", {})
    further = [known for known, _ in settings.get("also", [])]
    if data_digest(data) in (settings.get("data"), *further):
        held_out = content["data"]["held_out"]
        raise ConfigError(
            f"{data}: these models were trained on it, and would look better than they are; "
            f"calibrate on structures that were held out, of which {report} names "
            f"{len(held_out)} (data, held_out), and keep some of them to assess the errors"
        )


def _uncalibrated(config: ClientConfig) -> ClientConfig:
    """Return the client file with all alphas set to 1."""
    changed = {
        QUANTITIES[quantity].table: table.model_copy(update={"alpha": 1.0})
        for quantity, table in config.models.items()
        if isinstance(table, MaceTable)
    }
    return config.model_copy(update=changed)
