"""The verdict as the text of a comment on a pull request.

GitHub takes 65,536 characters in a comment. A longer text ends after its last whole line that fits,
and says so. The first line is a mark for a pipeline that replaces its own earlier comment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MOST_CHARACTERS: Final = 65_000
MARK: Final = "<!-- tidegate -->"
_FENCE: Final = "```"
_CUT: Final = "The rest is left out, because a comment is limited to {:,} characters."
_ROOM: Final = 200
"""Characters kept for what ends a text that is cut."""


def render_comment(texts: Sequence[str]) -> str:
    """Return Markdown texts as one comment of at most ``MOST_CHARACTERS``."""
    whole = "\n".join([MARK, *(text.rstrip("\n") + "\n" for text in texts)])
    if len(whole) <= MOST_CHARACTERS:
        return whole
    kept, length, is_fenced = [], 0, False
    for line in whole.splitlines():
        length += len(line) + 1
        if length > MOST_CHARACTERS - _ROOM:
            break
        is_fenced ^= line.startswith(_FENCE)
        kept.append(line)
    closing = [_FENCE] if is_fenced else []
    return "\n".join([*kept, *closing, "", _CUT.format(MOST_CHARACTERS), ""])
