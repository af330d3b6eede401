"""Locust's table, CSV and web page: a notice on each, and a tab with Tidegate's figures.

Locust rounds to two digits and whole milliseconds, and no verdict uses its figures. The tab has
the exact figures: Locust draws its table from ``extended_tabs`` and ``extended_tables`` of its
template and from ``extended_stats`` in the answer that the page requests every two seconds. Our
own script, ``page/tab.js``, adds the notice, the verdict, the budgets and the charts above it.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Response, abort, redirect, request, send_file
from locust.env import Environment
from locust.web import WebUI

from loadtests.conducting.run import Run
from loadtests.conducting.run_board import RunBoard
from loadtests.plan.schedule import SECOND_NS
from loadtests.results import REPORT

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
_INDEX: Final = "locust.index"
_OWN_FILES: Final = Path(__file__).resolve().parent / "page"
_HEAD: Final = f'<link rel="stylesheet" href="./{TAB}/tab.css">'
_SCRIPT: Final = f'<script defer src="./{TAB}/tab.js"></script>'

_log = logging.getLogger(__name__)


def label_table(environment: Environment) -> None:
    """Put the notice into the log and beside Locust's CSV files."""
    _log.info("%s", NOTICE)
    options = environment.parsed_options
    if options is not None and options.csv_prefix:
        path = Path(f"{options.csv_prefix}_about.txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(NOTICE + "\n", encoding="utf-8")


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


def show_tab(environment: Environment, board: RunBoard) -> None:
    """Add the tab to Locust's page, if there is a page.

    ``/tidegate`` leads to it. Below that address are its data: ``live.json`` and ``live.csv`` for
    people and programs, ``state.json`` for the script, and the reports of the process's runs.

    Args:
        environment: Locust's.
        board: the current run.
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
            rows = [{"name": f"{i:03}", **row} for i, row in enumerate(board.rows())]
            ours = {"extended_stats": [{"key": TAB, "data": rows}]}
            answer.set_data(json.dumps({**answer.get_json(), **ours}))
        return answer

    web.app.after_request(add_rows)
    web.app.after_request(_add_script)
    options = environment.parsed_options
    base = (options.web_base_path if options is not None else None) or None
    web.app.register_blueprint(_routes(web, board), url_prefix=base)


def _routes(web: WebUI, board: RunBoard) -> Blueprint:
    """Return the tab's own addresses. Where the page asks for a login, they do too."""
    routes = Blueprint(TAB, __name__)

    def lead() -> Any:
        return redirect(f"./?tab={TAB}")

    def tell() -> Response:
        return _json(board.newest())

    def state() -> Response:
        after_s = request.args.get("after", -1.0, type=float)
        found = board.state(request.args.get("run", ""), after_s)
        return _json({"notice": f"{NOTICE}.", **found})

    def table() -> Response:
        return Response(
            _as_csv(board.rows()),
            mimetype="text/csv",
            headers={"Content-Disposition": "attachment; filename=tidegate_live.csv"},
        )

    def report(run: str) -> Response:
        found = board.report(run) or abort(404, f"no report of a run {run}")
        return send_file(found.absolute())  # Flask would look beside Locust's own files

    for address, view in (
        (f"/{TAB}", lead),
        (f"/{TAB}/live.json", tell),
        (f"/{TAB}/state.json", state),
        (f"/{TAB}/live.csv", table),
        (f"/{TAB}/runs/<run>/{REPORT}", report),
        (f"/{TAB}/tab.js", lambda: send_file(_OWN_FILES / "tab.js")),
        (f"/{TAB}/tab.css", lambda: send_file(_OWN_FILES / "tab.css")),
    ):
        guarded = web.auth_required_if_enabled(view)  # type: ignore[no-untyped-call]  # Locust's own gap
        routes.add_url_rule(address, endpoint=address.replace(".", "_"), view_func=guarded)
    return routes


def _json(content: object) -> Response:
    return Response(json.dumps(content), mimetype="application/json")


def _as_csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(_COLUMNS))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _add_script(answer: Response) -> Response:
    """Add our script and style to Locust's main page."""
    if request.endpoint == _INDEX and answer.mimetype == "text/html":
        page = answer.get_data(as_text=True)
        page = page.replace("</head>", f"{_HEAD}</head>", 1)
        answer.set_data(page.replace("</body>", f"{_SCRIPT}</body>", 1))
    return answer
