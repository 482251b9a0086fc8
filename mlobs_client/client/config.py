"""Read and validate the client file, a TOML file.

Paths are relative to the client file, so that a folder can be moved as a whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
from pydantic import ConfigDict, Field, StrictInt, model_validator

from mlobs_client import units
from mlobs_client.client.analytic import AseModel, ToyDipole, ToyModel
from mlobs_client.client.mace import MaceDipole, MacePolarizability, MacePotential
from mlobs_client.quantities import IN_IPI, QUANTITIES, predicted
from mlobs_client.structure import Array, Structure
from mlobs_client.tables import Table, read_toml, suggest, validate
from mlobs_client.terms.displacement import FixedDisplacement
from mlobs_client.terms.field import UniformField

Vector = tuple[float, float, float]

NO_FORCES: Final = (
    "there is neither [potential] nor [field] nor [displacement], so i-PI would get no forces; add "
    "one of them"
)


class Socket(Table):
    """[socket]: the address of i-PI, as in ``<ffsocket>`` of its input.

    ``patience`` is the time to wait for a server that has not started yet, in seconds.
    """

    mode: Literal["unix", "inet"] = "unix"
    address: str = "localhost"
    port: int = Field(default=31415, ge=1, le=65535)
    patience: float = Field(default=60.0, ge=0.0)


class UniformFieldTable(Table):
    """[field]: a static uniform field E, H = H0 - mu.E (- E.alpha.E/2 with ``second_order``).

    With ``reduced``, ``vector`` is the field in the cell of ``structure``; when the cell changes,
    the voltages E.a along its vectors a stay fixed, and E does not.
    """

    vector: Vector
    unit: str
    second_order: bool = False
    reduced: bool = False

    @property
    def atomic_units(self) -> Array:
        """The vector, shape ``(3,)``, Eh/(e bohr)."""
        return np.array(self.vector) * units.factor(self.unit, units.FIELD_UNITS, "[field] unit")

    @property
    def needs(self) -> dict[str, frozenset[str]]:
        """The observables that the term needs, by the setting that needs them; "" for the table."""
        second = {"second_order": frozenset({"polarizability"})} if self.second_order else {}
        return {"": frozenset({"dipole"}), **second}

    @property
    def needs_cell(self) -> str | None:
        """The setting that needs a periodic structure; None if the structure may be a molecule."""
        return " reduced = true" if self.reduced else None

    def term(self, structure: Structure) -> UniformField | FixedDisplacement:
        """Return the force term.

        Args:
            structure: structure of the client file, to whose cell ``reduced`` refers.
        """
        return UniformField(self.atomic_units, self.second_order, self._reference_cell(structure))

    def _reference_cell(self, structure: Structure) -> Array | None:
        return structure.cell if self.reduced else None


class DisplacementTable(UniformFieldTable):
    """[displacement]: a fixed electric displacement D, H = H0 + V/(8 pi) |D - 4 pi P|^2.

    ``vector`` is the D of SI divided by epsilon_0, D = E + 4 pi P, in a unit of field. With
    ``reduced``, the flux of D through the faces of the cell is fixed at that of ``vector`` in the
    cell of ``structure``. D is fixed along ``axes``; along the other axes E is zero.
    """

    axes: str = Field(default="xyz", pattern="^(x?y?z?)$", min_length=1)

    @property
    def is_fixed(self) -> tuple[bool, bool, bool]:
        """For x, y and z, True if D is fixed along this axis."""
        return ("x" in self.axes, "y" in self.axes, "z" in self.axes)

    @property
    def needs_cell(self) -> str | None:
        """The table itself, "", since any displacement needs a volume."""
        return ""

    def term(self, structure: Structure) -> FixedDisplacement:
        """Return the force term.

        Args:
            structure: structure of the client file, to whose cell ``reduced`` refers.
        """
        cell = self._reference_cell(structure)
        return FixedDisplacement(self.atomic_units, self.second_order, cell, self.is_fixed)

    @model_validator(mode="after")
    def _fluxes_are_fixed_together(self) -> DisplacementTable:
        if self.reduced and not all(self.is_fixed):
            raise ValueError(
                f"reduced = true fixes the flux through all faces of the cell, but axes = "
                f"{self.axes!r}; remove one of the two"
            )
        return self


class Observables(Table):
    """[observables]: the observables that are sent to i-PI as extras, and those that are recorded.

    ``stride`` is the number of steps of i-PI between two evaluations of an observable: one number
    for all of them, or numbers by name (1 for the others). All recorded observables share one
    number, because a row has all columns. ``stride`` has an effect only if the client can count the
    steps of i-PI, see :mod:`mlobs_client.client.counting`. ``sum_rule = "restore"`` makes Born
    charges add up to the sum of the oxidation numbers, which ``driven_dynamics`` requires.
    """

    RENAMED: ClassVar[dict[str, str]] = {"every": "stride"}

    extras: tuple[str, ...] = ()
    record: tuple[str, ...] = ()
    stride: StrictInt | dict[str, StrictInt] = 1
    record_file: str = "observables.h5"
    sum_rule: Literal["restore"] | None = None

    @property
    def strides(self) -> dict[str, int]:
        """The number of steps between two evaluations, for each observable in extras and record."""
        names = dict.fromkeys((*self.extras, *self.record))
        if isinstance(self.stride, int):
            return dict.fromkeys(names, self.stride)
        return {name: self.stride.get(name, 1) for name in names}

    @property
    def record_stride(self) -> int:
        """The number of steps between two rows of the record; 1 without a record."""
        return self.strides[self.record[0]] if self.record else 1

    @model_validator(mode="after")
    def _names_are_known(self) -> Observables:
        for name in (*self.extras, *self.record):
            if name not in QUANTITIES:
                raise ValueError(f"unknown observable {name!r}; {suggest(name, QUANTITIES)}")
        for name in self.extras:
            if name in IN_IPI:
                raise ValueError(f"i-PI already has the {name}; remove it from extras")
        return self

    @model_validator(mode="after")
    def _strides_are_possible(self) -> Observables:
        by_name = {"": self.stride} if isinstance(self.stride, int) else self.stride
        for name, stride in by_name.items():
            if name and name not in self.strides:
                raise ValueError(
                    f"stride names {name!r}, which is neither in extras nor in record; "
                    + (suggest(name, self.strides) if self.strides else "add it to one of them")
                )
            if stride < 1:
                said = f"{{ {name} = {stride} }}" if name else stride
                raise ValueError(f"stride = {said} must be at least 1 (every step)")
        different = {name: self.strides[name] for name in self.record}
        if len(set(different.values())) > 1:
            said = ", ".join(f"{name} = {stride}" for name, stride in different.items())
            raise ValueError(
                f"a row of the record has all its columns, but their strides differ ({said}); set "
                "the same number for all, or move the small ones from record to extras"
            )
        return self


Potential = Annotated[MacePotential | AseModel | ToyModel, Field(discriminator="kind")]
Dipole = Annotated[MaceDipole | ToyDipole, Field(discriminator="kind")]
Other = Annotated[AseModel | ToyModel, Field(discriminator="kind")]
"""Models of the observables whose tables have no settings of their own."""

AnyModel = MacePotential | MaceDipole | MacePolarizability | AseModel | ToyModel


class Limits(Table):
    """[limits]: a structure that exceeds them is refused, so the run ends before it is ruined.

    ``force`` is the largest force on an atom, in eV/angstrom; ``energy_spread`` is the largest
    spread of the committee, scaled by its ``alpha``, in eV.
    """

    force: float | None = Field(default=None, gt=0.0)
    energy_spread: float | None = Field(default=None, gt=0.0)


class ClientConfig(Table):
    """The content of a client file.

    ``structure`` is a file that i-PI or ASE reads (xyz, a RESTART, PDB, ...), with the atoms in
    the order of i-PI's input: the socket carries neither species nor periodicity. ``virial =
    "none"`` accepts models without a strain derivative: i-PI then gets a zero virial, and pressures
    mean nothing; without periodicity this is not needed. ``pbc`` overrides the periodicity of the
    structure file. With ``compile``, MACE networks are compiled in the background, and those that
    were compiled in earlier runs are used. ``batch`` is the largest number of structures that MACE
    networks evaluate together; by default, it is estimated from the number of edges in their graphs
    (``mlobs bench`` measures it).

    The models of a quantity are in the table that its row in :mod:`mlobs_client.quantities` names.
    """

    model_config = ConfigDict(extra="allow")  # but nothing else: see _tables_are_known
    __pydantic_extra__: dict[str, Other] = Field(init=False)

    structure: str
    pbc: tuple[bool, bool, bool] | None = None
    virial: Literal["auto", "none"] = "auto"
    threads: int = Field(default=1, ge=1)
    compile: bool = True
    batch: int | None = Field(default=None, ge=1)
    socket: Socket = Socket()
    potential: Potential | None = None
    dipole: Dipole | None = None
    polarizability: MacePolarizability | None = None
    field: UniformFieldTable | None = None
    displacement: DisplacementTable | None = None
    observables: Observables = Observables()
    limits: Limits = Limits()

    @model_validator(mode="before")
    @classmethod
    def _tables_are_known(cls, content: dict[str, Any]) -> dict[str, Any]:
        known = {*cls.model_fields, *(row.table for row in predicted())}
        for name in content:
            if name not in known:
                raise ValueError(f"unknown setting {name!r}; {suggest(name, known)}")
        return content

    @property
    def models(self) -> dict[str, AnyModel]:
        """The tables of models, by the names of their quantities."""
        tables = {row.name: getattr(self, row.table, None) for row in predicted()}
        return {name: table for name, table in tables.items() if table is not None}

    @property
    def terms(self) -> dict[str, UniformFieldTable]:
        """The tables of force terms, by their names."""
        tables = {"field": self.field, "displacement": self.displacement}
        return {name: table for name, table in tables.items() if table is not None}

    @model_validator(mode="after")
    def _something_is_evaluated(self) -> ClientConfig:
        if not self.gives_forces and not self.models:
            raise ValueError(f"there is no model; {NO_FORCES}")
        if self.field is not None and self.displacement is not None:
            raise ValueError(
                "[field] and [displacement] exclude each other: a fixed displacement makes its own "
                "field; remove one of them"
            )
        return self

    @property
    def gives_forces(self) -> bool:
        """True if a table gives forces, which i-PI needs and ``mlobs observe`` does not."""
        return self.potential is not None or bool(self.terms)

    @property
    def coupling_table(self) -> str:
        """The name of the table that acts on the dipole, in brackets; empty if there is none."""
        return "".join(f"[{name}]" for name in self.terms)

    @property
    def coupling(self) -> UniformFieldTable | None:
        """The table that acts on the dipole, [field] or [displacement]; None without either."""
        return self.displacement or self.field

    @model_validator(mode="after")
    def _restored_charges_are_those_of_the_models(self) -> ClientConfig:
        induced = self.coupling is not None and self.coupling.second_order
        if induced and self.observables.sum_rule is not None:
            raise ValueError(
                f"sum_rule = {self.observables.sum_rule!r} is for fields of i-PI's "
                "driven_dynamics; with second_order the client changes the charges too: remove "
                "one of them"
            )
        return self

    @model_validator(mode="after")
    def _charges_in_a_field_are_due_with_what_they_need(self) -> ClientConfig:
        charges, gradient = "born_charges", "polarizability_gradient"
        strides = self.observables.strides
        if (
            self.coupling is None
            or not self.coupling.second_order
            or not {charges, gradient} <= set(strides)
        ):
            return self
        if strides[charges] % strides[gradient]:
            raise ValueError(
                f"{charges} with second_order need the {gradient} of the same step, but "
                f"their strides are {strides[charges]} and {strides[gradient]}; make the first a "
                "multiple of the second in [observables]"
            )
        return self


def load_config(path: Path | str) -> ClientConfig:
    """Read and validate a client file.

    Args:
        path: path of the TOML file.

    Raises:
        ConfigError: the file is missing, is not TOML, or has an impossible setting.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from mlobs_client import load_config
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "client.toml"
        ...     length = path.write_text('''
        ...         structure = "init.xyz"
        ...         [dipole]
        ...         kind = "toy"
        ...         oxidation_numbers = { O = -2, H = 1 }
        ...         [field]
        ...         vector = [0.0, 0.0, 0.1]
        ...         unit = "V/angstrom"
        ...     ''')
        ...     config = load_config(path)
        >>> config.structure, config.field.vector
        ('init.xyz', (0.0, 0.0, 0.1))
    """
    missing = "no such client file; 'mlobs init water-nvt' writes one to start from"
    return parse(read_toml(Path(path), missing), str(path))


def parse(content: dict[str, Any], where: str) -> ClientConfig:
    """Validate the content of a client file.

    Args:
        content: tables as :mod:`tomllib` gives them.
        where: name of the file, for messages.

    Raises:
        ConfigError: the content is not valid; one line describes the first problem.
    """
    config = validate(ClientConfig, content, where)
    for name, table in config.terms.items():
        units.factor(table.unit, units.FIELD_UNITS, f"{where}: [{name}] unit")
    return config
