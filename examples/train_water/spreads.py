"""Test the calibrated spreads on frames of neither the training nor the calibration."""

from pathlib import Path
from typing import Any

import numpy as np

from mlobs_client.analysis import Errors, calibrate, coverage
from mlobs_client.evaluate import read_card

Array = np.ndarray


def compare_vectors(labels: Array, members: Array) -> Errors:
    """Return labels ``[frame, component]`` and members ``[m, frame, component]``."""
    mean = members.mean(axis=0)
    return Errors("", "", labels - mean, members - mean, np.arange(len(labels)))


def compare_energies(labels: Array, members: Array) -> Errors:
    """Return energies of frames of one composition, each member less its mean error."""
    offsets = (members - labels).mean(axis=1, keepdims=True)
    return compare_vectors(labels[:, None], (members - offsets)[..., None])


def compare_forces(labels: Array, members: Array) -> Errors:
    """Return labels ``[frame, atom, 3]`` and members ``[m, frame, atom, 3]``."""
    n_frames, n_atoms, _ = labels.shape
    frames = np.repeat(np.arange(n_frames), n_atoms)
    mean = members.mean(axis=0)
    deviations = (members - mean).reshape(len(members), -1, 3)
    return Errors("", "", (labels - mean).reshape(-1, 3), deviations, frames)


def judge_spreads(tested: dict[str, Errors], models: list[Path]) -> dict[str, Any]:
    """Return alpha of the card and of the test frames, and the coverage of the errors there."""
    card = read_card(models)
    judged = {}
    for quantity, errors in tested.items():
        known, here = card[quantity], calibrate(errors)
        covered = [coverage(errors, known.alpha, multiple) for multiple in (1.0, 2.0)]
        judged[quantity] = {
            "alpha": known.alpha,
            "error": known.error,
            "n_frames": known.n_frames,
            "alpha_on_test": here.alpha,
            "error_on_test": here.error,
            "n_test": here.n_frames,
            "percent_within_1_and_2_spreads_on_test": [100.0 * c.observed for c in covered],
            "percent_expected": [100.0 * c.expected for c in covered],
            "rank_correlation_on_test": here.rank_correlation,
        }
    return judged
