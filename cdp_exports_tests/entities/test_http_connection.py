"""What an HTTP connection may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cdp_exports.entities.http_connection import HttpConnection

DECLARED: dict[str, Any] = {"type": "http", "url": "https://api.acme.com/audiences", "signing_secret": {"env": "SECRET"}}


@pytest.mark.parametrize(
    "url",
    [
        "https://api.acme.com",
        "https://api.acme.com:8443/a/b",
        "http://localhost:8000/a",
        "http://127.0.0.7/a",
        "http://[::1]:8000/",
        "https://10.0.0.1/a",
    ],
)
def test_addresses(url: str) -> None:
    assert HttpConnection.model_validate({**DECLARED, "url": url, "outcome_url": f"{url}/{{key}}"}).url == url


@pytest.mark.parametrize(
    ("changes", "where", "wrong"),
    [
        ({"url": "http://api.acme.com/a"}, "url", "only https:// protects"),
        ({"url": "http://localhost.acme.com/a"}, "url", "only https:// protects"),
        ({"url": "http://10.0.0.1/a"}, "url", "only https:// protects"),
        ({"url": "ftp://localhost/a"}, "url", "only https:// protects"),
        ({"url": "https://me:word@acme.com/a"}, "url", "no user name and no password"),
        ({"url": "https://acme.com/a?code=xyz"}, "url", "secrets go in `headers`"),
        ({"url": "https://acme.com/a#b"}, "url", "without a user"),
        ({"url": "https://acme.com/a b"}, "url", "write https://host/path"),
        ({"url": "https://é.com/"}, "url", "write https://host/path"),
        ({"url": "https://acme.com:99999/"}, "url", "Port out of range"),
        ({"url": "acme.com/a"}, "url", "write https://host/path"),
        ({"outcome_url": "http://api.acme.com/{key}"}, "outcome_url", "only https:// protects"),
        ({"outcome_url": "https://api.acme.com/outcomes"}, "", "holds `{key}` once"),
        ({"outcome_url": "https://api.acme.com/{key}/{key}"}, "", "holds `{key}` once"),
        ({"outcome_url": "https://api.acme.com/{key}", "repeat": "by_key"}, "", "never asked with `repeat: by_key`"),
        ({"batch_rows": 0}, "batch_rows", "greater than or equal to 1"),
        ({"batch_rows": 10_001}, "batch_rows", "less than or equal to 10000"),
        ({"signing_secret": "whsec_AAAA"}, "signing_secret", "never written in the catalog"),
        ({"headers": {"X-Api-Key": "plain"}}, "headers", "never written in the catalog"),
        ({"headers": {"a b": {"env": "X"}}}, "headers", "no name of a header"),
        ({"headers": {"Webhook-Id": {"env": "X"}}}, "headers", "every request has this header already"),
        ({"headers": {"content-type": {"env": "X"}}}, "headers", "every request has this header already"),
        ({"headers": {"authorization": {"env": "X"}}, "bearer_token": {"env": "Y"}}, "", "name either `bearer_token` or"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], where: str, wrong: str) -> None:
    with pytest.raises(ValidationError) as caught:
        HttpConnection.model_validate(DECLARED | changes)
    [error] = caught.value.errors()
    assert ".".join(map(str, error["loc"])).startswith(where)
    assert wrong in error["msg"]


def test_two_ways_to_write_an_address_are_one_place() -> None:
    def place(url: str) -> tuple[str, ...]:
        return HttpConnection.model_validate(DECLARED | {"url": url}).place(Path())

    assert place("https://API.acme.com:443/audiences/") == place("https://api.acme.com/audiences") == ("https", "api.acme.com", "audiences")
    assert len({place(f"https://acme.com{rest}") for rest in ("", ":8443", "/a", "/A")}) == 4
