"""README.md and docs/: commands are run or parsed, files validated, tables those of results/."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import shutil
import tomllib
from pathlib import Path
from textwrap import dedent

import ase.cli.main
import click
import pytest
from click.testing import CliRunner

from mlobs_client.campaign.file import CampaignTable
from mlobs_client.cli import COMMANDS, group
from mlobs_client.client.config import parse
from mlobs_client.launch.site import Site
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
def test_every_campaign_client_and_site_file_is_valid(name: str) -> None:
    for block in blocks(PAGES[name], "toml"):
        content = tomllib.loads(block)
        if "template" in content:
            validate(CampaignTable, content, name)
        elif "scheduler" in content:
            validate(Site, content, name)
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


def test_the_readme_names_every_command() -> None:
    named = set(re.findall(r"`mlobs ([a-z]+(?:-[a-z]+)*)", PAGES["README.md"]))
    assert named == set(COMMANDS)


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


def test_the_page_on_gpus_says_that_all_results_are_from_cpus_as_long_as_that_is_so() -> None:
    found = [json.loads(path.read_text()) for path in (ROOT / "results").glob("*.json")]
    builds = [content["versions"]["torch"] for content in found if "machine" in content]
    assert builds
    all_on_cpus = all(build.endswith("+cpu") for build in builds)
    assert ("Nobody has run mlobs on a GPU yet" in PAGES["docs/how-to/gpu.md"]) == all_on_cpus


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


def write_network(request: pytest.FixtureRequest) -> None:
    """Write an untrained network for carbon and hydrogen where the page has its model."""
    import torch
    from untrained import build, quiet_third_parties

    with quiet_third_parties():
        torch.save(build("potential", 1, r_max=2.0, atomic_numbers=[1, 6]), "anthracene.model")


def copy_old_run(request: pytest.FixtureRequest) -> None:
    """Copy a finished run of i-PI."""
    shutil.copytree(request.getfixturevalue("finished_run"), "old")


GIVEN = {
    "docs/tutorials/anthracene.md": write_network,
    "docs/tutorials/old-run.md": copy_old_run,
}
"""What the reader of a page has already, written into the current folder."""
SHORT = {
    "init": ["--no-models"],  # mlobs run tests them
    "ir": ["--resolution", "3000", "--blocks", "2"],
    "vdos": ["--resolution", "3000", "--blocks", "2", "--high", "4500"],
}
"""Options that save time, for runs of 80 steps; the last one counts."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if blocks(page, "bash")])
def test_its_commands_work_one_after_the_other(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    checks_in_one_process: None,
) -> None:
    if "tblite" in PAGES[name]:
        pytest.importorskip("tblite", reason="tblite is not installed: pip install '.[tblite]'")
    monkeypatch.chdir(tmp_path)
    for content in blocks(PAGES[name], "python"):
        if script := re.match(r"# (\w+\.py)\n", content):
            Path(script[1]).write_text(content)
    if name in GIVEN:
        GIVEN[name](request)
    for words in commands(PAGES[name], "bash"):
        execute(words, monkeypatch)


def execute(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Carry out one command line in this process."""
    program, *arguments = words
    if program == "cd":
        monkeypatch.chdir(arguments[0])
    elif program == "python":
        runpy.run_path(arguments[0])
    elif program == "ase":
        ase.cli.main.main(args=arguments)
    else:
        assert program == "mlobs"
        done = CliRunner().invoke(group, [*arguments, *SHORT.get(arguments[0], [])])
        assert done.exit_code == 0, f"{shlex.join(words)}\n{done.output}{done.exception}"
        if arguments[0] == "init":
            for path in Path().rglob("input.xml"):
                shorten(path)


def shorten(path: Path) -> None:
    """At most two beads, 80 steps in place of 20 ps, and two members of each committee."""
    text = re.sub(r"<total_steps>\s*\d+", "<total_steps> 80", path.read_text())
    text = re.sub(r"nbeads='(?!1')\d+'", "nbeads='2'", text)
    path.write_text(re.sub(r"<batch_size>\s*\d+", "<batch_size> 1", text))
    client = path.with_name("client.toml")
    client.write_text(client.read_text().replace("-*", "-[01]*"))
