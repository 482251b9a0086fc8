"""Write the cards and figures of ``evaluate.py``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlobs_client.plot import write
from mlobs_client.results import Parity, Result

Pairs = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""References and predictions, by the name of a part."""
AXES = {
    "potential": ("force", "eV/angstrom"),
    "dipole": ("dipole", "e angstrom"),
    "polarizability": ("polarizability", "angstrom^3"),
}
TEXTS = {
    "potential": """\
Energy and forces of liquid water. `ScaleShiftMACE`; eV and angstrom.

- Data: 340 frames of 64 H2O, all at 1927 A^3, PBE0+TS, from deepmd-kit `examples/water` (LGPL-3).
- Also trained on: energy differences of gas-phase monomers and dimers with O-H from 0.75 to 1.36 A
  (CCSD, from TENSOAP, LGPL-3), weight 0.15, with a zero of their own. The liquid's bonds are
  0.89-1.14 A; without the clusters a bond broke at 0.6 eV.
- One composition cannot separate the energies of the elements: they are the smallest that fit.
  Differences between frames of whole H2O are meaningful, other compositions are not.
- Trained at one density and without stresses: do not trust pressure, ice, vapour, dissociation.
""",
    "dipole": """\
Single-valued remainder of the dipole of the cell. `AtomicDipolesMACE`; e angstrom, not Debye.

    mu = model(R) + e sum_I N_I R_I      oxidation numbers N: O -2, H +1; positions unwrapped

- Add the second part yourself (the client does). Leave the model's `charges` input at 0: its own
  baseline of fixed charges is in Debye and must not contribute.
- Data: 127 frames of 64 H2O at 1765-2127 A^3, from deepmd-kit `examples/water_tensor` (LGPL-3).
  The label is sum(O-H vectors) - 2 sum(Wannier displacements), on the branch of whole molecules;
  `prepare.py` checks this and subtracts sum N R.
- Also trained on, with weight 0.1: gas-phase monomers and dimers with O-H below 1.25 A (CCSD, from
  TENSOAP, LGPL-3). In a short run they lowered the liquid's validation error from 0.19 to 0.14
  e angstrom.
- Also trained on, with weight 0.02 relative to their mean square: Born charges of 27 frames of
  128 H2O (another functional, from AtomicPolarTensor, GPL-3), with their mean over atoms removed.
  `Z[I, i, j] = d mu_i / d R_Ij`
  here; the file has the coordinate first and was transposed (why: `prepare_born_charges`). Three
  frames are held out.
- The last layer of MACE's `AtomicDipolesMACE` has no scalars, so its gated readout is silent for
  ever with silu; these models have a sigmoid gate, which makes that readout linear.
""",
    "polarizability": """\
Polarizability of the cell. `AtomicDielectricMACE`; angstrom^3. Only `polarizability` is trained:
the model's dipole and charges are random numbers and must not be used.

- Data: 127 frames of 64 H2O at 1765-2127 A^3, from deepmd-kit `examples/water_tensor` (LGPL-3),
  symmetrised (they are asymmetric by up to 0.26 A^3).
- Also trained on, with weight 0.1: gas-phase monomers and dimers with O-H below 1.25 A (CCSD, from
  TENSOAP, LGPL-3). In a short run they did not change the liquid's validation error (1.2 A^3).
- The isotropic part (a third of the trace) differs mostly between the two conditions and the
  volumes of the data. A Raman spectrum is made of what is left: std at fixed volume is that about
  a line in the volume, with a constant for each of the conditions, over all 127 frames. For
  isotropic Raman spectra these models are too coarse.
""",
}
COLUMNS = {
    "forces_rmse_meV_per_A": "forces, meV/A",
    "forces_relative_percent": "forces, % of std",
    "energy_rmse_meV_per_atom": "energy, meV/atom",
    "energy_rmse_without_mean_meV_per_atom": "energy less mean error, meV/atom",
    "clusters_rmse_without_mean_meV_per_molecule": "clusters less mean error, meV/molecule",
    "dipole_rmse_e_A": "dipole, e A",
    "dipole_relative_percent": "dipole, % of std",
    "born_charges_rmse_e": "Born charges, e",
    "born_charges_relative_percent": "Born charges, % of std",
    "polarizability_rmse_A3": "polarizability, A^3",
    "isotropic_rmse_A3": "isotropic part, A^3",
    "isotropic_percent_at_fixed_volume": "isotropic part, % of std at fixed volume",
    "anisotropic_rmse_A3": "anisotropic part, A^3",
    "anisotropic_relative_percent": "anisotropic part, % of std",
}


def plot_parity(kind: str, parts: Pairs, path: Path) -> None:
    """Draw predicted against reference components on the held-out frames.

    Args:
        kind: of networks.
        parts: references and predictions of the mean of the committee, each of shape ``(n,)``, in
            the unit of ``AXES``, by species or component.
        path: of the picture; the numbers go with it.
    """
    parities = tuple(Parity(*AXES[kind], *pair, name) for name, pair in parts.items())
    write(Result(f"{kind} on test frames", parities=parities), path.with_suffix(""))


def tabulate(kind: str, card: dict[str, Any]) -> list[str]:
    """Return one row for each member and one for their mean."""
    names = list(card["committee"])
    heads = ["", "seed", "frames train / valid", "steps", *(COLUMNS[name] for name in names)]
    rows = [heads, ["---"] * len(heads)]
    for index, member in enumerate(card["members"]):
        frames = f"{member['n_train']} / {member['n_valid']}"
        errors = [f"{member['errors'][name]:.3g}" for name in names]
        rows.append(
            [
                f"{kind}-{index}",
                str(member["seed"]),
                frames,
                " + ".join(map(str, member["steps"])),
                *errors,
            ]
        )
    rows.append(["mean of 4", "", "", "", *(f"{card['committee'][name]:.3g}" for name in names)])
    return ["| " + " | ".join(row) + " |" for row in rows]


def tabulate_calibration(calibration: dict[str, Any]) -> list[str]:
    """Return one row for each quantity."""
    heads = ["", "alpha", "frames", "right on test frames", "frames",
             "% within 1 spread (expected)", "2 spreads", "rank correlation"]  # fmt: skip
    rows = [heads, ["---"] * len(heads)]
    for quantity, one in calibration.items():
        shares = zip(
            one["percent_within_1_and_2_spreads_on_test"], one["percent_expected"], strict=True
        )
        covered = [f"{found:.0f} ({expected:.0f})" for found, expected in shares]
        alpha = f"{one['alpha']:.2f} ± {one['error']:.2f}"
        right = f"{one['alpha_on_test']:.2f} ± {one['error_on_test']:.2f}"
        frames, n_test = str(one["n_frames"]), str(one["n_test"])
        correlation = f"{one['rank_correlation_on_test']:.2f}"
        rows.append([quantity, alpha, frames, right, n_test, *covered, correlation])
    return ["| " + " | ".join(row) + " |" for row in rows]


CALIBRATION = """\
## Calibration of the spread

`calibration.json` (`mlobs calibrate`) has alpha of these four members from frames that are neither
trained on nor among those of the errors above; it is used by default. On the test frames:
"""
BLIND = """\
A calibrated spread is blind far from the training data. For energies of protonated dimers (H5O2+)
the right alpha of the potentials is 3.05 ± 0.09 (700 structures of librascal), 2.5 ± 0.1 (170,
RPBE+D3, of the tutorials of sabia-group) and 2.27 ± 0.05 (800, CCSD, of TENSOAP, in eV), and for
forces 1.90 ± 0.03 and 1.97 ± 0.07 (of the first two), by `mlobs calibrate client.toml DATA.extxyz
--key energy=NAME --key forces=NAME`. The spread knows nothing of what all members have in common,
such as the functional. Few frames make alpha uncertain, and a low rank correlation says that the
spread hardly tells which structures are worse than others."""


def write_card(kind: str, card: dict[str, Any], path: Path) -> None:
    """Return the Markdown card of one committee."""
    size, cost = card["architecture"], card["cost"]
    distances = card["distance_to_training_A"]
    lines = [f"# Water: committee of four MACE models, {kind}", "", TEXTS[kind].rstrip()]
    lines += [
        "- Split: the frames are from molecular dynamics, and were put in the order of time. One",
        f"  end of each trajectory calibrates the spread, the other ({card['n_test']} frames)",
        "  gives these errors; frames near to these are not used. Atoms of the test frames",
        f"  are {distances[0]:.2f} A away from the nearest frame of the training at least, and"
        f" {np.median(distances):.2f} A in",
        "  the median (root mean square). Each member takes its own random tenth of the rest for",
        "  validation. Expect larger errors away from these conditions.",
        f"- Cutoff {card['cutoff_A']} A, edges beyond it contribute exactly 0 (measured change:"
        f" {card['change_by_edges_beyond_cutoff']:.0e}).",
        f"- Architecture: {size['hidden']}, {size['layers']} layer(s), max_ell 2, correlation"
        f" {size['correlation']}, radial network {size['radial']},"
        f" {card['members'][0]['n_parameters']} parameters, float64.",
        f"- Cost per atom, one thread, eager torch, 192 atoms, {card['cost_of']}:"
        f" {cost['float64_us_per_atom']} us in float64, {cost['float32_us_per_atom']} us in float32"
        f" ({card['machine']}).",
        "",
        "Root mean square errors on the test frames, per component:",
        "",
        *tabulate(kind, card),
        "",
        "For comparison, on the same data:",
        "",
        *(f"- {name}: {value:.4g}" for name, value in card["context"].items()),
        "",
        CALIBRATION,
        *tabulate_calibration(card["calibration"]),
        "",
        BLIND,
    ]
    path.write_text("\n".join(lines) + "\n")
