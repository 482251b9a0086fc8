"""Run ``mlobs train`` without a first prediction: labels start on the branch nearest to zero.

Usage: ``python without_prediction.py train dipole FRAMES.extxyz -o FOLDER ...``.
"""

import numpy as np

from mlobs_client.cli import main
from mlobs_client.learn import FirstPrediction, targets


def predict_zero(features: np.ndarray, *_: object) -> FirstPrediction:
    """Return no charges, so that the first prediction is zero."""
    return FirstPrediction(np.zeros(features.shape[2]), 0.0, 0.0, unseen=0.0)


if __name__ == "__main__":
    targets.fit_bond_charges = predict_zero
    main()
