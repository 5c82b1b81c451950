"""What LinkedIn refuses, and what goes wrong on the way there: cause, next step, and whether members may have been changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError

from cdp_exports.destinations.linkedin import LinkedInDestination, open_linkedin
from cdp_exports.destinations.patience import Patience
from cdp_exports.entities.linkedin_connection import LinkedInContactsConnection
from cdp_exports.errors import CdpExportsError, DeclarationError, DestinationRefused, NotApplied, TransientError
from cdp_exports_tests.destinations.opened_linkedin import IMPATIENT, entering, hashed, linkedin_connection, open_ads
from cdp_exports_tests.servers.linkedin import LinkedIn, Trouble
from cdp_exports_tests.servers.linkedin_book import ACCESS, CLIENT, REFRESH, SECRET, VIEWED

ANN = "ann@example.com"


def refused(kind: type[CdpExportsError], destination: LinkedInDestination, what: str) -> CdpExportsError:
    """Sending fails in this very way, and the error names neither a secret nor a member."""
    with pytest.raises(CdpExportsError) as caught:
        destination.send("vip", entering([ANN]))
    assert type(caught.value) is kind
    said = str(caught.value)
    assert what in said, said
    shown = [said, *(str(one) for one in (caught.value.__cause__, caught.value.__context__) if isinstance(one, CdpExportsError))]
    for private in (ACCESS, CLIENT, SECRET, REFRESH, ANN, hashed(ANN)):
        assert not any(private in one for one in shown)
    return caught.value


def test_the_refresh_token_has_expired(linkedin: LinkedIn) -> None:
    linkedin.book.refresh_days = 0
    refused(DestinationRefused, open_ads(linkedin), "the refresh token has expired or was revoked. Authorize again")
    assert linkedin.book.received == []


def test_it_expires_between_two_batches(linkedin: LinkedIn) -> None:
    destination = open_ads(linkedin)
    destination.send("vip", entering(["bob@example.com"]))
    linkedin.book.expire_tokens()
    linkedin.book.refresh_days = 0
    refused(DestinationRefused, destination, "Authorize again")
    assert len(linkedin.book.held("vip")) == 1


def test_a_declared_access_token_has_expired(linkedin: LinkedIn) -> None:
    linkedin.book.expire_tokens()
    refused(DestinationRefused, open_ads(linkedin, renewable=False), "does not accept the access token; it has expired or was revoked")


def test_a_new_access_token_is_asked_for_once(linkedin: LinkedIn) -> None:
    linkedin.troubles = [Trouble("answer", "/rest/", status=401, times=9)]
    refused(DestinationRefused, open_ads(linkedin), "the access token it has just given")
    assert linkedin.book.renewals == 2


@pytest.mark.parametrize("name", ["client_id", "client_secret"])
def test_the_application_is_unknown(linkedin: LinkedIn, name: str) -> None:
    other: dict[str, Any] = {name: {"env": "OTHER"}}
    connection = linkedin_connection(linkedin, **other)
    destination = open_linkedin(connection, Path(), {**linkedin.environ, "OTHER": "other"}, IMPATIENT)
    refused(DestinationRefused, destination, "Correct `client_id` and `client_secret`")


def test_a_secret_that_is_not_set(linkedin: LinkedIn) -> None:
    with pytest.raises(DeclarationError, match="LINKEDIN_REFRESH is not set"):
        open_linkedin(linkedin_connection(linkedin), Path(), {**linkedin.environ, "LINKEDIN_REFRESH": ""})


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_sign_in_is_busy(linkedin: LinkedIn, status: int) -> None:
    linkedin.troubles = [Trouble("answer", "/oauth/", status=status, headers={"Retry-After": "7"})]
    refused(NotApplied, open_ads(linkedin), "Run it again in 7 s")


def test_the_sign_in_answers_nonsense(linkedin: LinkedIn) -> None:
    linkedin.troubles = [Trouble("garbage", "/oauth/")]
    refused(NotApplied, open_ads(linkedin), "answered something")


@pytest.mark.parametrize(
    ("scopes", "changes"), [("rw_ads", {}), ("rw_ads,rw_dmp_segments", {"account_id": VIEWED}), ("rw_dmp_segments", {"account_id": "1"})]
)
def test_a_scope_or_a_role_is_missing(linkedin: LinkedIn, scopes: str, changes: dict[str, Any]) -> None:
    linkedin.book.granted = scopes
    refused(
        DestinationRefused, open_ads(linkedin, **changes), "(ACCESS_DENIED). Authorize again with the scopes rw_dmp_segments and rw_ads"
    )


def test_an_account_that_does_not_exist(linkedin: LinkedIn) -> None:
    linkedin.troubles = [Trouble("answer", "/rest/dmpSegments", status=404)]
    refused(DestinationRefused, open_ads(linkedin), "no such ad account")


def test_another_platform_than_linkedin_granted(linkedin: LinkedIn) -> None:
    refused(
        DestinationRefused,
        open_ads(linkedin, source_platform="OTHER"),
        "(HTTP 400, ILLEGAL_ARGUMENT). Check `account_id`, `source_platform`",
    )


def test_a_version_that_has_been_sunset(linkedin: LinkedIn) -> None:
    refused(DestinationRefused, open_ads(linkedin, api_version="202401"), "does not answer to version 202401")


def test_a_redirect_is_not_followed(linkedin: LinkedIn) -> None:
    linkedin.troubles = [Trouble("answer", "/rest/", status=302, headers={"Location": "http://127.0.0.1:9/"})]
    refused(DestinationRefused, open_ads(linkedin), "Correct `endpoint_url`")


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_a_whole_batch_that_is_refused(linkedin: LinkedIn, status: int) -> None:
    destination = open_ads(linkedin)
    destination.prepare("vip")
    linkedin.troubles = [Trouble("answer", "/users", status=status)]
    refused(DestinationRefused, destination, f"HTTP {status}")
    assert linkedin.book.held("vip") == {}


def test_limits_are_waited_out_as_long_as_asked(linkedin: LinkedIn) -> None:
    slept: list[float] = []
    destination = open_ads(linkedin, slept=slept)
    destination.prepare("vip")
    slept.clear()
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    linkedin.troubles = [Trouble("answer", "/users", status=429, headers={"Retry-After": said}) for said in ("11", at)]
    linkedin.troubles.append(Trouble("answer", "/users", status=429))
    assert destination.send("vip", entering([ANN])).rejected == ()
    assert slept[0] == 11 and 20 < slept[1] <= 30 and slept[2] == 10
    assert linkedin.book.values("vip") == {hashed(ANN)}


def test_limits_that_last_longer_end_the_attempt(linkedin: LinkedIn) -> None:
    linkedin.book.quota, linkedin.book.retry_after = 1, "3600"
    slept: list[float] = []
    destination = open_ads(linkedin, slept=slept)
    destination.send("vip", entering(["bob@example.com"]))
    slept.clear()
    refused(NotApplied, destination, "Run it again in 3600 s")
    assert slept == []
    linkedin.book.retry_after = None
    refused(NotApplied, destination, "limit of requests is reached. Run it again later")
    assert 0 < sum(slept) <= IMPATIENT.retry_for
    linkedin.book.quota = None
    destination.send("vip", entering([ANN]))
    assert len(linkedin.book.held("vip")) == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("applied", [False, True])
def test_a_failure_leaves_doubt(linkedin: LinkedIn, status: int, *, applied: bool) -> None:
    destination = open_ads(linkedin)
    destination.prepare("vip")
    linkedin.troubles = [Trouble("answer", "/users", status=status, applied=applied)]
    refused(TransientError, destination, f"HTTP {status}")
    assert bool(linkedin.book.held("vip")) == applied


@pytest.mark.parametrize("do", ["drop", "garbage"])
@pytest.mark.parametrize("applied", [False, True])
def test_a_lost_answer_leaves_doubt(linkedin: LinkedIn, do: str, *, applied: bool) -> None:
    destination = open_ads(linkedin)
    destination.prepare("vip")
    linkedin.troubles = [Trouble(do, "/users", applied=applied)]
    refused(TransientError, destination, "Run it again")
    assert bool(linkedin.book.held("vip")) == applied
    destination.send("vip", entering([ANN]))
    assert linkedin.book.values("vip") == {hashed(ANN)}


def test_an_answer_that_does_not_come_leaves_doubt(linkedin: LinkedIn) -> None:
    destination = open_ads(linkedin, patience=Patience(connect=5, request=0.3, retries=0, retry_for=60))
    destination.prepare("vip")
    linkedin.troubles = [Trouble("hold", "/users", applied=True)]
    refused(TransientError, destination, "it took too long")
    assert linkedin.book.values("vip") == {hashed(ANN)}


@pytest.mark.parametrize("path", ["/oauth/", "/rest/dmpSegments"])
@pytest.mark.parametrize("do", ["drop", "answer"])
def test_before_members_are_sent_there_is_no_doubt(linkedin: LinkedIn, path: str, do: str) -> None:
    linkedin.troubles = [Trouble(do, path)]
    refused(NotApplied, open_ads(linkedin), "Run it again")


def test_an_audience_whose_answer_was_lost_is_not_made_twice(linkedin: LinkedIn) -> None:
    linkedin.troubles = [Trouble("drop", "/rest/dmpSegments", applied=True, skip=1)]
    refused(NotApplied, open_ads(linkedin), "did not answer")
    open_ads(linkedin).send("vip", entering([ANN]))
    assert len(linkedin.book.segments) == 1 and linkedin.book.values("vip") == {hashed(ANN)}


def test_an_audience_that_is_deleted_meanwhile(linkedin: LinkedIn) -> None:
    destination = open_ads(linkedin)
    destination.prepare("vip")
    linkedin.book.segments = [replace(linkedin.book.segments[0], id=99999)]  # and another made in its place
    refused(NotApplied, destination, "it was just made, or someone deleted it")
    destination.send("vip", entering([ANN]))
    assert linkedin.book.values("vip") == {hashed(ANN)}


def test_nobody_answers() -> None:
    with LinkedIn() as gone:
        destination = open_ads(gone)
    refused(NotApplied, destination, "could not be reached")


def test_a_certificate_that_is_not_trusted_or_not_for_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    for name, host, trusted in [("localhost", "localhost", False), ("other.example", "localhost", True), ("localhost", "localhost", True)]:
        chain = tmp_path / f"{name}-{trusted}.pem"
        authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(chain)
        roots = tmp_path / "roots.pem"
        (authority if trusted else trustme.CA()).cert_pem.write_to_path(roots)
        monkeypatch.setenv("SSL_CERT_FILE", str(roots))
        with LinkedIn(chain, host) as server:
            destination = open_ads(server)
            if name == host and trusted:
                destination.send("vip", entering([ANN]))
                assert server.book.values("vip") == {hashed(ANN)}
            else:
                refused(DestinationRefused, destination, "nothing was sent")
                assert server.seen == []


@pytest.mark.parametrize(
    ("granted", "roles", "what"),
    [
        ("rw_ads", {}, "lacks the scope rw_dmp_segments"),
        ("rw_ads,rw_dmp_segments", {"1": "CAMPAIGN_MANAGER"}, "has no role in this ad account"),
        ("rw_ads,rw_dmp_segments", {"502840441": "VIEWER"}, "may only view this ad account"),
        ("rw_dmp_segments", {"502840441": "CAMPAIGN_MANAGER"}, "with the scopes rw_dmp_segments and rw_ads"),
    ],
)
def test_probing_says_what_is_missing(linkedin: LinkedIn, granted: str, roles: dict[str, str], what: str) -> None:
    linkedin.book.granted, linkedin.book.roles = granted, roles
    with pytest.raises(DestinationRefused, match=what):
        open_ads(linkedin).probe()


def test_probing_with_an_access_token(linkedin: LinkedIn) -> None:
    open_ads(linkedin, renewable=False).probe()
    linkedin.book.tokens[ACCESS] = "rw_ads"
    with pytest.raises(DestinationRefused, match="rw_dmp_segments"):
        open_ads(linkedin, renewable=False).probe()
    linkedin.book.expire_tokens()
    with pytest.raises(DestinationRefused, match="has expired or was revoked"):
        open_ads(linkedin, renewable=False).probe()
    assert linkedin.book.segments == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"access_token": {"env": "TOKEN"}}, "name either an `access_token`, or"),
        ({"refresh_token": None}, "go together"),
        ({"client_id": None, "client_secret": None, "refresh_token": None}, "name either"),
        ({"account_id": "urn:li:sponsoredAccount:1"}, "account_id"),
        ({"api_version": "2026-07"}, "api_version"),
        ({"refresh_token": "AQX"}, "a secret is never written in the catalog"),
    ],
)
def test_what_may_not_be_declared(linkedin: LinkedIn, changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        LinkedInContactsConnection.model_validate(linkedin.declared(**changes))
