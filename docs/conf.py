"""How Sphinx builds the pages of this folder (``make docs``)."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as installed
from pathlib import Path

import click
from sphinx.application import Sphinx

from mlobs_client.tables import Table

sys.path.insert(0, str(Path(__file__).parent))  # toml_tables

project = "mlobs"
author = "The mlobs developers"
project_copyright = author
version = release = installed("mlobs")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "toml_tables",
]
# The sources begin at the root of the repository, so that a link means the same here and there.
root_doc = "docs/index"
include_patterns = [
    *("docs/*.md", "docs/*/*.md", "docs/*/*.rst"),
    *("examples/*/README.md", "ipi_inputs/README.md", "CONTRIBUTING.md"),
]
exclude_patterns = [".*", "build", "demo_output"]
myst_enable_extensions = ["fieldlist"]
myst_heading_anchors = 3
highlight_language = "none"
smartquotes = False  # they would make one dash of the two of an option
autodoc_default_options = {"members": True, "exclude-members": "model_config"}
python_maximum_signature_line_length = 100
napoleon_use_ivar = True
napoleon_attr_annotations = False
html_theme = "furo"
html_title = f"mlobs {release}"


def escape(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    """Let help texts of commands stand as they are: they are not reStructuredText."""
    lines[:] = [re.sub(r"([\\*|`]|_\b)", r"\\\1", line) for line in lines]


def shorten(
    app: Sphinx,
    what: str,
    name: str,
    public: object,
    options: object,
    arguments: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    """Write types of arrays as the code does; settings of a file have a page of their own."""
    if isinstance(public, type) and issubclass(public, Table):
        return "", None
    array = r"~?numpy\.ndarray\[tuple\[~?typing\.Any, \.\.\.\], ~?numpy\.dtype\[(.*?)\]\]"
    return tuple(text and re.sub(array, r"NDArray[\1]", text) for text in (arguments, returned))


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("sphinx-click-process-description", escape)
    app.connect("sphinx-click-process-epilog", escape)
    app.connect("autodoc-process-signature", shorten)
