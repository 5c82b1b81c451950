"""What goes over the wire, held against what others wrote, and what may come back."""

from __future__ import annotations

import gzip
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdp_exports.destinations.audience import Answered, Batch, Change, Rejected, Value
from cdp_exports.destinations.http_wire import Format, Signer, Unreadable, compressed, outcome, rejected, secret_of, written
from cdp_exports.errors import DestinationRefused
from cdp_exports_tests.destinations.opened_http import open_endpoint
from cdp_exports_tests.servers.endpoint import OLD_SECRET, SECRET, Endpoint
from cdp_exports_tests.servers.endpoint_process import Fault

MEMBER = Change("entered", {"id": "7", "email": "ann@example.com"})

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_values: st.SearchStrategy[Value] = st.one_of(
    _texts, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none()
)
_changes = st.builds(Change, st.sampled_from(["entered", "updated", "exited"]), st.dictionaries(_texts, _values, max_size=4))


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the libraries' tests: https://github.com/standard-webhooks/standard-webhooks."""
    secret = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert secret
    headers = Signer([secret]).headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_AAAA", "whsec_!" + "A" * 32, "A" * 32, f"whsec_{'A' * 88}", f"{SECRET}\n", "whsec_é"]
)
def test_what_is_no_secret(text: str) -> None:
    assert secret_of(text) is None


@settings(deadline=None, max_examples=100)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.lists(_changes, max_size=5))
def test_both_formats_say_the_same(audience: str, changes: list[Change]) -> None:
    one = json.loads(written({"audience": audience}, changes, "json"))
    lines = written({"audience": audience}, changes, "ndjson").split(b"\n")
    assert lines.pop() == b""
    envelope, *items = map(json.loads, lines)
    assert one == {**envelope, "data": items}
    assert envelope == {"audience": audience}
    assert items == [{"status": change.status, "values": change.values} for change in changes]


def test_the_same_batch_is_the_same_bytes() -> None:
    body = written({}, [MEMBER], "ndjson")
    assert compressed(body) == compressed(body)
    assert gzip.decompress(compressed(body)) == body


@pytest.mark.parametrize("format", ["ndjson", "json"])
def test_what_json_has_no_word_for_is_refused(endpoint: Endpoint, format: Format) -> None:
    for value in (math.nan, math.inf):
        with pytest.raises(DestinationRefused, match="NaN or infinite"):
            open_endpoint(endpoint, format=format).send("a", Batch("k", [Change("entered", {"score": value})]))
    assert endpoint.state()["requests"] == []


@pytest.mark.parametrize(
    "said",
    ["", "{}", '{"rejected": []}', '{"rejected": null}', '{"applied": true, "id": 5}', ' {"rejected" : [ ] }\n'],
)
def test_all_were_taken(said: str) -> None:
    assert rejected(said.encode(), [MEMBER]) == ()


@pytest.mark.parametrize(
    "said",
    [
        *(" ", "ok", "<html>", "[]", "null", "1", '{"rejected": [', '{"rejected": []} x', "[" * 100_000, b"\xff"),
        *(f'{{"rejected": {listed}}}' for listed in ("{}", "1", "[1]", "[{}]", '["0"]')),
        *(f'{{"rejected": [{{"index": {index}}}]}}' for index in ('"0"', "1", "-1", "true", "0.0", "null")),
    ],
)
def test_what_cannot_be_read_is_not_taken_for_success(said: str | bytes) -> None:
    content = said if isinstance(said, bytes) else said.encode()
    with pytest.raises(Unreadable):
        rejected(content, [MEMBER])
    with pytest.raises(Unreadable):
        outcome(content, [MEMBER])


@pytest.mark.parametrize("said", ["", "{}", '{"rejected": []}', '{"applied": 1}', '{"applied": null}', '{"applied": "false"}'])
def test_an_outcome_says_whether_it_was_applied(said: str) -> None:
    with pytest.raises(Unreadable):
        outcome(said.encode(), [MEMBER])


def test_outcomes() -> None:
    assert outcome(b'{"applied": false}', [MEMBER]) is None
    assert outcome(b'{"applied": true}', [MEMBER]) == ()
    said = b'{"applied": true, "rejected": [{"index": 7, "reason": "invalid_email"}]}'
    assert outcome(said, [MEMBER] * 8) == (Rejected(7, "invalid_email"),)
    # who asks has nothing but the key: what a value might be is not known, so no reason is kept
    assert outcome(said, None) == (Rejected(7, "rejected"),)


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("invalid_email", "invalid_email"),
        ("Invalid_Email", "invalid_email"),
        ("e.1-x", "e.1-x"),
        ("", "rejected"),
        ("not an e-mail address", "rejected"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "rejected"),
        ("bad_ann@example.com", "rejected"),
        ("unknown_smith", "rejected"),
        ("unknown_SMITH", "rejected"),
        ("no_33123456789", "rejected"),
        ("bad\n", "rejected"),
        (None, "rejected"),
        (12, "rejected"),
        ({"code": "x"}, "rejected"),
    ],
)
def test_reasons_are_codes(reason: object, kept: str) -> None:
    member = Change("entered", {"email": "ann@example.com", "last_name": "Smith", "phone": 33123456789})
    said = json.dumps({"rejected": [{"index": 0, "reason": reason}]})
    assert rejected(said.encode(), [member]) == (Rejected(0, kept),)


def test_who_is_named_twice_counts_once() -> None:
    said = b'{"rejected": [{"index": 1, "reason": "a"}, {"index": 0, "reason": "b"}, {"index": 1, "reason": "c"}]}'
    assert rejected(said, [MEMBER, MEMBER]) == (Rejected(0, "b"), Rejected(1, "a"))


@pytest.mark.parametrize(("format", "compression"), [("ndjson", "none"), ("ndjson", "gzip"), ("json", "none"), ("json", "gzip")])
def test_a_request(endpoint: Endpoint, format: Format, compression: str) -> None:
    declared: dict[str, Any] = {"format": format, "compression": compression, "headers": {"X-Api-Key": {"env": "API_KEY"}}}
    destination = open_endpoint(endpoint, environ={"API_KEY": "k"}, **declared)
    assert destination.send("Été", Batch("batch-1", [MEMBER, Change("exited", {"id": "é\u2028"})])) == Answered()
    [request] = endpoint.state()["requests"]
    headers = request["headers"]
    assert request["path"] == "/audiences"
    assert headers["webhook-id"] == headers["idempotency-key"] == "batch-1"
    assert headers["x-api-key"] == "k"
    assert headers["content-type"] == {"ndjson": "application/x-ndjson", "json": "application/json"}[format]
    assert headers.get("content-encoding") == (None if compression == "none" else "gzip")
    items = '{"status":"entered","values":{"id":"7","email":"ann@example.com"}}', r'{"status":"exited","values":{"id":"\u00e9\u2028"}}'
    expected = {
        "ndjson": "\n".join([r'{"type":"audience.changed","audience":"\u00c9t\u00e9"}', *items, ""]),
        "json": rf'{{"type":"audience.changed","audience":"\u00c9t\u00e9","data":[{",".join(items)}]}}',
    }
    assert request["text"] == expected[format]


def test_a_secret_is_replaced_without_a_gap(endpoint: Endpoint) -> None:
    """Old at both, both here, new there, new here."""
    old: dict[str, Any] = {"signing_secret": {"env": "OLD_SECRET"}}
    both: dict[str, Any] = {"old_signing_secret": {"env": "OLD_SECRET"}}
    for expected, declared in ((OLD_SECRET, old), (OLD_SECRET, both), (SECRET, both), (SECRET, {})):
        endpoint.set(secrets=[expected])
        open_endpoint(endpoint, **declared).probe()
    endpoint.set(secrets=[OLD_SECRET])
    with pytest.raises(DestinationRefused, match="the signature or the credentials are not accepted"):
        open_endpoint(endpoint).probe()


def test_every_try_is_signed_at_its_own_time(endpoint: Endpoint) -> None:
    endpoint.fail(Fault("answer", status=429, headers={"Retry-After": "1"}))
    open_endpoint(endpoint).send("a", Batch("k", [MEMBER]))
    one, other = (request["headers"] for request in endpoint.state()["requests"])
    assert one["webhook-id"] == other["webhook-id"]
    assert int(one["webhook-timestamp"]) < int(other["webhook-timestamp"])
