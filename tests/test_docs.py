"""README.md and docs/: commands are run or parsed, files validated, tables those of results/."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent

import click
import pytest

from mlobs_client.campaign.file import CampaignTable
from mlobs_client.cli import COMMANDS, group
from mlobs_client.client.config import parse
from mlobs_client.quantities import QUANTITIES
from mlobs_client.tables import validate

ROOT = Path(__file__).parents[1]
PATHS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in PATHS}
OF_EXAMPLES = {
    str(path.relative_to(ROOT)): path.read_text()
    for folder in ("examples", "ipi_inputs")
    for path in sorted((ROOT / folder).rglob("README.md"))
}
FIRST_RUN = PAGES["docs/tutorials/first-run.md"]
TABLES = runpy.run_path(str(ROOT / "tests" / "long" / "tables.py"))


def blocks(page: str, language: str) -> list[str]:
    """Fenced blocks of a language, also within lists."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", page, re.DOTALL | re.MULTILINE)
    return [dedent(block) for _, block in found]


def commands(page: str, language: str) -> list[list[str]]:
    return [words for block in blocks(page, language) for words in split(block)]


def split(block: str) -> list[list[str]]:
    lines = block.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def indented(page: str) -> list[list[str]]:
    lines = re.findall(r"^ {4,}(mlobs (?:.*\\\n)*.*)", page, re.MULTILINE)
    return [words for line in lines if "$" not in line for words in split(line)]


def parse_command(words: list[str]) -> None:
    """Let click parse a command line, without calling the command."""
    command: click.Command = group
    context = None
    while isinstance(command, click.Group):
        context = click.Context(command, parent=context)
        _, command, words = command.resolve_command(context, words)
    command.make_context(command.name, words, parent=context)


def test_the_readme_has_at_most_twelve_kilobytes() -> None:
    assert len(PAGES["README.md"].encode()) <= 12_000


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if blocks(page, "toml")])
def test_every_campaign_file_and_client_file_is_valid(name: str) -> None:
    for block in blocks(PAGES[name], "toml"):
        content = tomllib.loads(block)
        if "template" in content:
            validate(CampaignTable, content, name)
        else:
            parse(content, name)


@pytest.mark.parametrize("name", [*PAGES, *OF_EXAMPLES])
def test_every_command_line_that_it_shows_can_be_parsed(name: str) -> None:
    page = {**PAGES, **OF_EXAMPLES}[name]
    shown = [*commands(page, "sh"), *commands(page, "bash"), *indented(page)]
    for words in shown:
        if words[0] == "mlobs" and words[1] != "--help":
            parse_command(words[1:])


@pytest.mark.parametrize("name", PAGES)
def test_every_command_that_it_names_exists(name: str) -> None:
    named = set(re.findall(r"`mlobs ([a-z]+(?:-[a-z]+)*)", PAGES[name]))
    assert named <= set(COMMANDS)


def test_the_readme_names_every_command_but_the_demo() -> None:
    named = set(re.findall(r"`mlobs ([a-z]+(?:-[a-z]+)*)", PAGES["README.md"]))
    assert named == set(COMMANDS) - {"demo"}


def test_every_quantity_that_it_names_exists() -> None:
    table = PAGES["docs/reference/conventions.md"].split("| quantity |")[1].split("\n\n")[0]
    named = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert named
    assert named - {"forces", "virial", "field"} <= set(QUANTITIES)


def test_the_tables_are_made_from_the_results() -> None:
    made = [str(path.relative_to(ROOT)) for path in TABLES["PAGES"]]
    assert {name: TABLES["with_tables"](PAGES[name]) for name in made} == {
        name: PAGES[name] for name in made
    }
    assert [name for name in PAGES.keys() - made if "<!-- results:" in PAGES[name]] == []


@pytest.mark.parametrize("name", PAGES)
def test_it_names_no_file_that_is_not_there(name: str) -> None:
    named = re.findall(r"`((?:ipi_inputs|examples|drivers|tests|results)/[\w/.]*)`", PAGES[name])
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_readme_links_to_no_page_that_is_not_there() -> None:
    linked = re.findall(r"\]\((?!https:)([^)]*)\)", PAGES["README.md"])
    assert linked
    assert [path for path in linked if not (ROOT / path).exists()] == []


def test_the_commands_of_the_readme_are_run_as_those_of_the_first_run() -> None:
    run = commands(FIRST_RUN, "bash")
    assert [words for words in commands(PAGES["README.md"], "sh") if words not in run] == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if blocks(page, "bash")])
def test_its_commands_work_one_after_the_other(name: str, tmp_path: Path) -> None:
    folder = tmp_path
    for words in commands(PAGES[name], "bash"):
        if words[0] == "cd":
            folder = folder / words[1]
            continue
        if words[1] in ("ir", "vdos"):
            words += ["--resolution", "3000", "--blocks", "2"]  # the last one counts
        command = [sys.executable, "-m", "mlobs_client", *words[1:]]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
        if words[1] == "init":
            for path in folder.rglob("input.xml"):
                shorten(path)


def shorten(path: Path) -> None:
    """Two beads, 80 steps in place of 20 ps, and two members of each committee."""
    text = re.sub(r"<total_steps>\s*\d+", "<total_steps> 80", path.read_text())
    text = re.sub(r"nbeads='\d+'", "nbeads='2'", text)
    path.write_text(re.sub(r"<batch_size>\s*\d+", "<batch_size> 1", text))
    client = path.with_name("client.toml")
    client.write_text(client.read_text().replace("-*", "-[01]*"))
