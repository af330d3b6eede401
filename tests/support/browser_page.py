"""``BrowserPage``: a page in Chromium, by ``tests/interop/page-driver.mjs``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

from blackbox.node import NodeClient
from deadlines import DEADLINE_S, RUN_S

_DRIVER: Final = Path(__file__).parents[1] / "interop" / "page-driver.mjs"


class BrowserPage:
    """One window of a headless Chromium. Selectors are Playwright's."""

    def __init__(self) -> None:
        chromium = shutil.which("chromium")
        assert chromium is not None
        self._node = NodeClient(_DRIVER, chromium)
        self._number = 0

    def open(self, url: str, width: int = 1_400, height: int = 900, scheme: str = "light") -> None:
        """Show a page in a new window of that size and colour scheme; the one before is closed."""
        self._do("open", RUN_S, url=url, width=width, height=height, colorScheme=scheme)

    def click(self, selector: str) -> None:
        self._do("click", selector=selector)

    def fill(self, selector: str, value: str) -> None:
        self._do("fill", selector=selector, value=value)

    def choose(self, selector: str, value: str) -> None:
        self._do("choose", selector=selector, value=value)

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        return self._do("evaluate", expression=expression)

    def wait(self, expression: str) -> None:
        """Wait until a JavaScript expression is true in the page."""
        self._do("wait", expression=expression)

    def text(self, selector: str) -> str:
        """Return the text of the first element of a CSS selector, empty when there is none."""
        return str(self.evaluate(f"document.querySelector({selector!r})?.innerText ?? ''"))

    def wait_for_text(self, selector: str, text: str) -> None:
        """Wait until the first element of a CSS selector contains a text."""
        self.wait(f"(document.querySelector({selector!r})?.innerText ?? '').includes({text!r})")

    def complaints(self) -> list[str]:
        """Return the errors that the page logged or threw."""
        return list(self._do("complaints"))

    def audit(self) -> dict[str, Any]:
        """Return ``{serious, rules}``: what axe finds serious, and how many rules it passed."""
        return dict(self._do("audit", RUN_S))

    def screenshot(self, path: Path) -> None:
        self._do("screenshot", path=str(path))

    def end(self) -> None:
        """Close Chromium."""
        self._node.end()

    def _do(self, command: str, timeout_s: float = 4 * DEADLINE_S, **fields: Any) -> Any:
        self._number += 1
        self._node.do(command, id=self._number, **fields)
        answer = self._node.expect("answer", timeout_s, id=self._number)
        assert "message" not in answer, f"{command} {fields}: {answer['message']}"
        return answer.get("value")
