"""Locust's table, CSV and web page: a notice on each, and a tab with Tidegate's figures.

Locust rounds to two digits and whole milliseconds, and no verdict uses its figures. The tab
shows the exact figures of the newest second of the run (``logs/live.json``). Locust draws the
tab from ``extended_tabs`` and ``extended_tables`` of its template, and from ``extended_stats``
in the answer that the page requests every two seconds.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Response, redirect, request
from locust.env import Environment
from locust.web import WebUI

from loadtests.conducting.run import Run
from loadtests.health.live_table import describe
from loadtests.plan.schedule import SECOND_NS

NOTICE: Final = (
    "Locust's figures are rounded (two digits, whole ms) and not used for the verdict. "
    "The verdict comes from the run directory"
)
TAB: Final = "tidegate"
_COLUMNS: Final = {
    "whose": "Part",
    "figure": "Figure",
    "now": "Newest second",
    "meaning": "Meaning",
}
_STATISTICS: Final = "/stats/requests"
_SWARM: Final = "/swarm"

_BANNER: Final = (
    '<p style="position:fixed;bottom:0;left:0;right:0;margin:0;padding:4px 12px;z-index:9999;'
    f'background:#333;color:#fff;font:13px sans-serif">{NOTICE}.</p>'
)

_log = logging.getLogger(__name__)


def label_table(environment: Environment) -> None:
    """Put the notice into the log, beside Locust's CSV files and on its web page."""
    _log.info("%s", NOTICE)
    options = environment.parsed_options
    if options is not None and options.csv_prefix:
        path = Path(f"{options.csv_prefix}_about.txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(NOTICE + "\n", encoding="utf-8")
    web = environment.web_ui
    if web is None or web.app is None:
        return

    web.app.after_request(_label_page)


def watch_edits(environment: Environment, run: Callable[[], Run | None]) -> None:
    """Note in the manifest when a person asks the page for other users during a run.

    Args:
        environment: Locust's.
        run: returns the current run; None between runs.
    """
    web = environment.web_ui
    if web is None or web.app is None:
        return

    def look(answer: Response) -> Response:
        found = run()
        is_form = request.path.endswith(_SWARM) and request.method == "POST"
        if found is not None and is_form and answer.is_json and answer.get_json().get("success"):
            at_s = (time.monotonic_ns() - found.t0_ns) / SECOND_NS
            words = f"after {at_s:.0f} s Locust's page asked for {request.form['user_count']} users"
            found.note(f"{words}, {request.form['spawn_rate']} a second")
        return answer

    web.app.after_request(look)


def show_tab(environment: Environment, newest: Callable[[], Mapping[str, Any]]) -> None:
    """Add a tab with the newest second of the run to Locust's page, if there is a page.

    ``/tidegate`` leads to it; ``/tidegate/live.json`` and ``/tidegate/live.csv`` are its data.

    Args:
        environment: Locust's.
        newest: returns the content of ``logs/live.json``; empty before the first second.
    """
    web = environment.web_ui
    if web is None or web.app is None:
        return
    web.template_args |= {
        "extended_tabs": [{"title": "Tidegate", "key": TAB}],
        "extended_tables": [
            {
                "key": TAB,
                "structure": [{"key": key, "title": title} for key, title in _COLUMNS.items()],
            }
        ],
        "extended_csv_files": [
            {"href": f"./{TAB}/live.csv", "title": "Download Tidegate's newest second CSV"}
        ],
    }

    def add_rows(answer: Response) -> Response:
        if request.path.endswith(_STATISTICS) and answer.is_json:
            # Locust sorts such a table by its column "name": we give each row its position.
            rows = [{"name": f"{i:03}", **row} for i, row in enumerate(_rows(newest()))]
            ours = {"extended_stats": [{"key": TAB, "data": rows}]}
            answer.set_data(json.dumps({**answer.get_json(), **ours}))
        return answer

    web.app.after_request(add_rows)
    options = environment.parsed_options
    base = (options.web_base_path if options is not None else None) or None
    web.app.register_blueprint(_routes(web, newest), url_prefix=base)


def _routes(web: WebUI, newest: Callable[[], Mapping[str, Any]]) -> Blueprint:
    """Return the tab's own addresses. Where the page asks for a login, they do too."""
    routes = Blueprint(TAB, __name__)

    def lead() -> Any:
        return redirect(f"./?tab={TAB}")

    def tell() -> Response:
        return Response(json.dumps(newest()), mimetype="application/json")

    def table() -> Response:
        return Response(
            _as_csv(_rows(newest())),
            mimetype="text/csv",
            headers={"Content-Disposition": "attachment; filename=tidegate_live.csv"},
        )

    for address, view in (
        (f"/{TAB}", lead),
        (f"/{TAB}/live.json", tell),
        (f"/{TAB}/live.csv", table),
    ):
        guarded = web.auth_required_if_enabled(view)  # type: ignore[no-untyped-call]  # Locust's own gap
        routes.add_url_rule(address, view_func=guarded)
    return routes


def _rows(live: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the table's rows: the run's phase, then every figure."""
    if not live:
        return []
    where = {"whose": "run", "figure": "phase", "now": str(live["phase"])}
    return [
        {**where, "meaning": f"{live['t_s']:.0f} s since the run's start"},
        *(
            {
                "whose": str(one.part),
                "figure": one.name,
                "now": f"⚠ {one.text}" if one.is_bad else one.text,
                "meaning": one.meaning,
            }
            for one in describe(live)
        ),
    ]


def _as_csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(_COLUMNS))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _label_page(answer: Any) -> Any:
    """Put the notice at the bottom of a page."""
    if answer.mimetype == "text/html" and not answer.direct_passthrough:
        page = answer.get_data(as_text=True)
        answer.set_data(page.replace("</body>", f"{_BANNER}</body>"))
    return answer
