"""``mlobs init``: write inputs to start from, for one's own structure or ready ones."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import click

from mlobs_client.cli.options import FiniteRange, SpeciesNumbers
from mlobs_client.errors import ConfigError

if TYPE_CHECKING:
    from mlobs_client.inputs.own_system import Choices
    from mlobs_client.inputs.starting_structure import Kind

TEMPLATES: Final = files("mlobs_client") / "templates"
# the file that explains a folder, and the pattern of its first comment
HEADS: Final = {"input.xml": r"<!--(.*?)-->", "campaign.toml": r"#(.*?)\n"}
STRUCTURES: Final[Mapping[str, str]] = {
    "molecule": "Any molecule; without --structure one of water with q-TIP4P/F",
    "crystal": "Any crystal; without --structure copper with EMT",
    "slab": "Any slab or surface; without --structure copper with EMT and fixed layers",
    "liquid": "Any liquid; without --structure water with the bundled models",
}
"""Kinds of structures, for which the files are made; all other kinds are copied."""
SEVERAL: Final = (
    "give the option once for each file, or quote a pattern: --model 'committee/*.model'"
)


class _Parameter(click.ParamType[tuple[str, Any]]):
    """NAME=VALUE: a parameter of a calculator; a value that is no TOML is a text."""

    name = "NAME=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        name, sign, text = str(value).partition("=")
        if not (name.isidentifier() and sign):
            self.fail(f"{value!r} is no NAME=VALUE; write for example sigma=3.4", param, ctx)
        try:
            return name, tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return name, text


class _Numbers(SpeciesNumbers):
    """Oxidation numbers by species, or none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return "none" if value == "none" else super().convert(value, param, ctx)


@click.command(
    epilog="Examples:  mlobs init water-trpmd my-run   |   mlobs init slab my-run   |   mlobs init "
    "my-run --structure ethanol.xyz --calculator tblite.ase.TBLite --parameter verbosity=0"
)
@click.argument("kind", required=False)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--structure",
    type=click.Path(path_type=Path),
    help="File with your atoms: all formats of ASE and i-PI; the last of several structures.",
)
@click.option(
    "--model",
    "models",
    metavar="FILE",
    multiple=True,
    help="MACE potential; give it several times, or a quoted pattern, for a committee.",
)
@click.option(
    "--calculator",
    metavar="MODULE.CLASS",
    help="ASE calculator as the potential, such as ase.calculators.emt.EMT.",
)
@click.option(
    "--parameter",
    "parameters",
    type=_Parameter(),
    multiple=True,
    help="Parameter of the calculator.",
)
@click.option(
    "--dipole",
    "dipoles",
    metavar="FILE",
    multiple=True,
    help="MACE dipole model, for spectra and fields; for a committee, repeat the option or give a "
    "quoted pattern.",
)
@click.option(
    "--oxidation-numbers",
    type=_Numbers(),
    help="Oxidation numbers by species with which the dipole models of a periodic structure were "
    "trained; 'none' if they were trained without.",
)
@click.option(
    "--field",
    type=(FiniteRange(), FiniteRange(), FiniteRange()),
    metavar="X Y Z",
    help="Static electric field, V/angstrom; needs a dipole.",
)
@click.option(
    "--ensemble",
    type=click.Choice(["nve", "nvt", "npt", "trpmd"]),
    default="nvt",
    show_default=True,
    help="With several beads, nve is RPMD and nvt is PIMD; npt is at 1 bar.",
)
@click.option(
    "--temperature",
    type=FiniteRange(min=0.0, min_open=True),
    default=300.0,
    show_default=True,
    help="Temperature of the ensemble and of the initial velocities, K.",
)
@click.option(
    "--beads",
    type=click.IntRange(1),
    help="Beads of the ring polymer.  [default: 8 for trpmd, else 1]",
)
@click.option(
    "--timestep",
    type=FiniteRange(min=0.0, min_open=True),
    help="Time step, fs; by default 0.5 with H, 0.7 with D, 1 with atoms lighter than "
    "25 u, else 2.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--no-models", is_flag=True, help="Do not load the models to test them.")
def command(
    kind: str | None, folder: Path | None, overwrite: bool, no_models: bool, **options: Any
) -> None:
    """Write the input.xml, client.toml and structure (or the campaign) of one KIND into FOLDER.

    Without KIND, the command lists all kinds. FOLDER is the current folder by default. Existing
    files are overwritten with --overwrite only.

    With --structure, the command makes the files for your atoms, and you may leave out KIND. Write
    molecule, crystal, slab or liquid if the periodicity in your file is not that of this kind. The
    command keeps the files only if 'mlobs check' finds no error in them.
    """
    from mlobs_client.inputs.own_system import Choices

    choices = Choices(**options)
    has_options = choices != Choices()
    if kind is None and not has_options:
        _list_kinds()
        return
    kind, target = _sort_arguments(kind, folder, choices, has_options=has_options)
    if kind is None or kind in STRUCTURES:
        structure_kind = cast("Kind | None", kind)
        names = _write_files(
            structure_kind, target, choices, overwrite=overwrite, no_models=no_models
        )
        head = "input.xml"
    else:
        names = copy_kind(kind, target, overwrite=overwrite)
        head = _head(kind)
    where = f"{', '.join(names)} to {target.resolve()}"
    click.echo(f"wrote {where}; read the comment at the top of {head}")


def _list_kinds() -> None:
    for name, purpose in {**STRUCTURES, **find_kinds()}.items():
        click.echo(f"{name:20s} {purpose}")


def _sort_arguments(
    kind: str | None, folder: Path | None, choices: Choices, *, has_options: bool
) -> tuple[str | None, Path]:
    """Return KIND and FOLDER; with a structure the former may be left out.

    Raises:
        ConfigError: there is no such kind, or it takes no options.
    """
    known = {**STRUCTURES, **find_kinds()}
    if choices.structure is not None and folder is None and kind not in known:
        kind, folder = None, None if kind is None else Path(kind)
    if kind is None and choices.structure is None:
        raise ConfigError(
            f"there is no structure; give --structure FILE, or one of the kinds {_listed(known)}"
        )
    if kind is not None and kind not in known:
        raise ConfigError(f"there is no kind {kind!r}; use one of {_listed(known)}")
    if kind in known and kind not in STRUCTURES and has_options:
        raise ConfigError(
            f"{kind} is copied as it is, without options; use one of {_listed(STRUCTURES)}, or "
            "edit its files"
        )
    if folder is not None and folder.is_file():
        raise ConfigError(f"FOLDER {folder} is a file; {SEVERAL}, and give another folder")
    return kind, folder or Path()


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(kinds)


def _write_files(
    kind: Kind | None, target: Path, choices: Choices, *, overwrite: bool, no_models: bool
) -> list[str]:
    """Make the files for a structure, check and write them.

    Raises:
        ConfigError: one of them is there already, or is not right.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by torch when it is loaded, as for checks
    from mlobs_client.cli.check import progress_shown
    from mlobs_client.inputs.checked_files import write_checked
    from mlobs_client.inputs.own_system import NAMES, make_files

    _refuse_existing(target, NAMES, kind or "--structure FILE", overwrite=overwrite)
    given = choices.structure
    if given is not None and any(_is_same(given, target / name) for name in NAMES):
        raise ConfigError(f"{given} is the structure itself and stays; give another folder")
    with as_file(TEMPLATES / "water-nvt" / "init.xyz") as water_box:
        texts, notes = make_files(kind, target, choices, water_box)
    for note in notes:
        click.echo(note)
    with progress_shown() as say:
        warnings = write_checked(target, texts, say, with_models=not no_models)
    for warning in warnings:
        click.echo(f"warning: {warning.what}; {warning.remedy}")
    return sorted(texts)


def _is_same(first: Path, second: Path) -> bool:
    return first.exists() and second.exists() and first.samefile(second)


def _refuse_existing(target: Path, names: Iterable[str], kind: str, *, overwrite: bool) -> None:
    """Check that no file is replaced without being asked.

    Raises:
        ConfigError: one is there.
    """
    for name in names:
        if (target / name).exists() and not overwrite:
            raise ConfigError(
                f"{target / name} exists already and is not overwritten; give another folder: "
                f"mlobs init {kind} FOLDER, or write --overwrite"
            )


def find_kinds() -> dict[str, str]:
    """Return the kinds of inputs, each with the first sentence of its XML or its campaign file."""
    folders = sorted(path.name for path in TEMPLATES.iterdir() if path.is_dir())
    return {name: _first_sentence(name) for name in folders if _head(name)}


def copy_kind(kind: str, target: Path, *, overwrite: bool = False) -> list[str]:
    """Copy the files of a kind into a folder, and return their names.

    Args:
        kind: of :func:`find_kinds`.
        target: the folder.
        overwrite: files that are there are replaced.

    Raises:
        ConfigError: one of the files exists already, or the folder cannot be written.
    """
    sources = dict(_list_files(TEMPLATES / kind))
    _refuse_existing(target, sources, kind, overwrite=overwrite)
    try:
        for name, source in sources.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(source.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot write to {target}: {error}; give another folder") from error
    return list(sources)


def _list_files(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.is_file():
            yield prefix + path.name, path
        elif path.name != "__pycache__":
            yield from _list_files(path, f"{prefix}{path.name}/")


def _head(kind: str) -> str:
    """Return the name of the file that explains a kind; empty if there is none."""
    return next((name for name in HEADS if (TEMPLATES / kind / name).is_file()), "")


def _first_sentence(kind: str) -> str:
    head = _head(kind)
    text = (TEMPLATES / kind / head).read_text(encoding="utf-8")
    comment = re.search(HEADS[head], text, flags=re.DOTALL)
    text = " ".join(comment.group(1).split()) if comment else ""
    return re.split(r"(?<=[.;]) ", text)[0].rstrip(".;")
