from __future__ import annotations

import pytest
from request_heads import head_bytes, head_of


def test_a_head_tells_its_parts() -> None:
    head = head_of(head_bytes("POST /a%20b/%E2%82%AC?x=1&y=%26+z&x=2&flag HTTP/1.1"))
    assert (head.method, head.version) == ("POST", (1, 1))
    assert head.target == "/a%20b/%E2%82%AC?x=1&y=%26+z&x=2&flag"
    assert head.path == "/a b/€"
    assert head.query == "x=1&y=%26+z&x=2&flag"
    assert head.header("UPGRADE") == "websocket"
    assert head.header("origin") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("x", "1"), ("y", "& z"), ("flag", ""), ("é", "ü"), ("absent", None), ("", None)],
)
def test_a_parameter_is_its_first_value_decoded(name: str, value: str | None) -> None:
    head = head_of(head_bytes("GET /?x=1&y=%26+z&x=2&flag&%C3%A9=%C3%BC HTTP/1.1"))
    assert head.parameter(name) == value


@pytest.mark.parametrize(
    ("query", "conflicts"),
    [("x=1&y=1", set()), ("x=1&x=1", set()), ("x=1&x=2&y", {"x"}), ("x=a&%78=b&y&y=", {"x"})],
)
def test_parameters_with_two_values_are_found(query: str, conflicts: set[str]) -> None:
    assert head_of(head_bytes(f"GET /?{query} HTTP/1.1")).conflicts == conflicts


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/?", "/", ""),
        ("/a?b?c", "/a", "b?c"),
        ("//a/b", "//a/b", ""),
        ("/a?u=http://b/c", "/a", "u=http://b/c"),
        ("http://host/a?b", "/a", "b"),
        ("HTTP://host", "/", ""),
        ("http://host?a=/b", "/", "a=/b"),
        ("*", "*", ""),
        ("/%zz%ff", "/%zz\ufffd", ""),
    ],
)
def test_path_and_query_of_every_form_of_a_target(target: str, path: str, query: str) -> None:
    head = head_of(head_bytes(f"OPTIONS {target} HTTP/1.1"))
    assert (head.path, head.query) == (path, query)


def test_repeated_headers_are_joined_in_order() -> None:
    head = head_of(head_bytes("GET / HTTP/1.1", None, "Via:a", "Accept: x", "vIA:\t b \t"))
    assert head.header("via") == "a, b"
    assert head.header_values("Via") == ["a", "b"]
    assert head.headers["via"] == "a, b"
    assert list(head.headers)[:2] == ["host", "connection"]


def test_a_name_within_a_value_is_no_header() -> None:
    head = head_of(head_bytes("GET /?origin: HTTP/1.1", None, "X: origin: evil", "Xorigin: evil"))
    assert head.header("origin") is None


def test_a_value_beyond_ascii_is_latin_1() -> None:
    assert head_of(head_bytes("GET / HTTP/1.1", None, "X: é")).header("x") == "é"
