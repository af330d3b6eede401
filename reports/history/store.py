"""The file of past runs: one JSON line a run, only ever appended to.

Two branches that each add runs merge without a conflict when git joins their lines:
``history.jsonl merge=union`` in ``.gitattributes``. The order of lines means nothing. Rows are
sorted by time as they are read, and of two lines of one run the later counts.
"""

from __future__ import annotations

from pathlib import Path

from reports.history.rows import Row, row_of_line
from reports.report_errors import HistoryError


def read_history(path: Path) -> list[Row]:
    """Return the rows of a history, oldest first; none where there is no file.

    Raises:
        HistoryError: a line is no row.
        OSError: the file cannot be read.
    """
    if not path.exists():
        return []
    rows: dict[tuple[str, str], Row] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise HistoryError(path, "is no text in UTF-8") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if line.startswith(("<<<<<<<", "=======", ">>>>>>>", "|||||||")):
            attribute = f"{path.name} merge=union"
            raise HistoryError(
                path,
                f"line {number} marks a merge conflict: delete such lines and keep the others, "
                f'and put "{attribute}" into .gitattributes',
            )
        try:
            row = row_of_line(line)
        except ValueError as error:
            raise HistoryError(path, f"line {number}: {error}") from None
        rows[row.created, row.run] = row
    return sorted(rows.values(), key=lambda row: (row.created, row.run))


def add_row(path: Path, row: Row) -> bool:
    """Append a row, and return whether the history did not hold it already.

    Raises:
        HistoryError: the file holds lines that are no rows.
        OSError: the file cannot be read or written.
    """
    if row in read_history(path):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(row.as_line().encode("utf-8"))
    return True
