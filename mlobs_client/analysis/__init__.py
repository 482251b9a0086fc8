"""Arrays in, small frozen results out: correlation functions, spectra, responses, with errors.

Arrays are in Hartree atomic units; results are in the units of their readers (cm^-1,
V/angstrom, ...) and say which.
"""

from mlobs_client.analysis.branches import average_beads, unwrap_dipole
from mlobs_client.analysis.calibration import (
    Calibration,
    Coverage,
    Errors,
    calibrate,
)
from mlobs_client.analysis.liquids.distributions import (
    Distribution,
    find_bonds,
    histogram,
    radial_distribution,
)
from mlobs_client.analysis.liquids.freezing import Onset, find_onset
from mlobs_client.analysis.liquids.orientation import Orientation, find_bisectors, orientation
from mlobs_client.analysis.reliability import Reliability, reliability
from mlobs_client.analysis.response.dielectric import (
    DielectricFunction,
    dielectric_from_fluctuations,
    dielectric_from_relaxation,
)
from mlobs_client.analysis.response.field_ensemble import FieldEnsemble
from mlobs_client.analysis.response.fluctuations import Covariance, covariance
from mlobs_client.analysis.response.permittivity import Permittivity, permittivity_from_fluctuations
from mlobs_client.analysis.response.polarization import (
    PolarizationCurve,
    polarization_against_field,
    susceptibility_from_fluctuations,
)
from mlobs_client.analysis.response.pulses import PulseResponse, dielectric_from_pulse
from mlobs_client.analysis.response.reweighting import Reweighted, reweight
from mlobs_client.analysis.response.winding import OxidationNumber, Winding, oxidation_number, wind
from mlobs_client.analysis.transport.diffusion import (
    Diffusion,
    correct_for_size,
    diffusion_from_displacements,
    diffusion_from_velocities,
)
from mlobs_client.analysis.vibrations.infrared import infrared, infrared_from_currents
from mlobs_client.analysis.vibrations.spectra import (
    Spectrum,
    SpectrumSettings,
    integrate,
    member_peaks,
    peak,
)
from mlobs_client.analysis.vibrations.timestep import PeakShift, correct_timestep, peak_shifts
from mlobs_client.analysis.vibrations.vdos import partial_vdos, vdos
from mlobs_client.results.estimate import Estimate
from mlobs_client.results.lines import LinearFit, drift, fit_line
from mlobs_client.results.statistics import (
    add_member_spread,
    block_mean,
    bootstrap,
    find_equilibration,
    jackknife,
    mean,
    mean_of_independent,
)
from mlobs_client.results.zero_frequency import statistical_inefficiency, zero_frequency_density

__all__ = [
    "Calibration",
    "Covariance",
    "Coverage",
    "DielectricFunction",
    "Diffusion",
    "Distribution",
    "Errors",
    "Estimate",
    "FieldEnsemble",
    "LinearFit",
    "Onset",
    "Orientation",
    "OxidationNumber",
    "PeakShift",
    "Permittivity",
    "PolarizationCurve",
    "PulseResponse",
    "Reliability",
    "Reweighted",
    "Spectrum",
    "SpectrumSettings",
    "Winding",
    "add_member_spread",
    "average_beads",
    "block_mean",
    "bootstrap",
    "calibrate",
    "correct_for_size",
    "correct_timestep",
    "covariance",
    "dielectric_from_fluctuations",
    "dielectric_from_pulse",
    "dielectric_from_relaxation",
    "diffusion_from_displacements",
    "diffusion_from_velocities",
    "drift",
    "find_bisectors",
    "find_bonds",
    "find_equilibration",
    "find_onset",
    "fit_line",
    "histogram",
    "infrared",
    "infrared_from_currents",
    "integrate",
    "jackknife",
    "mean",
    "mean_of_independent",
    "member_peaks",
    "orientation",
    "oxidation_number",
    "partial_vdos",
    "peak",
    "peak_shifts",
    "permittivity_from_fluctuations",
    "polarization_against_field",
    "radial_distribution",
    "reliability",
    "reweight",
    "statistical_inefficiency",
    "susceptibility_from_fluctuations",
    "unwrap_dipole",
    "vdos",
    "wind",
    "zero_frequency_density",
]
