"""Files of a run are read before there are any."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlobs_client.campaign.rendered import Rendered, check_rendered
from mlobs_client.campaign.template import Template
from mlobs_client.errors import ConfigError

INPUT = "<simulation><total_steps> $steps </total_steps><doc> $word </doc></simulation>"
CLIENT = """structure = "init.xyz"
threads = $threads
[socket]
address = "here"
[potential]
kind = "toy"
name = "qtip4pf"
"""
FILES = ("input.xml", "client.toml")
GOOD = {"steps": "10", "threads": "1", "word": "a"}
TEMPLATE = Template(
    Path("template"),
    {"init.xyz": b"\xff is no text"},
    {"input.xml": INPUT, "client.toml": CLIENT},
)


def test_what_the_files_of_a_run_will_say_is_read() -> None:
    rendered = Rendered.of(TEMPLATE, {**GOOD, "steps": "70", "threads": "3"})
    assert rendered.read_input().total_steps == 70
    client = rendered.read_client("client.toml")
    assert (client.config.threads, client.path) == (3, Path("template/client.toml"))


def test_files_that_can_be_read_are_no_error_and_others_are_not_read() -> None:
    check_rendered(TEMPLATE, FILES, "a", GOOD)


@pytest.mark.parametrize(
    ("values", "file", "said", "right"),
    [
        ({"steps": "many"}, "input.xml", "<total_steps> is 'many'", {"steps": "7"}),
        ({"word": "a < b"}, "input.xml", "cannot be read as XML", {"word": "a &lt; b"}),
        ({"word": "a & b"}, "input.xml", "cannot be read as XML", {"word": "a &amp; b"}),
        ({"threads": "0"}, "client.toml", "threads = 0", {"threads": "2"}),
        ({"threads": "one"}, "client.toml", "line 2", {"threads": "1"}),
    ],
)
def test_an_error_names_the_run_its_values_and_the_file_and_its_remedy_works(
    values: dict[str, str], file: str, said: str, right: dict[str, str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_rendered(TEMPLATE, FILES, "third", {**GOOD, **values})
    text = str(caught.value)
    ((key, value),) = values.items()
    assert text.startswith("run third cannot be read with ")
    assert f"{key} = {value}" in text
    assert str(Path("template") / file) in text
    assert said in text
    # of XML only where it is XML
    assert ("write &lt; for <" in text) == (file == "input.xml")
    check_rendered(TEMPLATE, FILES, "third", {**GOOD, **right})


def test_only_the_files_that_are_named_are_read() -> None:
    values = {**GOOD, "threads": "0"}
    check_rendered(TEMPLATE, ["input.xml"], "a", values)
    with pytest.raises(ConfigError):
        check_rendered(TEMPLATE, ["client.toml"], "a", values)


def test_a_file_without_parameters_is_read_too() -> None:
    template = Template(Path("template"), {"input.xml": b"<input/>"}, {})
    with pytest.raises(ConfigError, match="outermost tag is <input>"):
        check_rendered(template, ["input.xml"], "a", {})
