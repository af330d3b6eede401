from __future__ import annotations

import os
from pathlib import Path

import pytest
from deadlines import until

from gateway.audit import AuditChain, AuditEvent, ChainEnd
from gateway.audit_check import AuditCheck
from gateway.errors import SettingsError
from gateway.server import audit_log
from gateway.server.audit_file import AuditFile
from gateway.server.audit_log import AuditLog

KEY = "q3vX9mT2kL7pR4wZ8cN1bH6jF5dG0aYs"


def open_log(path: Path | str, key: str = KEY) -> AuditLog:
    log = AuditLog(str(path), key, lambda line: None)
    log.start()
    return log


def check(*paths: Path, key: str = KEY) -> AuditCheck:
    found = AuditCheck(key.encode())
    for path in paths:
        for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
            found.take(line, f"{path.name}:{number}")
    return found


def fill_disk(log: AuditLog) -> int:
    """Let the log's writes fail as on a full disk. Returns what ``free_disk`` needs."""
    assert log._file is not None
    kept = os.dup(log._file._descriptor)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, log._file._descriptor)
    os.close(full)
    return kept


def free_disk(log: AuditLog, kept: int) -> None:
    assert log._file is not None
    os.dup2(kept, log._file._descriptor)
    os.close(kept)


def test_events_are_written_in_their_order_and_without_tokens(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = open_log(path)
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
    log.note(AuditEvent.AUTHENTICATED, user="alice", client="c1")
    log.note(AuditEvent.ADMINISTERED, client=token, token="secret-of-alice")
    log.close()
    found = check(path)
    assert (found.lines, found.problems) == (4, [])
    assert found.last is not None
    assert found.last.event == AuditEvent.LOG_CLOSED
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert token not in text
    assert "secret-of-alice" not in text
    assert '"user":"alice"' in text


def test_a_full_disk_blocks_nobody_and_what_did_not_fit_is_counted_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "MOST_QUEUED", 100)
    path = tmp_path / "audit.log"
    log = open_log(path)
    until(lambda: log.written == 1, "the first line")
    kept = fill_disk(log)
    log.note(AuditEvent.AUTHENTICATED, user="waits")
    until(lambda: log._pending, "an attempt to write")
    for number in range(1_000):
        log.note(AuditEvent.AUTHENTICATED, user=f"user-{number}")
    lost = log.lost
    assert lost >= 1_000 - 2 * 500 - 100
    assert lost > 0
    free_disk(log, kept)
    until(lambda: log.queued == 0, "the disk took all")
    log.close()
    found = check(path)
    assert found.problems == []
    assert found.lost == lost
    assert found.lines == 1 + 1_001 - lost + 1 + 1  # opened, kept, lost, closed


def test_a_part_of_a_line_is_taken_back_when_the_disk_fills(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    file = AuditFile(str(path))
    file.append(b"whole\n")
    kept = os.dup(file._descriptor)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, file._descriptor)
    os.close(full)
    with pytest.raises(OSError, match="No space left"):
        file.append(b"more\n")
    os.dup2(kept, file._descriptor)
    os.close(kept)
    file.append(b"later\n")
    file.close()
    assert path.read_bytes() == b"whole\nlater\n"


def test_a_rotated_log_goes_on_in_the_new_file(tmp_path: Path) -> None:
    path, old = tmp_path / "audit.log", tmp_path / "audit.log.1"
    log = open_log(path)
    log.note(AuditEvent.AUTHENTICATED, user="before")
    until(lambda: log.written == 2, "both lines")
    log.reopen()  # without a rotation nothing changes
    path.rename(old)
    log.reopen()
    until(path.exists, "the new file")
    log.note(AuditEvent.AUTHENTICATED, user="after")
    log.close()
    assert check(old, path).problems == []
    assert check(path).problems == []
    assert check(path, old).problems
    assert "before" in old.read_text()
    assert "after" in path.read_text()


def test_a_new_file_that_cannot_be_used_leaves_the_log_in_the_old_one(tmp_path: Path) -> None:
    path, old = tmp_path / "audit.log", tmp_path / "audit.log.1"
    log = open_log(path)
    path.rename(old)
    path.mkdir()
    log.reopen()
    log.note(AuditEvent.AUTHENTICATED, user="alice")
    log.close()
    assert check(old).problems == []
    assert check(old).lines == 3


@pytest.mark.parametrize("torn", [b"", b'{"n":5,"time":"20'], ids=["whole", "torn"])
def test_the_next_start_goes_on_after_a_crash_and_tells_it(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "audit.log"
    chain = AuditChain(KEY.encode())
    lines = [chain.seal(0, AuditEvent.LOG_OPENED, {}), chain.seal(0, AuditEvent.AUTHENTICATED, {})]
    path.write_bytes(b"".join(lines) + torn)
    open_log(path).close()
    found = check(path)
    assert (found.lines, found.problems) == (4, [])
    assert len(found.notes) == 1 + bool(torn)


def test_a_first_line_that_is_torn_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(b'{"n":1,"ti')
    open_log(path).close()
    assert check(path).problems == []


def test_a_start_with_another_key_is_told(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    open_log(path).close()
    open_log(path, key=f"another-{KEY}").close()
    found = check(path, key=f"another-{KEY}")
    assert found.notes == ["audit.log:3: this start found a last line that its key did not make"]
    assert len(found.problems) == 2  # the two lines of the other key


@pytest.mark.parametrize(
    "content", [b"root:x:0:0\n", b"no line end", b'{"event":"listening"}\n'], ids=str
)
def test_a_file_that_is_no_audit_log_is_refused_and_not_changed(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "passwd"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="GATEWAY_AUDIT_LOG: is not an audit log"):
        open_log(path)
    assert path.read_bytes() == content


def test_two_gateways_do_not_share_a_file(tmp_path: Path) -> None:
    log = open_log(tmp_path / "audit.log")
    with pytest.raises(SettingsError, match="another gateway writes to it"):
        open_log(tmp_path / "audit.log")
    log.close()


@pytest.mark.parametrize(("path", "why"), [("/dev/null", "regular"), ("/no/such/x", "No such")])
def test_what_cannot_be_a_log_is_refused_with_the_reason(path: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        open_log(path)


def test_the_stream_gets_whole_lines_from_number_one() -> None:
    lines: list[bytes] = []
    log = AuditLog("-", KEY, lines.append)
    log.start()
    log.note(AuditEvent.AUTHENTICATED, user="alice")
    log.close()
    found = AuditCheck(KEY.encode(), is_stream=True)
    for line in lines:
        found.take(line, "stderr")
    assert (found.lines, found.problems) == (3, [])
    assert found.last is not None
    assert found.last.link == ChainEnd(3, log._chain.last.mac)
