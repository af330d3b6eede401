"""Locust's own table, CSV and web page: kept as a convenience, and labelled as one.

Locust rounds to two digits and whole milliseconds; nobody judges what it shows.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

from locust.env import Environment

NOTICE: Final = (
    "Locust's table, CSV and web page are rounded (two digits, whole ms) and judged by nobody; "
    "the verdict comes from the run directory"
)

_BANNER: Final = (
    '<p style="position:fixed;bottom:0;left:0;right:0;margin:0;padding:4px 12px;z-index:9999;'
    f'background:#333;color:#fff;font:13px sans-serif">{NOTICE}.</p>'
)

_log = logging.getLogger(__name__)


def label_table(environment: Environment) -> None:
    """Say at every place where Locust shows figures that they are rounded, and not judged."""
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


def _label_page(answer: Any) -> Any:
    """Put the notice at the foot of a page."""
    if answer.mimetype == "text/html" and not answer.direct_passthrough:
        page = answer.get_data(as_text=True)
        answer.set_data(page.replace("</body>", f"{_BANNER}</body>"))
    return answer
