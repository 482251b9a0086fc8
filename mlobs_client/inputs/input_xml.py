"""Write an input of i-PI for a structure, with comments on what to change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mlobs_client.check.digits import ALL_DIGITS
from mlobs_client.check.fixed_atoms import write_fixed
from mlobs_client.inputs.settings import COLLECTIVE, LENGTH, LOCAL, Settings
from mlobs_client.inputs.starting_structure import Start
from mlobs_client.structure import Integers
from mlobs_client.units import FEMTOSECOND, INVERSE_CM

TITLES: Final = {
    "nve": ("Microcanonical dynamics", "Microcanonical ring-polymer dynamics (RPMD)"),
    "nvt": ("Canonical dynamics", "Path-integral molecular dynamics (PIMD)"),
    "npt": ("Dynamics at 1 bar", "Path-integral molecular dynamics (PIMD) at 1 bar"),
    "trpmd": ("", "Thermostatted ring-polymer dynamics (TRPMD)"),
}
"""Names of the computation, with one bead and with several."""


def render_input(start: Start, settings: Settings, extras: Sequence[str], address: str) -> str:
    """Return the XML.

    Args:
        start: the structure, which is that of ``init.xyz``.
        settings: ensemble, time step, beads.
        extras: observables that the client sends.
        address: of the unix socket.
    """
    title = TITLES[settings.ensemble][settings.beads > 1]
    temperature = f"{settings.temperature:.10g}"
    dynamics = "nvt" if settings.ensemble == "trpmd" else settings.ensemble
    return f"""<!-- {title} of {start.description} at {temperature} K.
     Change here: the length (total_steps), the temperature (twice), the number of beads, the time
     step, and how often something is written (stride). For another structure, call mlobs init
     again. Client: client.toml. Check: mlobs check input.xml client.toml.
     Run: {settings.command} -->
<simulation verbosity='low' floatformat='{ALL_DIGITS}'>  <!-- all digits -->
{_output(start, settings, extras)}
  <total_steps> {settings.n_steps} </total_steps>  <!-- {LENGTH / 1000:g} ps -->
  <prng> <seed> 31415 </seed> </prng>  <!-- another number makes an independent run -->
  <!-- pbc='False': positions are sent unwrapped, of which dipoles are functions. The periodicity
       is that of init.xyz: {_periodicity(start)} -->
  <ffsocket name='mlobs' mode='unix' pbc='False'>
    <address> {address} </address>  <!-- as in [socket] of client.toml -->{_batches(settings)}
  </ffsocket>
  <system>
    <initialize nbeads='{settings.beads}'>{_on_beads(settings)}
      <file mode='ase'> init.xyz </file>
      <velocities mode='thermal' units='kelvin'> {temperature} </velocities>
    </initialize>
    <forces>
      <force forcefield='mlobs'/>
    </forces>
    <ensemble>
      <temperature units='kelvin'> {temperature} </temperature>{_pressure(settings)}
    </ensemble>
    <motion mode='dynamics'>{_fixed(start.fixed)}
      <dynamics mode='{dynamics}'>
        <!-- the lightest atom has {start.lightest:.4g} u; this moves a vibration at \
{settings.fastest:g} cm^-1 by +{settings.shift:.0f} cm^-1:
             option correct-timestep of mlobs ir -->
        <timestep units='femtosecond'> {settings.timestep:.10g} </timestep>\
{_barostat(start, settings)}{_thermostat(settings)}
      </dynamics>
    </motion>
  </system>
</simulation>
"""


def _output(start: Start, settings: Settings, extras: Sequence[str]) -> str:
    stride, npt = settings.stride, settings.ensemble == "npt"
    kinetic = "kinetic_cv" if settings.beads > 1 else "kinetic_md"
    cell = ",\n        pressure_cv{megapascal}, volume{angstrom3}, cell_h{angstrom}" if npt else ""
    return f"""  <output prefix='simulation'>
    <properties filename='out' stride='{stride}'>
      [ step, time{{picosecond}}, conserved{{electronvolt}}, temperature{{kelvin}},
        {kinetic}{{electronvolt}}, potential{{electronvolt}}{cell} ]
    </properties>
    <trajectory filename='pos' stride='{10 * stride}' format='xyz' cell_units='angstrom'> \
positions{{angstrom}} </trajectory>
    <!-- velocities of the centroids, one file for any number of beads, for mlobs vdos -->
    <trajectory filename='vel' stride='{stride}' format='xyz' cell_units='angstrom'> v_centroid \
</trajectory>{_extras(start, stride, extras)}
    <checkpoint filename='checkpoint' stride='{1000 * stride}' overwrite='False'/>
  </output>"""


def _extras(start: Start, stride: int, names: Sequence[str]) -> str:
    """Return an output for each observable; dipoles are as frequent as velocities."""
    command = "mlobs ir" if start.atoms.pbc.any() else "mlobs ir with option molecule"
    said = {"dipole": (stride, f", for {command}"), "energy_spread": (10 * stride, "")}
    return "".join(
        f"""
    <!-- extra_type is a name in [observables] extras of the client; atomic units{use} -->
    <trajectory filename='{name.removeprefix("energy_")}' stride='{steps}' extra_type='{name}'> \
extras </trajectory>"""
        for name, (steps, use) in said.items()
        if name in names
    )


def _periodicity(start: Start) -> str:
    along = [axis for axis, periodic in zip("abc", start.atoms.pbc, strict=True) if periodic]
    return f"periodic along {', '.join(along)}" if along else "none"


def _batches(settings: Settings) -> str:
    if settings.beads == 1:
        return ""
    return f"""
    <!-- beads that one client gets at once; beads / clients is best: here for 2 clients -->
    <batch_size> {settings.batch_size} </batch_size>"""


def _on_beads(settings: Settings) -> str:
    if settings.beads == 1:
        return ""
    return "  <!-- enough once nothing changes with more; 32 for O-H stretches at 300 K -->"


def _pressure(settings: Settings) -> str:
    if settings.ensemble != "npt":
        return ""
    return "\n      <pressure units='megapascal'> 0.1 </pressure>"


def _fixed(fixed: Integers) -> str:
    """Return the tag for fixed coordinates; i-PI counts atoms from 0."""
    if not len(fixed):
        return ""
    return f"\n      {write_fixed(fixed)}  <!-- counted from 0 -->\n      <fixcom> False </fixcom>"


def _barostat(start: Start, settings: Settings) -> str:
    if settings.ensemble != "npt":
        return ""
    mode, other = ("flexible", "isotropic: the volume only")
    if start.kind != "crystal":
        mode, other = ("isotropic", "flexible: the shape of a crystal, too")
    return f"""
        <barostat mode='{mode}'>  <!-- {other} -->
          <tau units='femtosecond'> 500 </tau>
          <thermostat mode='langevin'>
            <tau units='femtosecond'> 250 </tau>
          </thermostat>
        </barostat>"""


def _thermostat(settings: Settings) -> str:
    """Return the thermostat that disturbs the dynamics least, and reaches all vibrations."""
    if settings.ensemble == "nve":
        return ""
    tau = LOCAL if settings.is_local else COLLECTIVE
    if settings.beads > 1:
        mode = "pile_l" if settings.is_local else "pile_g"
        strength = 0.5 if settings.ensemble == "trpmd" else 1.0
        why = "of the internal modes; 0.5 is TRPMD, 1 samples them fastest"
        lines = f"\n          <pile_lambda> {strength:g} </pile_lambda>  <!-- {why} -->"
    else:
        mode, lines = ("langevin" if settings.is_local else "svr"), ""
    return f"""
        <!-- {_on_thermostat(settings)} -->
        <thermostat mode='{mode}'>
          <tau units='femtosecond'> {tau:g} </tau>{lines}
        </thermostat>"""


def _on_thermostat(settings: Settings) -> str:
    one = "centroid" if settings.beads > 1 else "atom"
    if settings.is_local:
        broadening = 1.0 / (LOCAL * FEMTOSECOND * INVERSE_CM)
        return (
            f"acts on each {one}, also where vibrations hardly exchange energy; broadens lines by\n"
            f"             {broadening:.0f} cm^-1; take tau = 100 fs while equilibrating"
        )
    local = "pile_l" if settings.beads > 1 else "langevin"
    return (
        f"rescales the total kinetic energy of all {one}s only, so spectra and diffusion stay\n"
        f"             nearly as in NVE; while equilibrating use mode='{local}' with tau = 100 fs"
    )
