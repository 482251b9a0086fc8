from .branches import average_beads, unwrap_dipole
from .calibration import (
    Calibration,
    Coverage,
    Errors,
    calibrate,
    coverage,
)
from .liquids.distributions import (
    Distribution,
    find_bonds,
    histogram,
    radial_distribution,
)
from .liquids.freezing import Onset, find_onset
from .liquids.orientation import Orientation, find_bisectors, orientation
from .reliability import Reliability, reliability
from .response.dielectric import (
    DielectricFunction,
    dielectric_from_fluctuations,
    dielectric_from_relaxation,
)
from .response.field_ensemble import FieldEnsemble
from .response.fluctuations import Covariance, covariance
from .response.permittivity import Permittivity, permittivity_from_fluctuations
from .response.polarization import (
    PolarizationCurve,
    polarization_against_field,
    susceptibility_from_fluctuations,
)
from .response.pulses import PulseResponse, dielectric_from_pulse
from .response.reweighting import Reweighted, reweight
from .response.winding import OxidationNumber, Winding, oxidation_number, wind
from .transport.diffusion import (
    Diffusion,
    correct_for_size,
    diffusion_from_displacements,
    diffusion_from_velocities,
)
from .vibrations.infrared import infrared, infrared_from_currents
from .vibrations.spectra import (
    Spectrum,
    SpectrumSettings,
    integrate,
    member_peaks,
    peak,
)
from .vibrations.timestep import PeakShift, correct_timestep, peak_shifts
from .vibrations.vdos import partial_vdos, vdos

__all__ = [
    "Calibration",
    "Covariance",
    "Coverage",
    "DielectricFunction",
    "Diffusion",
    "Distribution",
    "Errors",
    "FieldEnsemble",
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
    "average_beads",
    "calibrate",
    "correct_for_size",
    "correct_timestep",
    "covariance",
    "coverage",
    "dielectric_from_fluctuations",
    "dielectric_from_pulse",
    "dielectric_from_relaxation",
    "diffusion_from_displacements",
    "diffusion_from_velocities",
    "find_bisectors",
    "find_bonds",
    "find_onset",
    "histogram",
    "infrared",
    "infrared_from_currents",
    "integrate",
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
    "susceptibility_from_fluctuations",
    "unwrap_dipole",
    "vdos",
    "wind",
]
