"""``make bench-generator``: what the load generator can do on one core, beside Locust's own.

The generator has core 0 to itself, a server in C core 1: the figures mean something only on
a machine that does nothing else. Rates are given by the second of the wall clock and by the
second of the generator's own CPU; the second holds on a busy machine too, roughly. Benchmarks
print; they never fail for a time. A message lost is an error, though.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
GENERATOR_CORE: Final = 0
SERVER_CORE: Final = 1
SYMBOLS: Final = 50
LOAD: Final = 0.7


class Process:
    """A program that answers each line on its standard input with one line."""

    def __init__(self, arguments: list[str], core: int) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self.process = subprocess.Popen(
            ["taskset", "-c", str(cores[core % len(cores)]), *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if core == GENERATOR_CORE else None,
            text=True,
        )

    def read(self) -> str:
        """Return the next line.

        Raises:
            RuntimeError: the program has ended.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            words = self.process.stderr.read()[-2_000:] if self.process.stderr else ""
            raise RuntimeError(f"{self.process.args!r} ended: {words}")
        return line

    def ask(self, line: str) -> str:
        """Send a line and return the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.read()

    def close(self) -> None:
        """End the program."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


class Pair:
    """A server and one kind of generator, connected."""

    def __init__(self, stack: ExitStack, blaster: Path, client: str, users: int, each: int) -> None:
        clock = _clock_id()
        self.server = Process([str(blaster), str(SYMBOLS), clock], SERVER_CORE)
        stack.callback(self.server.close)
        url = f"http://127.0.0.1:{self.server.read()}"
        arguments = [sys.executable, str(HERE / "generator_side.py"), "--client", client]
        arguments += ["--url", url, "--users", str(users), "--each", str(each)]
        self.side = Process(arguments, GENERATOR_CORE)
        stack.callback(self.side.close)
        self.ready: dict[str, Any] = json.loads(self.side.ask("ready"))

    def run(self, command: str) -> dict[str, Any]:
        """Have the server push, and return what the generator made of it."""
        self.side.ask("begin")
        sent = int(self.server.ask(command).split()[1])
        found: dict[str, Any] = json.loads(self.side.ask(f"end {sent}"))
        if found["lost"] or found["gaps"]:
            raise RuntimeError(f"{found['lost']} of {sent} messages lost, {found['gaps']} gaps")
        found["by_wall"] = found["received"] / found["wall_s"]
        found["by_cpu"] = found["received"] / found["cpu_s"]
        found["load"] = found["cpu_s"] / found["wall_s"]
        return found


def _clock_id() -> str:
    from loadtests.health.clock_id import read_clock_id

    return read_clock_id() or "unknown"


def compile_blaster(folder: Path) -> Path:
    """Compile the server.

    Raises:
        SystemExit: there is no C compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise SystemExit("bench-generator needs a C compiler: apt install gcc")
    target = folder / "blaster"
    source = HERE / "generator_blaster.c"
    subprocess.run([compiler, "-O2", "-o", str(target), str(source)], check=True)
    return target


class Bench:
    """The measurements, each with a server and generators of its own."""

    def __init__(self, blaster: Path, *, quick: bool) -> None:
        self.blaster = blaster
        self.quick = quick
        self.found: dict[str, Any] = {}

    def pair(self, stack: ExitStack, client: str, users: int, each: int) -> Pair:
        """Start a server and a generator with so many users, ``each`` of the symbols for each."""
        _say(f"{client}: {users} users, {each} streams each")
        return Pair(stack, self.blaster, client, users, each)

    def flood(self) -> None:
        """Messages a second, without pause: Tidegate's users, then Locust's."""
        seconds = 1 if self.quick else 3
        for client in ("tidegate", "locust"):
            with ExitStack() as stack:
                pair = self.pair(stack, client, 500, 1)
                # Locust's own needs half a minute for what is sent to it in a second.
                length = seconds if client == "tidegate" else 0.3
                for join in (1, 4):
                    self.found[f"flood {client} {join}"] = pair.run(f"flood {length} {join}")

    def share(self) -> None:
        """The generator's own share at 70 % of its core, updates spread over the symbols."""
        users, each, seconds = 1_000, 1, 3 if self.quick else 10
        with ExitStack() as stack:
            pair = self.pair(stack, "tidegate", users, each)
            receivers = users * each / SYMBOLS
            rate = 20_000 / receivers
            for _ in range(3):  # to where the load is what we want: a busier core is cheaper
                found = pair.run(f"pace 2 {rate:.3f}")
                rate = LOAD * found["by_cpu"] / receivers
            self.found["share"] = pair.run(f"pace {seconds} {rate:.3f}")

    def burst(self) -> None:
        """One update to 5,000 users."""
        users = 1_000 if self.quick else 5_000
        with ExitStack() as stack:
            # Each symbol has all the users: the blaster bursts with its first.
            pair = self.pair(stack, "tidegate", users, SYMBOLS)
            self.found["burst"] = {**pair.run("burst 20 300"), "users": users}

    def memory(self) -> None:
        """Private memory a user, 10 streams each: what the users from the 1,000th on add."""
        few, many = 1_000, 3_000 if self.quick else 10_000
        levels = {}
        for users in (few, many):
            with ExitStack() as stack:
                pair = self.pair(stack, "tidegate", users, 10)
                levels[users] = pair.ready["bytes_a_user"] * users
        self.found["memory"] = {
            "users": many,
            "slope": (levels[many] - levels[few]) / (many - few),
            "mean": levels[many] / many,
        }

    def budget(self) -> None:
        """Each part of a message alone."""
        script = str(HERE / "generator_budget.py")
        with ExitStack() as stack:
            # Unpatched, so that its sockets are the ones that the reactor uses.
            unpatched = ["env", "LOCUST_SKIP_MONKEY_PATCH=1"]
            process = Process([*unpatched, sys.executable, script], GENERATOR_CORE)
            stack.callback(process.close)
            self.found["budget"] = json.loads(process.read())


def describe(found: dict[str, Any]) -> list[str]:
    """Return the lines of the table; what was not measured has none."""
    lines: list[str] = []
    if any(row.startswith("flood") for row in found):
        lines += ["", f"{'messages a second, each timed and accounted for':60}    by wall   by CPU"]
    for join in (1, 4):
        for client in ("tidegate", "locust"):
            row = found.get(f"flood {client} {join}")
            if row:
                label = f"  {client}, {join} in a send"
                lines.append(f"{label:60}{row['by_wall']:11,.0f}{row['by_cpu']:9,.0f}")
    ours, theirs = found.get("flood tidegate 1"), found.get("flood locust 1")
    if ours and theirs:
        lines.append(f"  ratio by CPU: {ours['by_cpu'] / theirs['by_cpu']:.0f} (goal 25)")
    if "share" in found:
        row = found["share"]
        lines += ["", f"own share of a push at {row['load']:.0%} of the core"]
        lines.append(f"  {row['by_wall']:,.0f} messages/s: {_share(row)} (goal: p50 under 1)")
    if "burst" in found:
        row = found["burst"]
        lines += ["", f"a burst to {row['users']:,} users", f"  {_share(row)}"]
        lines.append(f"  the reactor held the hub {row['turn_ms']:.1f} ms at most (goal 10)")
        lines.append(f"  a greenlet came {row['held_ms']:.1f} ms late at most, all told")
    if "memory" in found:
        row = found["memory"]
        lines += ["", f"memory a user, {row['users']:,} users with 10 streams each"]
        lines.append(f"  each more user {row['slope'] / 1_024:.1f} KB (goal 12)")
        lines.append(f"  with what they share {row['mean'] / 1_024:.1f} KB")
    if "budget" in found:
        lines += ["", "the budget of a message, each part alone, µs"]
        lines += [f"  {us:8.2f}  {part}" for part, us in found["budget"].items()]
    return lines


def _share(row: dict[str, Any]) -> str:
    share = row["share"]
    return f"own share p50 {share['p50']:.3f} ms, p99 {share['p99']:.2f} ms"


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


def main() -> None:
    """Run the rows that were asked for, and print them."""
    rows = ("flood", "share", "burst", "memory", "budget")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default=",".join(rows), help=f"of {', '.join(rows)}")
    parser.add_argument("--quick", action="store_true", help="shorter, with fewer users")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures")
    options = parser.parse_args()
    wanted = options.rows.split(",")
    unknown = [row for row in wanted if row not in rows]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(rows)}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(compile_blaster(Path(folder)), quick=options.quick)
        for row in wanted:
            getattr(bench, row)()
            _say("\n".join(describe({k: v for k, v in bench.found.items() if row in k})))
    sys.stdout.write("\n".join(describe(bench.found)) + "\n")
    if options.json:
        options.json.write_text(json.dumps(bench.found, indent=2) + "\n")


if __name__ == "__main__":
    main()
