from .branches import average_beads, unwrap_dipole
from .calibration import (
    Calibration,
    Coverage,
    Errors,
    calibrate,
    coverage,
)
from .liquids.arrest import ArrestField, arrest_field
from .liquids.distributions import (
    find_bonds,
    highest,
    histogram,
    mode,
    radial_distribution,
)
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
from .response.winding import (
    OxidationNumber,
    Winding,
    curve_along_path,
    oxidation_number,
    wind,
)
from .transport.diffusion import (
    Diffusion,
    correct_for_size,
    diffusion_from_displacements,
    diffusion_from_velocities,
)
from .vibrations.infrared import infrared, infrared_from_currents
from .vibrations.spectra import SpectrumSettings, spectrum
from .vibrations.timestep import PeakShift, correct_timestep, peak_shifts
from .vibrations.vdos import vdos

__all__ = [
    "ArrestField",
    "Calibration",
    "Covariance",
    "Coverage",
    "DielectricFunction",
    "Diffusion",
    "Errors",
    "FieldEnsemble",
    "Orientation",
    "OxidationNumber",
    "PeakShift",
    "Permittivity",
    "PolarizationCurve",
    "PulseResponse",
    "Reliability",
    "Reweighted",
    "SpectrumSettings",
    "Winding",
    "arrest_field",
    "average_beads",
    "calibrate",
    "correct_for_size",
    "correct_timestep",
    "covariance",
    "coverage",
    "curve_along_path",
    "dielectric_from_fluctuations",
    "dielectric_from_pulse",
    "dielectric_from_relaxation",
    "diffusion_from_displacements",
    "diffusion_from_velocities",
    "find_bisectors",
    "find_bonds",
    "highest",
    "histogram",
    "infrared",
    "infrared_from_currents",
    "mode",
    "orientation",
    "oxidation_number",
    "peak_shifts",
    "permittivity_from_fluctuations",
    "polarization_against_field",
    "radial_distribution",
    "reliability",
    "reweight",
    "spectrum",
    "susceptibility_from_fluctuations",
    "unwrap_dipole",
    "vdos",
    "wind",
]
