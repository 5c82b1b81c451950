"""Matched audiences of LinkedIn: made and found by name, members added and removed in batches."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

from cdp_exports.destinations.audience import Change, Rejected
from cdp_exports.destinations.linkedin import SETTLES
from cdp_exports.destinations.open import open_audience
from cdp_exports.entities.capabilities import Capabilities, Repeat
from cdp_exports.entities.connection import CONNECTION, TYPES
from cdp_exports.errors import DestinationRefused, NotApplied, TransientError
from cdp_exports_tests.destinations.opened_linkedin import batch, entering, hashed, open_ads
from cdp_exports_tests.servers.linkedin import LinkedIn, Trouble
from cdp_exports_tests.servers.linkedin_book import ACCESS, ACCOUNT, CLIENT, PLATFORM, REFRESH, SECRET, Segment

ANN, BOB, EVE = (hashed(f"{name}@example.com") for name in ("ann", "bob", "eve"))


def test_an_audience_is_made_once_and_found_by_its_name(linkedin: LinkedIn) -> None:
    slept: list[float] = []
    open_ads(linkedin, slept=slept).prepare("vip")
    assert slept == [SETTLES]
    open_ads(linkedin, slept=slept).prepare("vip")
    assert slept == [SETTLES]
    (segment,) = linkedin.book.segments
    assert (segment.name, segment.source_id, segment.platform, segment.kind) == ("vip", "vip", PLATFORM, "USER")


def test_contacts_and_companies_have_audiences_of_their_own(linkedin: LinkedIn) -> None:
    open_ads(linkedin).prepare("vip")
    open_ads(linkedin, "companies").prepare("vip")
    assert [segment.kind for segment in linkedin.book.segments] == ["USER", "COMPANY"]


def test_names_of_any_kind(linkedin: LinkedIn) -> None:
    name = "Kunden & Interessenten (50 %), öffentlich? d'été: a+b #1"
    destination = open_ads(linkedin)
    destination.prepare(name)
    destination.send(name, entering(["ann@example.com"]))
    open_ads(linkedin).send(name, entering(["bob@example.com"]))
    assert linkedin.book.values(name) == {ANN, BOB} and len(linkedin.book.segments) == 1
    queries = [seen.path.partition("?")[2] for seen in linkedin.seen if seen.method == "GET"]
    assert all(re.fullmatch(r"([\w.~-]|%[0-9A-F]{2}|[&=])+", query, re.ASCII) for query in queries), "nothing that Rest.li reads as its own"
    assert destination.uri(name).startswith(f"https://www.linkedin.com/campaignmanager/accounts/{ACCOUNT}#Kunden%20")


def test_of_two_with_the_same_name_the_older_is_taken(linkedin: LinkedIn) -> None:
    linkedin.book.segments = [Segment(number, "vip", "USER", ACCOUNT, PLATFORM, "vip") for number in (9, 10, 100)]
    open_ads(linkedin).send("vip", entering(["ann@example.com"]))
    assert [len(segment.members) for segment in linkedin.book.segments] == [1, 0, 0]


def test_a_segment_of_another_platform_is_not_ours(linkedin: LinkedIn) -> None:
    linkedin.book.segments = [Segment(1, "vip", "USER", ACCOUNT, "ANOTHER", "vip"), Segment(2, "vip", "USER", ACCOUNT, PLATFORM, "")]
    open_ads(linkedin).send("vip", entering(["ann@example.com"]))
    assert [len(segment.members) for segment in linkedin.book.segments] == [0, 0, 1]


def test_finders_are_read_to_their_end(linkedin: LinkedIn) -> None:
    numbers = range(1000, 1250)
    linkedin.book.segments = [Segment(number, "vip", "COMPANY", ACCOUNT, PLATFORM, "vip") for number in numbers]
    linkedin.book.segments.insert(0, Segment(1, "vip", "USER", ACCOUNT, PLATFORM, "vip"))  # the finder shows the newest first
    open_ads(linkedin).prepare("vip")
    assert len(linkedin.book.segments) == 251


def test_a_new_audience_is_waited_for(linkedin: LinkedIn) -> None:
    linkedin.book.unlisted, linkedin.book.unseen = 3, 2
    slept: list[float] = []
    open_ads(linkedin, slept=slept).send("vip", entering(["ann@example.com"]))
    assert linkedin.book.values("vip") == {ANN} and len(linkedin.book.segments) == 1
    assert slept == [SETTLES] * 4 + [2.0, 5.0]


def test_a_new_audience_is_not_waited_for_without_end(linkedin: LinkedIn) -> None:
    linkedin.book.unlisted = 1000
    slept: list[float] = []
    with pytest.raises(NotApplied, match="not made the audience 'vip' yet"):
        open_ads(linkedin, slept=slept).prepare("vip")
    assert sum(slept) == 65
    linkedin.book.unlisted, linkedin.book.segments[0].unseen = 0, 1000
    destination = open_ads(linkedin, slept=slept)
    with pytest.raises(NotApplied, match="takes no members"):
        destination.send("vip", entering(["ann@example.com"]))
    linkedin.book.segments[0].unseen = 0
    destination.send("vip", entering(["ann@example.com"]))
    assert linkedin.book.values("vip") == {ANN} and len(linkedin.book.segments) == 1


@pytest.mark.parametrize("status", ["FAILED", "EXPIRED", "ERROR"])
def test_an_audience_that_is_dead_is_refused(linkedin: LinkedIn, status: str) -> None:
    open_ads(linkedin).prepare("vip")
    linkedin.book.segments[0].status = status
    with pytest.raises(DestinationRefused, match=status):
        open_ads(linkedin).prepare("vip")


@pytest.mark.parametrize("status", ["BUILDING", "READY", "UPDATING", "ARCHIVED"])
def test_members_may_be_sent_in_every_other_state(linkedin: LinkedIn, status: str) -> None:
    open_ads(linkedin).prepare("vip")
    linkedin.book.segments[0].status = status
    open_ads(linkedin).send("vip", entering(["ann@example.com"]))
    assert linkedin.book.values("vip") == {ANN}


def test_people_enter_are_updated_and_leave(linkedin: LinkedIn) -> None:
    destination = open_ads(linkedin)
    assert destination.send("vip", entering(["ann@example.com", "bob@example.com"])).rejected == ()
    ann = {"email": ANN, "first_name": "Ann", "last_name": "Lee", "title": "CTO", "company": "Acme", "country": "FR"}
    destination.send("vip", batch(Change("exited", {"email": BOB}), Change("updated", ann), Change("entered", {"email": EVE})))
    destination.send("vip", batch(Change("exited", {"email": EVE})))
    assert list(linkedin.book.held("vip").values()) == [
        {
            "action": "ADD",
            "userIds": [{"idType": "SHA256_EMAIL", "idValue": ANN}],
            "firstName": "Ann",
            "lastName": "Lee",
            "title": "CTO",
            "company": "Acme",
            "country": "FR",
        }
    ]


def test_each_way_to_tell_a_person(linkedin: LinkedIn) -> None:
    gaid = "cdda802e-fb9c-47ad-9866-0794d394c912"
    people = [
        {"email": ANN, "google_aid": gaid},
        {"email_sha256": BOB, "google_aid": None},
        {"google_aid": gaid.replace("c", "d")},
        {"first_name": "Eve", "last_name": "Ray", "email": ""},
    ]
    destination = open_ads(linkedin)
    assert destination.send("vip", batch(*(Change("entered", values) for values in people))).rejected == ()
    assert linkedin.book.values("vip") == {ANN, BOB}
    assert linkedin.book.values("vip", "GOOGLE_AID") == {gaid, gaid.replace("c", "d")}
    assert linkedin.book.values("vip", "name") == {"Eve Ray"}
    assert destination.send("vip", batch(*(Change("exited", values) for values in people))).rejected == ()
    assert linkedin.book.held("vip") == {}


def test_texts_are_cut_to_what_linkedin_takes_and_countries_are_codes(linkedin: LinkedIn) -> None:
    long = {"email": ANN, "first_name": "A" * 99, "last_name": "B" * 99, "title": "C" * 99, "company": "D" * 99, "country": "France"}
    assert open_ads(linkedin).send("vip", batch(Change("entered", long))).rejected == ()
    (sent,) = linkedin.book.held("vip").values()
    assert {name: len(value) for name, value in sent.items()} == {
        "action": 3,
        "userIds": 1,
        "firstName": 35,
        "lastName": 35,
        "title": 50,
        "company": 50,
    }


def test_companies(linkedin: LinkedIn) -> None:
    destination = open_ads(linkedin, "companies")
    companies = [
        {"company_name": "Acme", "website": "https://www.acme.com/en", "email_domain": "acme.org"},
        {"linkedin_id": "1337", "stock_symbol": "EVIL"},
        {"linkedin_id": "urn:li:organization:7", "linkedin_page": "https://www.linkedin.com/company/good"},
        {"website": "plain.example"},
    ]
    assert destination.send("accounts", batch(*(Change("entered", values) for values in companies))).rejected == ()
    assert linkedin.book.values("accounts", "companyWebsiteDomain", "COMPANY") == {"acme.com", "plain.example"}
    assert linkedin.book.values("accounts", "organizationUrn", "COMPANY") == {"urn:li:organization:1337", "urn:li:organization:7"}
    assert destination.send("accounts", batch(*(Change("exited", values) for values in companies[1:]))).rejected == ()
    assert linkedin.book.values("accounts", "companyName", "COMPANY") == {"Acme"}
    assert {seen.path for seen in linkedin.seen if "companies" in seen.path} == {"/rest/dmpSegments/10800/companies"}


def test_nothing_but_hashes_and_identifiers_leaves(linkedin: LinkedIn) -> None:
    changes = [
        Change("entered", {"email": "ann@example.com"}),
        Change("entered", {"email": ANN}),
        Change("entered", {"email_sha256": BOB.upper()}),
        Change("entered", {"email": None, "title": "CTO"}),
        Change("entered", {"first_name": "Eve"}),
    ]
    answered = open_ads(linkedin).send("vip", batch(*changes))
    assert answered.rejected == (
        Rejected(0, "not_sha256"),
        Rejected(2, "not_sha256"),
        Rejected(3, "no_identifier"),
        Rejected(4, "no_identifier"),
    )
    assert linkedin.book.values("vip") == {ANN}
    assert not any("ann@example.com" in seen.body for seen in linkedin.seen)


def test_a_batch_of_which_nobody_can_be_sent_sends_nothing(linkedin: LinkedIn) -> None:
    destination = open_ads(linkedin)
    destination.prepare("vip")
    assert len(destination.send("vip", batch(Change("entered", {"title": "CTO"}))).rejected) == 1
    assert linkedin.book.received == []


def test_members_are_rejected_one_by_one(linkedin: LinkedIn) -> None:
    linkedin.book.rejects = {
        ANN: {"status": 400, "code": "INVALID_ID", "message": f"{ANN} is wrong"},
        EVE: {"status": 422, "serviceErrorCode": 101},
    }
    changes = [Change("entered", {"title": "x"}), *entering([f"{name}@example.com" for name in ("ann", "bob", "eve")]).changes]
    answered = open_ads(linkedin).send("vip", batch(*changes))
    assert answered.rejected == (Rejected(0, "no_identifier"), Rejected(1, "invalid_id"), Rejected(3, "error_101"))
    assert linkedin.book.values("vip") == {BOB}
    linkedin.book.rejects = {ANN: {"status": 409, "code": f"about {ANN}"}}
    assert open_ads(linkedin).send("vip", entering(["ann@example.com"])).rejected == (Rejected(0, "status_409"),)


def test_where_linkedin_failed_for_everybody_nobody_is_rejected(linkedin: LinkedIn) -> None:
    linkedin.book.rejects = {ANN: {"status": 500}, BOB: {"status": 503}}
    destination = open_ads(linkedin)
    with pytest.raises(TransientError, match="every member"):
        destination.send("vip", entering(["ann@example.com", "bob@example.com"]))
    changes = entering(["ann@example.com", "bob@example.com", "eve@example.com"])
    assert destination.send("vip", changes).rejected == (Rejected(0, "status_500"), Rejected(1, "status_503"))


def test_as_many_as_linkedin_takes_in_one_call(linkedin: LinkedIn) -> None:
    most = _members(open_ads(linkedin).capabilities)
    assert open_ads(linkedin).send("vip", entering(f"{number}@example.com" for number in range(most))).rejected == ()
    assert (len(linkedin.book.held("vip")), len(linkedin.book.received)) == (5000, 1)


def test_a_batch_sent_twice_changes_nothing(linkedin: LinkedIn) -> None:
    destination = open_ads(linkedin)
    destination.send("vip", entering(["ann@example.com", "bob@example.com"]))
    again = batch(Change("exited", {"email": EVE}), Change("exited", {"email": BOB}), Change("entered", {"email": ANN}))
    for _ in range(3):
        assert destination.send("vip", again).rejected == ()
        assert linkedin.book.values("vip") == {ANN}
    assert destination.outcome("vip", again) is None


def test_every_request_says_what_linkedin_asks_for(linkedin: LinkedIn) -> None:
    open_ads(linkedin, api_version="202604").send("vip", entering(["ann@example.com"]))
    requests = [seen for seen in linkedin.seen if seen.path.startswith("/rest/")]
    assert [(seen.method, seen.path.partition("?")[0]) for seen in requests] == [
        ("GET", "/rest/dmpSegments"),
        ("POST", "/rest/dmpSegments"),
        ("GET", "/rest/dmpSegments"),
        ("POST", "/rest/dmpSegments/10800/users"),
    ]
    assert {seen.headers["linkedin-version"] for seen in requests} == {"202604"}
    assert {seen.headers["x-restli-protocol-version"] for seen in requests} == {"2.0.0"}
    assert [seen.headers.get("x-restli-method") for seen in requests] == [None, None, None, "BATCH_CREATE"]
    assert json.loads(requests[1].body)["account"] == f"urn:li:sponsoredAccount:{ACCOUNT}"


def test_one_access_token_serves_until_it_expires(linkedin: LinkedIn) -> None:
    destination = open_ads(linkedin)
    assert destination.credentials_expire is None
    destination.send("vip", entering(["ann@example.com"]))
    destination.send("vip", entering(["bob@example.com"]))
    assert linkedin.book.renewals == 1
    linkedin.book.expire_tokens()
    destination.send("vip", entering(["eve@example.com"]))
    assert linkedin.book.renewals == 2
    assert linkedin.book.values("vip") == {ANN, BOB, EVE}
    assert destination.credentials_expire is not None


def test_a_declared_access_token_is_used_as_it_is(linkedin: LinkedIn) -> None:
    open_ads(linkedin, renewable=False).send("vip", entering(["ann@example.com"]))
    assert linkedin.book.renewals == 0
    assert {seen.headers["authorization"] for seen in linkedin.seen} == {f"Bearer {ACCESS}"}


def test_what_is_declared_is_what_opens(linkedin: LinkedIn) -> None:
    for kind in ("contacts", "companies"):
        connection = CONNECTION.validate_python(linkedin.declared(kind))
        destination = open_audience(connection, Path(), linkedin.environ)
        assert destination.capabilities == TYPES[f"linkedin_{kind}"].capabilities
        assert destination.place == "linkedin://" + "/".join(connection.place(Path())[1:])
        destination.probe()
    assert linkedin.book.segments == []


def _members(capabilities: Capabilities) -> int:
    assert capabilities.members and capabilities.members.repeat is Repeat.HARMLESS
    return capabilities.members.batch_max


def test_a_slow_answer_is_waited_for(linkedin: LinkedIn) -> None:
    linkedin.troubles = [Trouble("slow", "/users", seconds=0.2)]
    assert open_ads(linkedin).send("vip", entering(["ann@example.com"])).rejected == ()


def test_logs_hold_neither_secrets_nor_members(linkedin: LinkedIn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    destination = open_ads(linkedin)
    destination.probe()
    destination.send("vip", entering(["ann@example.com"]))
    assert "dmpSegments" in caplog.text, "the client library logs its requests"
    shown = f"{caplog.text} {destination!r} {destination.place} {destination.uri('vip')}"
    assert not any(private in shown for private in (ACCESS, CLIENT, SECRET, REFRESH, ANN))
