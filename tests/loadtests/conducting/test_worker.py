"""A worker under Locust: what it asks of Locust itself."""

from __future__ import annotations

import pytest
from locust import argument_parser

from loadtests.conducting import worker


def test_locusts_own_options_are_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    real = argument_parser.default_args_dict()
    monkeypatch.setattr(argument_parser, "default_args_dict", argument_parser.default_args_dict)
    worker.remember_default_options()
    first = argument_parser.default_args_dict()
    assert first.keys() == real.keys()
    assert argument_parser.default_args_dict() is first
