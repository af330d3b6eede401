from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.plan.nodes import RunNode, folder_of, name_nodes, nodes_of, split_urls

TWO = (RunNode("node-1", "http://a:1", 7), RunNode("node-2", "http://b:2", 8))


def test_urls_are_told_apart_and_lose_the_slash_at_their_ends() -> None:
    assert split_urls("http://a:1/, http://b:2") == ("http://a:1", "http://b:2")
    assert split_urls("http://a:1") == ("http://a:1",)


def test_nodes_have_the_names_of_their_places_and_their_processes() -> None:
    assert name_nodes(("http://a:1", "http://b:2"), (7, 8)) == TWO
    assert name_nodes(("http://a:1",), None) == (RunNode("node-1", "http://a:1", None),)
    with pytest.raises(ValueError, match="zip"):
        name_nodes(("http://a:1", "http://b:2"), (7,))


def test_a_manifest_without_nodes_has_its_target_alone() -> None:
    target = {"url": "http://a:1/", "pid": None}
    assert nodes_of({"target": target}) == (RunNode("gateway", "http://a:1", None),)
    told = [node._asdict() for node in TWO]
    assert nodes_of({"target": target, "nodes": told}) == TWO


def test_only_several_nodes_have_folders_of_their_own() -> None:
    assert folder_of(Path("logs"), 0, 1) == Path("logs")
    assert folder_of(Path("logs"), 1, 3) == Path("logs/node-2")
