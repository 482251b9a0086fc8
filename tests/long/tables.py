"""Write the tables of ``docs/measured/`` from ``results/*.json``: ``python tables.py``.

A table stands between ``<!-- results: NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
PAGES = sorted((ROOT / "docs" / "measured").glob("*.md"))
MARK = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """The text with every marked table made anew."""
    return MARK.sub(lambda match: match[1] + _table(match[2]) + match[3], text)


def _table(name: str) -> str:
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return f"(not measured yet: results/{name}.json is missing)\n"
    content = json.loads(path.read_text())
    rows = FORMS.get(name, _list)(content["figures"])
    machine, versions = content["machine"], content["versions"]
    foot = (
        f"\n{machine['cpu']}, {machine['cores']} cores; i-PI {versions['ipi']}, MACE "
        f"{versions['mace-torch']}, torch {versions['torch']}; commit {content['commit']}, "
        f"{content['date'][:10]}.\n"
    )
    return "".join(rows) + foot


def _by_case(figures: list[dict[str, Any]]) -> list[str]:
    """One row for each ``CASE: WHAT`` of the same case; what does not hold is bold."""
    cases: dict[str, dict[str, str]] = {}
    for figure in figures:
        case, what = figure["name"].split(": ")
        unit = "" if figure["unit"] == "1" else f", {figure['unit']}"
        value = _value(figure, digits=3)
        cell = f"**{value}**" if figure["passed"] is False else value
        cases.setdefault(case, {})[what + unit] = cell
    columns = list(dict.fromkeys(what for row in cases.values() for what in row))
    return [
        f"| | {' | '.join(columns)} |\n",
        "|---" * (len(columns) + 1) + "|\n",
        *(
            f"| {case} | {' | '.join(row.get(what, '') for what in columns)} |\n"
            for case, row in cases.items()
        ),
    ]


def _value(figure: dict[str, Any], digits: int) -> str:
    value = f"{figure['value']:.{digits}g}"
    return value if figure["error"] is None else f"{value} ± {figure['error']:.2g}"


def _list(figures: list[dict[str, Any]]) -> list[str]:
    header = "| | value | unit | reference | |\n|---|---|---|---|---|\n"
    return [header, *(_row(figure) for figure in figures)]


def _row(figure: dict[str, Any]) -> str:
    value = _value(figure, digits=4)
    passed = {True: "yes", False: "**no**", None: ""}[figure["passed"]]
    return f"| {figure['name']} | {value} | {figure['unit']} | {figure['reference']} | {passed} |\n"


def _by_fault(figures: list[dict[str, Any]]) -> list[str]:
    """One row for each fault: what happens, when it is over, what is lost; bold if not passed."""
    header = "| | what happens | until there are steps, or the end, s | lost |\n|---|---|---|---|\n"
    rows = []
    for figure in figures:
        happened, _, lost = figure["reference"].rpartition("; lost: ")
        mark = "" if figure["passed"] else "**"
        name = f"{mark}{figure['name']}{mark}".replace("<", "&lt;")
        happened = happened.replace("<", "&lt;")  # tags of i-PI are none of HTML
        rows.append(f"| {name} | {happened} | {figure['value']:.2g} | {lost} |\n")
    return [header, *rows]


JUDGED = {
    "within one error": "within one",
    "within two errors": "within two",
    "mean squared pull": "squared pull",
    "error / scatter": "relative error",
    "printed": "printed",
}
"""Columns of the table of errors, and what figures call them."""


def _by_estimate(figures: list[dict[str, Any]]) -> list[str]:
    """One row for each estimate: how it was before -> how it is now; bold if out of its limits."""
    before = json.loads((RESULTS / "errors_before.json").read_text())["figures"]
    earlier, now = _judged(before), _judged(figures)
    rows = [f"| | {' | '.join(JUDGED)} |\n", "|---" * (len(JUDGED) + 1) + "|\n"]
    for case, cells in now.items():
        changes = [
            f"{earlier.get(case, {}).get(name, '-')} → {cells.get(name, '-')}"
            for name in JUDGED.values()
        ]
        rows.append(f"| {case} | {' | '.join(changes)} |\n")
    return rows


def _judged(figures: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """By case and by name; what was never printed has no figures but the share of the printed."""
    cases: dict[str, dict[str, str]] = {}
    for figure in figures:
        case, name = figure["name"].split(": ")
        text = f"{figure['value']:.2f}"
        cases.setdefault(case, {})[name] = f"**{text}**" if figure["passed"] is False else text
    return cases


FORMS = {"bench": _by_case, "errors": _by_estimate, "faults": _by_fault}
"""How figures are shown, where not as a list."""


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(with_tables(page.read_text()))
