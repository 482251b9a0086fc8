"""``make validate``: how often a run that is right is refused, or warned at.

``python validate_verdicts.py`` draws 400 right runs, or sets of them, for each verdict of
``tests/verdicts.py`` (five minutes) and writes the results; ``python validate_verdicts.py NAME``
judges one and writes nothing.
"""

from __future__ import annotations

import sys
from functools import partial

from report import ROOT, Figure, run

sys.path.insert(0, str(ROOT / "tests"))

from verdicts import VERDICTS, false_alarms

N_REPETITIONS = 400


def judge(name: str) -> list[Figure]:
    """The share of false alarms; it holds up to the largest one that is right."""
    verdict, most = VERDICTS[name]
    found = false_alarms(name, verdict, N_REPETITIONS)
    reference = f"false alarms, at most {most:g} of {N_REPETITIONS} right runs"
    return [Figure(name, found, None, "1", reference, found <= most)]


if __name__ == "__main__":
    sys.exit(run("verdicts", {name: partial(judge, name) for name in VERDICTS}))
