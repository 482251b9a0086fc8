"""A client as an ASE calculator, with the values that i-PI gets, in the units of ASE."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.outputs import Properties, all_outputs
from ase.stress import full_3x3_to_voigt_6_stress

from mlobs_client.client.alphas import report_alphas
from mlobs_client.client.build import assemble, terms_for
from mlobs_client.client.config import ClientConfig, load_config
from mlobs_client.client.limits import check_limits
from mlobs_client.client.needs import check_tables, needed
from mlobs_client.client.spread_watch import SpreadWatch
from mlobs_client.client.total_energy import observe_batch, predict
from mlobs_client.evaluate.evaluation import provided_by
from mlobs_client.quantities import QUANTITIES, labelled
from mlobs_client.structure import Array, Prediction, Structure, from_atoms
from mlobs_client.terms.term import Term
from mlobs_client.units import EV

Results = dict[str, float | Array]

FROM_ENERGY: Final = frozenset({"energy", "free_energy", "forces", "stress"})
"""Properties that follow from the energy with all terms; the observable "energy" excludes them."""


def calculator(
    client: Path | str | ClientConfig, folder: Path | str | None = None
) -> ClientCalculator:
    """Make an ASE calculator from a client file.

    Energy and forces are those that i-PI gets, including [field] and [displacement]. The properties
    are ``energy`` and ``free_energy``, which are equal, in eV; ``forces``, shape ``(n_atoms, 3)``,
    in eV/angstrom; and if the atoms are periodic in all directions and the models have a strain
    derivative, ``stress``, shape ``(6,)``, in eV/angstrom^3 with the sign and the order of ASE.

    Observables have the names and shapes of :mod:`mlobs_client.quantities`, in eV, angstrom and e
    (dipole: e angstrom). Those of [observables], those that a term needs, and the members and
    spreads of their committees are in ``calc.results`` after each evaluation, whatever the stride.
    Other observables of the models are evaluated on request, for example by
    ``calc.get_property("born_charges", atoms)``. The deviations of members from their mean are
    scaled by alpha; members and spreads are those at zero field.

    Species, number of atoms, cell and periodicity are those of the atoms. Oxidation numbers by atom
    and ``reduced`` refer to the structure in the client file. A result that exceeds [limits] raises
    EvaluationError. The atoms must not be wrapped between two evaluations in a field, unless
    ``calc.reset()`` is called. Nothing is recorded, and ``threads`` has no effect: set
    OMP_NUM_THREADS instead.

    Args:
        client: path of the client file, or its content.
        folder: folder to which paths in the client file are relative; by default, the folder of the
            file, or the working directory if the content is given.

    Raises:
        ConfigError: the client file is missing or not valid.
        MissingObservable: a table needs an observable that no model gives.
        ModelError: a model file is missing, not trusted, corrupt or for other species.

    Example:
        Relax a molecule with the models of a client file that records dipoles::

            >>> from ase.build import molecule
            >>> from ase.optimize import BFGS
            >>> from mlobs_client import calculator
            >>> atoms = molecule("H2O")
            >>> atoms.calc = calculator("client.toml")
            >>> converged = BFGS(atoms, logfile=None).run(fmax=0.01)
            >>> print(f"{atoms.get_distance(0, 1):.2f} angstrom")
            0.96 angstrom
            >>> print(f"{atoms.get_dipole_moment()[2]:.2f} e angstrom")
            -0.42 e angstrom
            >>> print(f"the members differ by {atoms.calc.results['energy_spread']:.3f} eV")
            the members differ by 0.002 eV
    """
    if not isinstance(client, ClientConfig):
        path = Path(client)
        client, folder = load_config(path), path.parent if folder is None else folder
    check_tables(client)
    return ClientCalculator(client, Path(folder or "."))


class ClientCalculator(Calculator):  # type: ignore[misc]  # ASE has no types
    """The calculator that :func:`calculator` makes.

    Copies share the models. A pickle holds the client file and the results; unpickling loads the
    models again.

    Args:
        config: the client file.
        folder: folder of the client file.
    """

    name = "mlobs"
    results: Results
    ignored_changes: ClassVar[set[str]] = {"initial_charges", "initial_magmoms"}

    def __init__(self, config: ClientConfig, folder: Path) -> None:
        super().__init__()
        self._config, self._folder = config, folder
        self._assembly = assemble(config, folder)
        self._terms = {_species_of(self._assembly.structure): self._assembly.terms}
        self._given = provided_by(self._assembly.evaluators)
        self._always = self._with_members(_named(config))
        if config.gives_forces:
            predict([], self._assembly.evaluators, self._assembly.terms, self._always)  # a check
        forces = FROM_ENERGY if config.gives_forces else frozenset[str]()
        self.implemented_properties = sorted(self._given | forces)
        report_alphas(self._assembly.alphas, self._always)
        self._watch = SpreadWatch(self._assembly.alphas)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = object.__new__(type(self))
        own = {name: copy.deepcopy(getattr(self, name), memo) for name in ("atoms", "results")}
        twin.__dict__.update(vars(self) | own)
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        state = {"atoms": self.atoms, "results": self.results}
        return type(self), (self._config, self._folder), state

    def reset(self) -> None:
        """Forget all results, and in a field also the positions, so that atoms may be wrapped."""
        super().reset()
        self._terms = {}

    def get_property(
        self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True
    ) -> Any:
        """Return a property in the units of ASE; evaluate it if it is not known.

        Args:
            name: name of the property.
            atoms: the atoms; by default those of the last evaluation.
            allow_calculation: if False, None is returned for a property that is not known.

        Raises:
            PropertyNotImplementedError: no model of this client gives the property.
        """
        self._check_given([name])
        return super().get_property(name, atoms, allow_calculation)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Iterable[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Evaluate properties that are not known yet; ASE calls this method.

        Args:
            atoms: the atoms; by default those of the last evaluation.
            properties: names from ``implemented_properties``.
            system_changes: ASE's names for what has changed since the last evaluation; without
                changes, known results are kept.

        Raises:
            ConfigError: a setting of the client file does not fit these atoms.
            EvaluationError: a model gave NaN or cannot evaluate the atoms, or [limits] are
                exceeded.
            PropertyNotImplementedError: no model gives a property, or there is no stress for
                these atoms.
        """
        self._check_given(properties)
        super().calculate(atoms)
        if system_changes:
            self.results = {}
        asked = self._with_members(frozenset(properties) - FROM_ENERGY)
        missing = (self._always | asked) - frozenset(self.results)
        if missing or not self.results:
            self.results.update(self._evaluate(Structure(*from_atoms(self.atoms)), missing))
        if "stress" in properties and "stress" not in self.results:
            raise PropertyNotImplementedError(
                "a stress needs atoms that are periodic in all directions (their pbc is "
                f"{self.atoms.pbc.tolist()}) and models that have a strain derivative"
            )

    def export_properties(self) -> Properties:
        """Return the results for which ASE has a name."""
        return Properties({k: value for k, value in self.results.items() if k in all_outputs})

    def _evaluate(self, structure: Structure, names: frozenset[str]) -> Results:
        """Evaluate energy and forces unless they are known, and these observables."""
        evaluators, terms = self._assembly.evaluators, self._terms_of(structure)
        if self._config.gives_forces and not self.results:
            (prediction,) = predict([structure], evaluators, terms, names)
            check_limits([prediction], self._config.limits)
            found, observables = _from_energy(prediction, structure), prediction.observables
        else:
            found, (observables,) = {}, observe_batch([structure], evaluators, terms, sorted(names))
        self._watch.check(observables, structure.n_atoms)
        return found | {name: _to_users(name, observables[name]) for name in names}

    def _check_given(self, properties: Iterable[str]) -> None:
        for name in sorted(frozenset(properties) - frozenset(self.implemented_properties)):
            raise PropertyNotImplementedError(
                f"no model of this client gives {name}; it gives "
                f"{', '.join(self.implemented_properties)}: add a model to the client file"
            )

    def _terms_of(self, structure: Structure) -> tuple[Term, ...]:
        species = _species_of(structure)
        if species not in self._terms:
            self._terms[species] = terms_for(structure, self._assembly, self._config)
        return self._terms[species]

    def _with_members(self, names: frozenset[str]) -> frozenset[str]:
        """Return these observables with their members and spreads, which take no extra time."""
        rows = (QUANTITIES[name] for name in names)
        members = frozenset(name for row in rows for name in (row.members, row.spread))
        return (names | members & self._given) - FROM_ENERGY


def _named(config: ClientConfig) -> frozenset[str]:
    """Return the observables of each evaluation: those that tables need, and the energy."""
    energy = {"energy"} if config.potential is not None else set[str]()
    return frozenset(energy).union(*needed(config).values())


def _species_of(structure: Structure) -> tuple[bytes, tuple[bool, bool, bool]]:
    """Return species and periodicity, on which terms and oxidation numbers depend."""
    return structure.numbers.tobytes(), structure.pbc


def _from_energy(prediction: Prediction, structure: Structure) -> Results:
    found: Results = {
        "energy": prediction.energy / EV,
        "free_energy": prediction.energy / EV,
        "forces": _to_users("forces", prediction.forces),
    }
    if all(structure.pbc) and prediction.virial is not None:
        stress = _to_users("stress", -prediction.virial / structure.volume)
        found["stress"] = full_3x3_to_voigt_6_stress(stress)
    return found


def _to_users(name: str, value: Array) -> float | Array:
    converted = value / labelled(name).to_users.factor
    return converted if np.ndim(converted) else float(converted)
