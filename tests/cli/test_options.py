"""Options refuse what click would take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mlobs_client.cli import group, launch, run
from mlobs_client.cli.options import FiniteRange, ResultFile, ResultName, files_of_a_run, renamed


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "-1", "ten"])
def test_only_finite_numbers_within_the_limits_are_taken(text: str) -> None:
    with pytest.raises(click.BadParameter):
        FiniteRange(0.0).convert(text, None, None)
    assert FiniteRange(0.0).convert("2.5", None, None) == 2.5


@pytest.mark.parametrize("text", ["", ".", "..", "/"])
def test_a_folder_is_no_name_of_results(text: str) -> None:
    with pytest.raises(click.BadParameter, match="give a name in it"):
        ResultName().convert(text, None, None)
    assert ResultName().convert("folder/vdos", None, None).name == "vdos"


@pytest.mark.parametrize("text", ["", ".", "/", "folder"])
def test_a_folder_is_no_file_to_be_written(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(click.BadParameter, match=r"is not a file name|is a directory"):
        ResultFile().convert(text, None, None)
    assert ResultFile().convert("folder/a.extxyz", None, None) == Path("folder/a.extxyz")


@click.command()
@files_of_a_run
@click.option("--more", is_flag=True)
def command(input_xml: Path, clients: tuple[Path, ...], n_clients: object, more: bool) -> None:
    click.echo(f"{input_xml} {len(clients)} {n_clients} {more}")


@pytest.mark.parametrize(
    ("options", "counts"),
    [([], (1, 1)), (["-n", "3"], (3, 3)), (["-n", "4", "-n", "1"], (4, 1)), (["-n", "0"], (0, 0))],
)
def test_the_number_of_clients_is_given_once_for_all_files_or_for_each(
    options: list[str], counts: tuple[int, ...]
) -> None:
    result = CliRunner().invoke(command, ["input.xml", "a.toml", "b.toml", *options, "--more"])
    assert result.output == f"input.xml 2 {counts} True\n"


def test_more_numbers_than_files_are_refused() -> None:
    words = ["input.xml", "a.toml", "b.toml", "-n", "1", "-n", "2", "-n", "3"]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 2
    assert "-n is given 3 times for 2 client files" in result.output


def test_the_old_name_of_an_option_is_an_error_that_names_the_new_one() -> None:
    @click.command()
    @click.option("--new", is_flag=True)
    @renamed("--old", "--new")
    def command(new: bool) -> None:
        click.echo(new)

    result = CliRunner().invoke(command, ["--old", "x"])
    assert (result.exit_code, result.output.splitlines()[-1]) == (
        2,
        "Error: --old is now called --new",
    )
    assert CliRunner().invoke(command, ["--new"]).output == "True\n"
    assert "--old" not in CliRunner().invoke(command, ["--help"]).output


def commands(command: click.Command = group) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            one = command.get_command(context, name)
            assert one is not None
            yield from commands(one)


def test_every_option_has_a_help_text_that_is_a_sentence_and_shows_no_internals() -> None:
    for command in commands():
        shown = command.get_help(click.Context(command))
        assert "None" not in shown, command.name
        assert "[default: (" not in shown, command.name
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                text = (option.help or "").split("  [default")[0]
                assert text[:1].isupper() or text.startswith("'"), (command.name, option.name)
                assert text.endswith("."), (command.name, option.name)


@pytest.mark.parametrize("flag", ["-n", "--skip", "--no-check", "--resolution", "--beside"])
def test_an_option_of_one_meaning_reads_the_same_in_every_command(flag: str) -> None:
    texts = [
        (option.help, option.metavar, str(option.type))
        for command in commands()
        for option in command.params
        if isinstance(option, click.Option) and flag in option.opts
    ]
    assert len(texts) > 1
    assert {str(text) for text in texts} == {str(texts[0])}


def test_the_name_of_results_reads_the_same_in_every_command() -> None:
    texts = [
        option.help
        for command in commands()
        for option in command.params
        if isinstance(option, click.Option) and isinstance(option.type, ResultName)
    ]
    assert len(texts) >= 7
    assert len(set(texts)) == 1


@pytest.mark.parametrize("command", [launch.command, run.command])
def test_the_option_beside_is_called_driver(command: click.Command) -> None:
    result = CliRunner().invoke(command, ["input.xml", "client.toml", "--beside", "lmp"])
    assert result.output.endswith("Error: --beside is now called --driver\n")
