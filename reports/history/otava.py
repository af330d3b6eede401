"""A history as Apache Otava reads it: a CSV file for each figure, and the ``otava.yaml`` of them.

Each figure is an Otava test of its own, since runs whose figure cannot be trusted are left out of
that figure alone. Only the groups that ``check`` judges are written, so a scenario has one test of
a name. Formats: Otava's docs/CSV.md; the configuration is JSON, which is YAML too.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from reports.history.trends import GroupTrends, Trend

CONFIGURATION: Final = "otava.yaml"
_ATTRIBUTES: Final = ("commit", "run")


def render_otava(found: Sequence[GroupTrends]) -> dict[Path, str]:
    """Return the text of each file by its name in one folder."""
    texts: dict[Path, str] = {}
    tests: dict[str, Any] = {}
    for one in found:
        for trend in one.trends if one.is_current else ():
            name = f"{one.group.scenario}.{trend.name}"
            path = Path(re.sub(r"[^\w.-]", "-", name) + ".csv")
            texts[path] = _table(trend)
            tests[name] = {
                "type": "csv",
                "file": str(path),
                "time_column": "time",
                "attributes": list(_ATTRIBUTES),
                "metrics": {trend.name: {"direction": 1 if trend.grows_better else -1}},
            }
    texts[Path(CONFIGURATION)] = json.dumps({"tests": tests}, indent=2, ensure_ascii=False) + "\n"
    return texts


def _table(trend: Trend) -> str:
    """Return the runs of a figure, oldest first; times in ns, sizes in B."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", *_ATTRIBUTES, trend.name])
    for row, figure in zip(trend.rows, trend.figures, strict=True):
        writer.writerow([row.created, row.commit, row.run, repr(figure.value)])
    return text.getvalue()
