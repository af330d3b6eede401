from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.oracles.model_answers import ModelAnswerOracle

TOKENS = 12
EventLine = tuple[str, dict[str, Any]]


def answer_to(oracle: ModelAnswerOracle, joins: frozenset[int] = frozenset()) -> list[EventLine]:
    """Return the events of a right answer; ``joins`` are tokens that are joined to the next."""
    words = oracle.prompt.split()
    tokens = [word if number == 0 else f" {word}" for number, word in enumerate(words)]
    texts, waiting = [], ""
    for number, token in enumerate(tokens):
        waiting += token
        if number not in joins or number == len(tokens) - 1:
            texts.append(waiting)
            waiting = ""
    whole = {"fullResponse": oracle.prompt, "tokenCount": TOKENS}
    lines: list[EventLine] = [("llm:stream:start", {})]
    lines += [("llm:stream:token", {"token": text}) for text in texts]
    lines.append(("llm:stream:done", whole))
    head = {"sessionId": oracle.session_id}
    return [(name, {**head, **data, "seq": n}) for n, (name, data) in enumerate(lines, start=1)]


def judge(oracle: ModelAnswerOracle, lines: list[EventLine]) -> str:
    for name, payload in lines:
        oracle.take(name, payload)
    return oracle.mistake


def renumbered(lines: list[EventLine]) -> list[EventLine]:
    return [(name, {**payload, "seq": n}) for n, (name, payload) in enumerate(lines, start=1)]


@given(st.frozensets(st.integers(0, TOKENS - 1)))
def test_a_right_answer_is_right_however_its_tokens_are_joined(joins: frozenset[int]) -> None:
    oracle = ModelAnswerOracle("s", TOKENS)
    assert judge(oracle, answer_to(oracle, joins)) == ""
    assert oracle.end == "llm:stream:done"


@given(st.integers(1, TOKENS), st.booleans())
def test_a_token_that_is_lost_or_doubled_is_found_whatever_its_number_says(
    place: int, is_doubled: bool
) -> None:
    for is_honest in (True, False):
        oracle = ModelAnswerOracle("s", TOKENS)
        lines = answer_to(oracle)
        lines[place : place + 1] = [lines[place]] * (2 if is_doubled else 0)
        assert judge(oracle, lines if is_honest else renumbered(lines))


@given(st.integers(1, TOKENS - 1))
def test_two_tokens_in_the_wrong_order_are_found(place: int) -> None:
    oracle = ModelAnswerOracle("s", TOKENS)
    lines = answer_to(oracle)
    lines[place], lines[place + 1] = lines[place + 1], lines[place]
    assert judge(oracle, renumbered(lines))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sessionId": "another"}, "did not ask for"),
        ({"fullResponse": "s.0"}, "fullResponse"),
        ({"tokenCount": TOKENS + 1}, "tokenCount"),
        ({"seq": 99}, "seq 99"),
    ],
    ids=["foreign", "text", "count", "number"],
)
def test_a_wrong_field_of_the_end_is_found(change: dict[str, Any], words: str) -> None:
    oracle = ModelAnswerOracle("s", TOKENS)
    *lines, (name, payload) = answer_to(oracle)
    assert words in judge(oracle, [*lines, (name, payload | change)])


@pytest.mark.parametrize("name", ["llm:stream:done", "llm:stream:token", "llm:stream:error"])
def test_nothing_may_follow_an_end(name: str) -> None:
    oracle = ModelAnswerOracle("s", TOKENS)
    lines = answer_to(oracle)
    more = (name, {"sessionId": "s", "seq": len(lines) + 1, "token": "x"})
    assert judge(oracle, [*lines, more]) == f"{name} after llm:stream:done"


def test_an_answer_is_cancelled_only_if_its_user_asked_for_that() -> None:
    for asked in (True, False):
        oracle = ModelAnswerOracle("s", TOKENS)
        oracle.is_cancelled = asked
        lines = answer_to(oracle)[:5]
        lines.append(("llm:stream:cancelled", {"sessionId": "s", "seq": 6}))
        assert (judge(oracle, lines) == "") is asked


def test_an_error_is_a_wrong_end() -> None:
    oracle = ModelAnswerOracle("s", TOKENS)
    lines = answer_to(oracle)[:2]
    lines.append(("llm:stream:error", {"sessionId": "s", "seq": 3, "code": "PROVIDER_ERROR"}))
    assert judge(oracle, lines) == "the answer ended with PROVIDER_ERROR"
