"""``AuditCheck``: follows the chain of an audit log over its lines, and tells each break. Pure."""

from __future__ import annotations

from typing import Final

from gateway.audit import LINE_BEGINS, AuditEvent, AuditLine, ChainEnd, read_line

MOST_PROBLEMS: Final = 20
"""Problems that are told one by one; the others are counted."""


class AuditCheck:
    """Checks that no line is missing, changed, moved or torn.

    Lines that are missing at the end leave no trace in the file; ``reaches`` compares the last
    number with one that is known from elsewhere.

    Args:
        key: the key of the log.
        is_stream: whether other lines stand between, and each start of the gateway begins anew,
            as on standard error.

    Attributes:
        lines: audit lines so far.
        lost: events that the gateway itself told as lost.
        problems: what is wrong, a line each, the first ``MOST_PROBLEMS``.
        more_problems: the number of further problems.
        notes: what is not wrong, but worth knowing, a line each.
        last: the last line, ``None`` before the first.
    """

    def __init__(self, key: bytes, *, is_stream: bool = False) -> None:
        self._key = key
        self._is_stream = is_stream
        self._expected: ChainEnd | None = None
        self.lines = 0
        self.lost = 0
        self.problems: list[str] = []
        self.more_problems = 0
        self.notes: list[str] = []
        self.last: AuditLine | None = None

    def take(self, line: bytes, where: str) -> None:
        """Check the next line.

        Args:
            line: its bytes, with its line end if it has one.
            where: its place, for the messages.
        """
        found = read_line(line[:-1]) if line.endswith(b"\n") else None
        if found is None:
            self._take_other(line, where)
            return
        self.lines += 1
        before = self._before(found, where)
        if before is not None and not found.follows(before, self._key):
            self._tell(f"{where}: line {found.link.number} was changed, or has another key")
        # From here on as the line says: one change is told once.
        self._expected, self.last = found.link, found
        self._note(found, where)

    def reaches(self, number: int) -> None:
        """Tell a problem unless the log has a line with this number or a later one."""
        last = 0 if self._expected is None else self._expected.number
        if last < number:
            self._tell(f"the log ends at line {last}; lines {last + 1} to {number} are missing")

    def _take_other(self, line: bytes, where: str) -> None:
        if not line.endswith(b"\n") and line.startswith(LINE_BEGINS):
            self._tell(f"{where}: the last line is torn")
        elif not self._is_stream:
            self._tell(f"{where}: no line of an audit log")

    def _before(self, found: AuditLine, where: str) -> str | None:
        """Return the ``mac`` that a line must be tied to, ``None`` if nothing is known of it."""
        expected, number = self._expected, found.link.number
        begins = found.event == AuditEvent.LOG_OPENED and number == 1
        if expected is None or (begins and self._is_stream):
            if found.after is None:
                self._tell(f"{where}: line {number} follows a line that was not given")
            return found.after
        if begins:
            self._tell(f"{where}: a new chain begins after line {expected.number}")
            return found.after
        if number == expected.number + 1:
            return expected.mac
        if number > expected.number + 1:
            missing = f"{expected.number + 1} to {number - 1}"
            self._tell(f"{where}: lines {missing} are missing before line {number}")
        else:
            self._tell(f"{where}: line {number} stands after line {expected.number}")
        return found.after  # its own place is told; what it is tied to is not known

    def _note(self, found: AuditLine, where: str) -> None:
        fields = found.fields
        if found.event == AuditEvent.LOG_LOST and isinstance(fields.get("count"), int):
            self.lost += fields["count"]
        elif found.event == AuditEvent.LOG_CONTINUED:
            for name, meaning in _NOTED.items():
                if fields.get(name):
                    self.notes.append(f"{where}: {meaning}")

    def _tell(self, problem: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)
        else:
            self.more_problems += 1


_NOTED: Final = {
    "crashed": "the gateway before this start ended without closing its log",
    "torn_bytes": "this start found a torn last line and removed it",
    "unverified": "this start found a last line that its key did not make",
}
