"""Order shuffled frames of molecular dynamics in time, and keep both ends out of training.

The frames of the data sets come from few trajectories, in a random order. A random tenth of them
would have neighbours in training that are some femtoseconds away, and errors that look too good.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from ase import Atoms
from ase.geometry import find_mic

WIDTH: Final = 1.0  # angstrom; frames that are farther apart hardly determine the order
GAP: Final = 0.7  # angstrom; frames that are nearer to one that is kept out are not used at all


def distances(frames: Sequence[Atoms]) -> np.ndarray:
    """Return the distances of frames, shape ``(n_frames, n_frames)``, angstrom.

    They are root mean square displacements of the oxygens without those of the cell and of the
    mean position.
    """
    cell = np.mean([atoms.cell.array for atoms in frames], axis=0)
    oxygens = np.array([atoms.get_scaled_positions()[atoms.numbers == 8] for atoms in frames])
    n_frames = len(frames)
    found = np.zeros((n_frames, n_frames))
    for one in range(n_frames):
        moved = (oxygens - oxygens[one]).reshape(-1, 3) @ cell
        moved = find_mic(moved, cell)[0].reshape(n_frames, -1, 3)
        moved -= moved.mean(axis=1, keepdims=True)
        found[one] = np.sqrt(np.square(moved).sum(axis=2).mean(axis=1))
    return found


def order_in_time(apart: np.ndarray) -> np.ndarray:
    """Return the order of frames along their trajectory, in one of its two directions.

    It is that of the Fiedler vector of the graph of frames with weights exp(-(distance/WIDTH)^2)
    (spectral seriation; Atkins, Boman and Hendrickson, SIAM J. Comput. 28, 297, 1998).
    """
    weights = np.exp(-np.square(apart / WIDTH))
    np.fill_diagonal(weights, 0.0)
    laplacian = np.diag(weights.sum(axis=1)) - weights
    return np.argsort(np.linalg.eigh(laplacian)[1][:, 1])


def keep_ends_out(
    frames: Sequence[Atoms],
    n_calibrate: int,
    n_test: int,
    *,
    shuffled: bool = True,
    repeats: float = 0.0,
) -> None:
    """Mark the frames of one trajectory with ``split``.

    One end is ``calibrate``, the other ``test``; frames nearer than ``GAP`` to either are ``gap``,
    and the others ``rest``.

    Args:
        frames: frames of one trajectory.
        n_calibrate, n_test: numbers of frames at the ends.
        shuffled: whether the order of the frames is not that of time.
        repeats: distance, angstrom, below which a frame is the ``repeat`` of one before, and not
            used: a member could be validated by what it has learned.
    """
    apart = distances(frames)
    order = order_in_time(apart) if shuffled else np.arange(len(frames))
    if order[0] > order[-1]:  # the sign of an eigenvector is not determined
        order = order[::-1]
    ends = {"calibrate": order[:n_calibrate], "test": order[len(order) - n_test :]}
    kept = np.concatenate(list(ends.values()))
    near = apart[:, kept].min(axis=1) < GAP
    for atoms, is_near in zip(frames, near, strict=True):
        atoms.info["split"] = "gap" if is_near else "rest"
    taken: list[int] = []
    for place, atoms in enumerate(frames):
        if atoms.info["split"] == "rest" and (apart[place, taken] < repeats).any():
            atoms.info["split"] = "repeat"
        elif atoms.info["split"] == "rest":
            taken.append(place)
    for name, places in ends.items():
        for place in places:
            frames[place].info["split"] = name
