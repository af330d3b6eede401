from __future__ import annotations

import pytest

from gateway import contract
from scenarios.catalogue import METRICS
from scenarios.groups import GROUP_CLASSES, MAX_RATES, AbuserGroup
from scenarios.model import DEEDS
from scenarios.reading import Source, Table
from scenarios.schema import GROUPS, Command, Scenario, ScenarioError, parse_scenario

EVERYTHING = """# Is everything that a scenario can name read?
name = "all"
seed = 1
budgets = ["errors == 0"]
[phases]
spawn_rate = 500.0
warm_up = "1 s"
steady = "60 s"
drain = "5 s"
[market]
symbols = 20
zipf = 1.0
[users.subscriber]
count = 100
symbols = 3
[users.trader]
count = 10
symbols = 1
request_every = "4 s"
[users.exchange_user]
count = 5
traded_symbols = 1
order_every = "2 s"
[users.model_user]
count = 6
ask_every = "4 s"
cancelling = 0.25
slow = 0.2
[users.idle]
count = 50
[users.churner]
count = 20
symbols = 2
stay = "2 s"
max_rate = 5
[users.returner]
count = 20
symbols = 1
stay = "2 s"
[users.storm]
count = 30
symbols = 1
[users.slow_reader]
count = 2
symbols = 5
bytes_per_second = "1 KB"
receive_buffer = "4 KB"
[users.never_reader]
count = 3
symbols = 5
receive_buffer = "4 KB"
[users.dead_peer]
count = 7
kinds = ["mute", "no-pong", "stalled"]
dies_after = "1 s"
[users.abuser]
count = 2
burst = 70
connections = 3
reconnects = 1
edge = true
[users.bad_token]
count = 4
every = "1 s"
[users.expiring]
count = 5
lifetime = "5 s"
refreshing = 0.5
[users.entitled]
count = 3
symbols = 2
every = "8 s"
[[commands]]
at = "2 s"
do = "subscribe"
who = "idle"
count = 4
within = "1 s"
[[commands]]
at = "5 s"
do = "drop"
who = "storm"
[[commands]]
at = "10 s"
do = "return"
who = "storm"
within = "2 s"
[[commands]]
at = "15 s"
do = "send"
who = "idle"
count = 10
[[commands]]
at = "20 s"
do = "pause"
who = "idle"
[[commands]]
at = "25 s"
do = "resume"
who = "idle"
[[commands]]
at = "28 s"
do = "unsubscribe"
who = "idle"
[[commands]]
at = "30 s"
do = "restart"
[[commands]]
at = "40 s"
do = "terminate"
[[publish]]
event = "price:update"
rate = 10.0
[[publish]]
event = "order:created"
rate = 1.0
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, path="x.toml")
    return [problem.message for problem in caught.value.problems]


def without(text: str, table: str) -> str:
    head, _, rest = text.partition(f"[{table}]")
    return head + rest[rest.index("\n[") + 1 :]


def test_every_group_and_every_command_is_read() -> None:
    scenario = parse_scenario(EVERYTHING, path="x.toml")
    named = [name for name in GROUPS if f"[users.{name}]" in EVERYTHING]
    assert list(scenario.users.named()) == named
    assert {command.do for command in scenario.commands} == set(DEEDS)
    assert scenario.users.total == 100 + 10 + 5 + 6 + 50 + 20 + 20 + 30 + 2 + 3 + 7 + 2 + 4 + 5 + 3
    assert scenario.commands[0] == Command(
        at_s=2.0, do="subscribe", who="idle", within_s=1.0, count=4
    )
    assert scenario.ends_gateway


class ExampleTable(Table):
    """A table that holds the example of each key that a reader asks for."""

    def integer(
        self, key: str, low: int, high: int, example: int, default: int | None = None
    ) -> int:
        self.examples[key] = example
        return super().integer(key, low, high, example)

    def number(
        self, key: str, low: float, high: float, example: float, default: float | None = None
    ) -> float:
        self.examples[key] = example
        return super().number(key, low, high, example)

    def duration_s(
        self, key: str, low_s: float, high_s: float, example: str, default_s: float | None = None
    ) -> float:
        self.examples[key] = example
        return super().duration_s(key, low_s, high_s, example)

    def size_bytes(
        self, key: str, low: int, high: int, example: str, *, is_required: bool = False
    ) -> int | None:
        self.examples[key] = example
        return super().size_bytes(key, low, high, example, is_required=is_required)

    @property
    def examples(self) -> dict[str, object]:
        assert isinstance(self.content, dict)
        return self.content


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_reads_the_example_of_each_of_its_keys(name: str) -> None:
    table = ExampleTable(Source({}), ("users", name), {})
    group = GROUP_CLASSES[name].read(table)
    assert table.source.problems == []
    assert group.count == table.examples["count"]


def test_sizes_and_durations_keep_their_units_in_their_names() -> None:
    users = parse_scenario(EVERYTHING, path="x.toml").users
    assert users.slow_reader is not None
    assert users.slow_reader.bytes_per_second == 1_024
    assert users.slow_reader.receive_buffer_bytes == 4_096
    assert users.churner is not None
    assert users.churner.stay_s == 2.0
    assert users.symbols() == {
        "subscriber": 3,
        "trader": 1,
        "churner": 2,
        "returner": 1,
        "storm": 1,
        "slow_reader": 5,
        "never_reader": 5,
        "entitled": 2,
    }


def test_the_kinds_of_dead_peers_are_dealt_in_turn() -> None:
    dead = parse_scenario(EVERYTHING, path="x.toml").users.dead_peer
    assert dead is not None
    assert [dead.kind(number) for number in range(4)] == ["mute", "no-pong", "stalled", "mute"]


def test_an_abuser_is_one_connection_that_never_returns_unless_it_says_more() -> None:
    text = EVERYTHING.replace("connections = 3\nreconnects = 1\nedge = true\n", "")
    assert parse_scenario(text, path="x.toml").users.abuser == AbuserGroup(count=2, burst=70)


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_every_metric_has_data_in_a_scenario_that_names_everything(metric: object) -> None:
    name, kind = getattr(metric, "name", ""), getattr(metric, "kind", "")
    statistic = ".p99" if kind == "quantiles" else ""
    limit = {"quantiles": "1 s", "span": "1 s", "bytes": "1 KB"}.get(kind, "1")
    budget = f'"{name}{statistic} <= {limit}"'
    text = EVERYTHING.replace('"errors == 0"', budget)
    text = text.replace('do = "restart"', 'do = "drop"\nwho = "storm"', 1).replace(
        'at = "40 s"', 'at = "35 s"\ndo = "return"\nwho = "storm"\n[[commands]]\nat = "40 s"', 1
    )
    assert parse_scenario(text, path="x.toml").budgets[0].metric == name


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ('kinds = ["mute", "no-pong", "stalled"]', 'kinds = ["mut"]', "did you mean mute?"),
        ('kinds = ["mute", "no-pong", "stalled"]', 'kinds = ["mute", "mute"]', "twice"),
        ('kinds = ["mute", "no-pong", "stalled"]', "kinds = []", "write a list of mute"),
        ("count = 7", "count = 2", "write at least 3"),
        ("edge = true", "edge = 1", "write true or false"),
        ('bytes_per_second = "1 KB"', "bytes_per_second = 1024", "write a size"),
        ('receive_buffer = "4 KB"\n[users.never', "[users.never", "receive_buffer is missing"),
        ("refreshing = 0.5", "refreshing = 1.5", "from 0 to 1"),
        ('stay = "2 s"', 'stay = "0 s"', "from 0.1 s"),
        ("symbols = 3", "symbols = 30", "users.subscriber.symbols = 30"),
        ("symbols = 2\nstay", "symbols = 21\nstay", "users.churner.symbols = 21"),
    ],
)
def test_what_is_wrong_with_a_group_is_said(right: str, wrong: str, words: str) -> None:
    assert right in EVERYTHING
    found = problems_of(EVERYTHING.replace(right, wrong, 1))
    assert any(words in said for said in found), found


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ('do = "drop"', 'do = "drob"', "did you mean drop?"),
        ('do = "drop"\nwho = "storm"', 'do = "drop"', "commands.who is missing"),
        ('who = "storm"', 'who = "strom"', "did you mean storm?"),
        ('do = "drop"\nwho = "storm"', 'do = "drop"\nwho = "abuser"', "schedule of its own"),
        ('do = "restart"', 'do = "restart"\nwho = "storm"', "unknown key commands.who"),
        ('do = "drop"', 'do = "drop"\ncount = 3', "unknown key commands.count"),
        ("count = 10\n[[commands]]", "[[commands]]", "commands.count is missing"),
        ('at = "5 s"', 'at = "1 s"', "commands.at must not fall"),
        ('at = "40 s"', 'at = "60 s"', "after the steady phase"),
        ('within = "2 s"', 'within = "55 s"', "after the steady phase"),
        ('do = "drop"\nwho = "storm"', 'do = "pause"\nwho = "storm"', "without a drop of storm"),
        ('do = "resume"', 'do = "pause"', "pause twice for idle"),
        ('do = "restart"', 'do = "terminate"', "comes after terminate"),
        ('who = "idle"\ncount = 4', 'who = "idle"\ncount = 40', "market.symbols is 20"),
    ],
)
def test_what_is_wrong_with_a_command_is_said(right: str, wrong: str, words: str) -> None:
    assert right in EVERYTHING
    found = problems_of(EVERYTHING.replace(right, wrong, 1))
    assert any(words in said for said in found), found


def test_a_command_to_a_group_without_users_is_refused() -> None:
    found = problems_of(without(EVERYTHING, "users.storm"))
    assert any("add [users.storm]" in said for said in found), found


@pytest.mark.parametrize(
    ("budget", "removed", "words"),
    [
        ("storm.not_back == 0", ["[commands]"], "no group drops and returns"),
        ("dead_peer.mute.max <= 1 s", ["users.dead_peer"], "no dead peer is mute"),
        ("dead_peer.late == 0", ["users.dead_peer"], "no peer plays dead"),
        ("auth.false_accepts == 0", ["users.bad_token", "users.expiring"], "every token is valid"),
        ("auth.expiry.p99 <= 1 s", ["users.expiring"], "no token expires"),
        ("drain.exit <= 1 s", ["[commands]"], "the gateway never drains"),
        ("memory.per_subscription <= 1 KB", ["[commands]"], "no command says subscribe"),
        ("memory.per_message <= 1 B", ["[commands]"], "no command says send"),
        ("memory.per_backlog <= 1 KB", ["[commands]"], "no command says pause"),
        ("memory.returned >= 0.9", ["[commands]"], "no user leaves"),
        ("memory.left_fds == 0", ["[commands]", "users.churner"], "no user comes and goes"),
    ],
)
def test_a_budget_says_what_would_produce_its_data(
    budget: str, removed: list[str], words: str
) -> None:
    text = EVERYTHING.replace('"errors == 0"', f'"{budget}"')
    for table in removed:
        while f"[{table}]" in text:
            text = without(text, table)
    assert any(words in said for said in problems_of(text))


@pytest.mark.parametrize("rate", MAX_RATES)
def test_a_group_that_holds_symbols_may_ask_for_a_rate(rate: int) -> None:
    text = EVERYTHING.replace("symbols = 3\n", f"symbols = 3\nmax_rate = {rate}\n")
    scenario = parse_scenario(text, path="x.toml")
    assert scenario.users.max_rates() == {"subscriber": rate, "churner": 5}
    assert parse_scenario(EVERYTHING, path="x.toml").users.max_rates() == {"churner": 5}


@pytest.mark.parametrize("rate", ["3", "0", "true", '"5"', "5.0", "[5]"])
def test_a_rate_that_the_contract_does_not_have_is_refused(rate: str) -> None:
    text = EVERYTHING.replace("symbols = 3\n", f"symbols = 3\nmax_rate = {rate}\n")
    with pytest.raises(ScenarioError) as refused:
        parse_scenario(text, path="x.toml")
    assert "users.subscriber.max_rate" in str(refused.value)
    assert "write one of 1, 2, 5, 10, 20" in str(refused.value)
    with pytest.raises(ScenarioError, match="max_rate"):
        parse_scenario(EVERYTHING.replace("count = 50\n", "count = 50\nmax_rate = 5\n"), path="x")


def test_the_rates_are_those_of_the_wire_contract() -> None:
    assert contract.MAX_RATES == MAX_RATES


RESTART = '[[commands]]\nat = "WHEN"\ndo = "restart"\nnode = NODE\n'


def with_restart_of(node: int, when: str) -> Scenario:
    """Return a scenario of three nodes in which one restarts, before any other command."""
    text = EVERYTHING.replace("seed = ", "nodes = 3\nseed = ", 1)
    told = RESTART.replace("NODE", str(node)).replace("WHEN", when)
    return parse_scenario(text.replace("[[commands]]", f"{told}\n[[commands]]", 1), path="x.toml")


def test_a_command_to_one_of_several_nodes_leaves_the_others() -> None:
    scenario = with_restart_of(2, "1 s")
    assert (scenario.nodes, scenario.commands[0].node) == (3, 2)
    times = [scenario.ordered_ns("restart", 0, node) for node in (0, 1, 2)]
    assert [10**9 in each for each in times] == [False, False, True]


def test_a_command_to_a_node_that_there_is_not_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"commands\.node = 4, but nodes = 3; write at most"):
        with_restart_of(4, "1 s")


def test_a_command_to_users_names_no_node() -> None:
    text = EVERYTHING.replace('do = "drop"', 'do = "drop"\nnode = 1', 1)
    with pytest.raises(ScenarioError, match="drop is for users; only terminate and restart name"):
        parse_scenario(text, path="x.toml")
