from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import MAX_ANSWER_BYTES
from gateway.llm import ProviderFailure, Trouble
from gateway.model_answer import MOST_JOINED_BYTES, ModelAnswer

PIECE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
LONG_PIECE = st.builds(lambda text, times: text * times, PIECE, st.integers(1, 400))


@given(
    steps=st.lists(st.one_of(PIECE, LONG_PIECE, st.none()), max_size=60),
)
def test_a_client_that_reads_at_any_time_gets_each_piece_once_and_in_order(
    steps: list[str | None],
) -> None:
    """A text is a piece of the provider; at ``None`` the client can be sent something."""
    answer, sent, received = ModelAnswer(), 0, ""
    for step in [*steps, *[None] * (len(steps) + 1)]:
        if step is not None:
            answer.add(step)
            continue
        joined = answer.after(sent)
        if joined is None:
            assert received == answer.text
            continue
        assert joined.first == sent + 1
        assert joined.last >= joined.first
        if joined.last > joined.first:
            assert len(joined.text.encode()) <= MOST_JOINED_BYTES
        received += joined.text
        sent = joined.last
    assert (received, sent) == (answer.text, len(answer))
    assert answer.text == "".join(step for step in steps if step is not None)


def test_a_client_that_keeps_up_gets_each_piece_by_itself() -> None:
    answer = ModelAnswer()
    for number, piece in enumerate(["a", "b", "c"], start=1):
        answer.add(piece)
        assert answer.after(number - 1) == (piece, number, number)
        assert answer.after(number) is None


def test_an_answer_over_its_limit_is_refused_and_one_at_its_limit_is_not() -> None:
    answer = ModelAnswer()
    answer.add("é" * (MAX_ANSWER_BYTES // 2))
    with pytest.raises(ProviderFailure) as caught:
        answer.add("x")
    assert caught.value.trouble is Trouble.TOO_LARGE


def test_half_a_character_is_a_malformed_answer() -> None:
    with pytest.raises(ProviderFailure) as caught:
        ModelAnswer().add("\ud83d")
    assert caught.value.trouble is Trouble.MALFORMED
