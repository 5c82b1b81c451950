"""What the commands tell of segments: their numbers, their limits, and what became of one profile."""

from __future__ import annotations

from typing import Any

import pytest

from cdp_exports.cli.json_shapes import SHAPES
from cdp_exports_tests.cli.conftest import Project
from cdp_exports_tests.cli.people import update, with_people
from cdp_exports_tests.cli.shapes import same_keys


@pytest.fixture
def people(project: Project) -> Project:
    return with_people(project)


def _plan(people: Project, *arguments: str, status: int = 0) -> dict[str, dict[str, Any]]:
    document = people.json("plan", *arguments, status=status)
    assert same_keys(document, SHAPES["plan, of segments"]) == []
    return {member["member"]: member for member in document["members"]}


def test_both_families_are_listed_apart(people: Project) -> None:
    document = people.json("list")
    assert same_keys(document, SHAPES["list"]) == []
    kinds = {export["export"]: (export["kind"], export["changes"]) for export in document["exports"]}
    assert kinds["profiles_to_lake"] == ("dataset", "all")
    assert kinds["vip_to_crm"] == ("segment", None)
    shown = people.call("list").stdout
    assert shown.index("Dataset exports") < shown.index("profiles_to_lake") < shown.index("Profile exports") < shown.index("vip_to_crm")
    assert "Profile exports" not in people.call("list", "--search", "profiles_to_lake").stdout
    assert len(people.json("list", "--search", "LOCAL")["exports"]) == 6


def test_a_plan_counts_before_anything_is_sent(people: Project) -> None:
    vip = _plan(people, "vip_to_crm")["vip"]
    assert (vip["increment"], vip["way"], vip["reason"], vip["rows"]) == ("full", None, "first delivery", 2)
    left_out = {"no_consent": 1, "suppressed": 1, "missing:EMAIL": 1, "duplicate": 1}
    assert vip["funnel"] == {"members": 6, "without_contact": 0, "rows": 6, "left_out": left_out, "deliverable": 2}
    assert vip["limits"] == [{"kind": "audience", "bound": "max", "count": 2, "limit": 4, "percent": 50.0, "state": "within"}]
    assert list((people.root / "crm").glob("**/_manifest")) == []
    assert people.json("history")["entries"] == []
    at = people.json("run", "vip_to_crm")["export_time"]
    update(people, "profile_id = 2", city="'Paris'")
    update(people, "profile_id = 1", spent="1.0")
    planned = _plan(people, "vip_to_crm")
    vip, lyon = planned["vip"], planned["lyon"]
    assert (vip["increment"], vip["way"], vip["previous_export_time"]) == ("changes", "touched", at)
    # 7 has the address of 1, who was sent in its place
    assert vip["movement"] == {"before": 2, "entered": 1, "updated": 1, "exited": 1, "held": 2, "exits": {"left_segment": 1}}
    assert (lyon["way"], lyon["rows"]) == ("compared", 0)
    shown = people.call("plan", "vip_to_crm").stdout
    for word in ("touched", "compared", vip["reason"], f"since {at}", "no_consent", "2 of at most 4 (50 %)", "left_segment 1"):
        assert word in shown


def test_limits_that_are_near_or_broken(people: Project) -> None:
    people.declare("exports/vip_full.yaml", _full("limits: {audience: {max: 4}, delivery: {min: 2}}\n"))
    near = _plan(people, "vip_full")["vip"]
    assert [(limit["kind"], limit["bound"], limit["state"]) for limit in near["limits"]] == [
        ("audience", "max", "near"),
        ("delivery", "min", "within"),
    ]
    assert near["warnings"] == ["Near its limit: 4 members the receiver would hold, of at most 4 (100%)."]
    ended = people.json("run", "vip_full")
    assert same_keys(ended["members"][0]["limits"], SHAPES["plan, of segments"]["members"][0]["limits"]) == []
    people.declare("exports/vip_full.yaml", _full("limits: {audience: {max: 3}}\n"))
    broken = _plan(people, "vip_full", status=3)["vip"]
    assert (broken["error"]["code"], broken["error"]["reason"], broken["funnel"]["deliverable"]) == ("skipped", "over_limit", 4)
    shown = people.call("plan", "vip_full")
    assert shown.exit_code == 3
    assert "4 of at most 3 (133.3 %), too many" in shown.stdout
    assert people.json("run", "vip_full", status=3)["members"][0]["error"]["reason"] == "over_limit"
    people.declare("exports/vip_full.yaml", _full("limits: {audience: {min: 5}}\n"))
    assert _plan(people, "vip_full", status=3)["vip"]["error"]["reason"] == "below_minimum"


def _full(more: str) -> str:
    fields = "fields: [{from: email, required: true}]\ndedupe_by: [email]\n"
    return f"kind: segment\nconnection: lake\nsegments: [vip]\nmode: full\npath: full/{{segment_id}}/{{export_time}}\n{fields}{more}"


def test_history_shows_what_became_of_the_members(people: Project) -> None:
    people.json("run", "vip_to_crm")
    update(people, "profile_id = 1", opted_in="false")
    people.json("run", "vip_to_crm", "--member", "vip")
    people.json("run", "profiles_to_lake")
    of_segments = people.json("history", "vip_to_crm")
    assert same_keys(of_segments, SHAPES["history, of segments"]) == []
    newest = of_segments["entries"][0]
    assert (newest["kind"], newest["way"], newest["movement"]["exits"]) == ("segment", "touched", {"no_consent": 1})
    assert same_keys(people.json("history", "profiles_to_lake"), SHAPES["history"]) == []
    shown = people.call("history").stdout
    for word in ("Dataset exports", "Profile exports", "left out: no_consent 2", "2 of 6", "1 / 0 / 1", "exits: no_consent 1."):
        assert word in shown
    people.json("run", "vip_to_crm", "--at", "202601010000", status=3)
    assert people.json("history", "vip_to_crm", "--limit", "1")["entries"][0]["kind"] == "segment"


def test_show_a_segment(people: Project) -> None:
    at = people.json("run", "vip_to_crm")["export_time"]
    vip = people.json("show", "vip")
    assert same_keys(vip, SHAPES["show, of a segment"]) == []
    assert (vip["members"], vip["versions"], vip["datasets"]) == (6, {"profiles": 0}, ["profiles"])
    assert '"profiles"."spent" > 100' in vip["sql"]
    assert [(export["export"], export["held"], export["last_export_time"]) for export in vip["exports"]] == [
        ("vip_full", None, None),
        ("vip_to_crm", 2, at),
        ("vip_to_lake", None, None),
    ]
    assert vip["exports"][1]["limits"] == [
        {"kind": "audience", "bound": "max", "count": 6, "limit": 4, "percent": 150.0, "state": "broken"}
    ]
    shown = people.call("show", "lyon").stdout
    for word in ("SELECT", "'Lyon'", "2 of at most 4 (50 %)", "2, from profiles 0"):
        assert word in shown
    (people.root / "data" / "accounts").rename(people.root / "gone")
    gone = people.json("show", "large")
    assert (gone["members"], gone["error"]["code"]) == (None, "source_unreadable")
    assert "cannot be counted" in people.call("show", "large").stdout


def test_show_an_export_of_segments(people: Project) -> None:
    people.json("run", "vip_to_crm", "--member", "vip")
    document = people.json("show", "vip_to_crm")
    assert same_keys(document, SHAPES["show"]) == []
    assert [(chain["member"], chain["way"]) for chain in document["chains"]] == [("vip", "touched"), ("lyon", "compared")]
    shown = people.call("show", "vip_to_crm").stdout
    for word in ("sends: entered, updated, exited", "EMAIL, city", "none yet", "lyon is a query"):
        assert word in shown


def test_a_name_of_both_kinds(people: Project) -> None:
    people.declare("exports/vip.yaml", "kind: dataset\nconnection: lake\ndatasets: [accounts]\n")
    assert people.call("show", "vip").exit_code == 2
    assert people.json("show", "segments/vip")["type"] == "segment"
    assert people.json("show", "exports/vip")["type"] == "export"
    unknown = people.call("show", "vip_to_crn")
    assert unknown.exit_code == 2
    assert "'vip_to_crm'" in unknown.stderr
    assert "'large'" in people.call("show", "larg").stderr


def _explain(people: Project, *arguments: str) -> dict[str, list[tuple[Any, ...]]]:
    document = people.json("explain", *arguments)
    assert same_keys(document, SHAPES["explain"]) == []
    return {
        member["member"]: [(fate["what"], fate["reason"], fate["known_by"]) for fate in member["deliveries"]]
        for member in document["members"]
    }


def test_explain_from_the_state_folder(people: Project) -> None:
    assert _explain(people, "vip_to_crm", "1") == {"vip": [], "lyon": []}
    assert "Nothing was delivered yet." in people.call("explain", "vip_to_crm", "1").stdout
    at = people.json("run", "vip_to_crm")["export_time"]
    update(people, "profile_id = 1", spent="1.0")
    update(people, "profile_id = 2", city="'Paris'")
    update(people, "profile_id = 3", opted_in="false")
    people.delete("profiles", "profile_id = 6")
    people.json("run", "vip_to_crm")
    known = {
        "1": [("exited", "left_segment"), ("entered", None)],
        "2": [("updated", None), ("entered", None)],
        "3": [("not_a_member", None), ("not_a_member", None)],
        "4": [("left_out", "no_consent")] * 2,
        "5": [("left_out", "suppressed")] * 2,
        "6": [("not_in_dataset", None), ("left_out", "missing:EMAIL")],
        "7": [("entered", None), ("left_out", "duplicate")],
        "99": [("not_in_dataset", None)] * 2,
    }
    for key, fates in known.items():
        assert _explain(people, "vip_to_crm", key, "--member", "vip")["vip"] == [(*fate, "state") for fate in fates]
    assert _explain(people, "vip_to_crm", "3")["lyon"] == [("exited", "no_consent", "state"), ("entered", None, "state")]
    assert _explain(people, "vip_to_crm", "2", "--at", at, "--member", "vip")["vip"] == [("entered", None, "state")]
    assert len(_explain(people, "vip_to_crm", "2", "--limit", "1")["vip"]) == 1
    shown = people.call("explain", "vip_to_crm", "3", "--member", "lyon").stdout
    for word in ("vip_to_crm/lyon: profile_id 3", "exited", "no_consent", "the state folder"):
        assert word in shown


def test_explain_says_what_was_not_sent_as_declared(people: Project) -> None:
    people.json("run", "vip_to_lake")
    update(people, "profile_id = 2", city="'Paris'")
    people.json("run", "vip_to_lake")
    (member,) = people.json("explain", "vip_to_lake", "2")["members"]
    assert [(fate["what"], fate["sent"]) for fate in member["deliveries"]] == [("updated", False), ("entered", True)]
    assert "updated (not sent, as declared)" in people.call("explain", "vip_to_lake", "2").stdout


def test_explain_contacts_of_accounts(people: Project) -> None:
    people.json("run", "large_contacts")
    (member,) = people.json("explain", "large_contacts", "1")["members"]
    assert [(fate["contact"], fate["what"]) for fate in member["deliveries"]] == [
        ({"contact_id": "10"}, "entered"),
        ({"contact_id": "11"}, "entered"),
    ]
    assert _explain(people, "large_contacts", "1", "11")["large"] == [("entered", None, "state")]
    assert _explain(people, "large_contacts", "2")["large"] == [("left_out", "without_contact", "state")]
    assert _explain(people, "large_contacts", "3")["large"] == [("not_a_member", None, "state")]


def test_explain_full_exports(people: Project) -> None:
    people.json("run", "vip_full")
    assert _explain(people, "vip_full", "2")["vip"] == [("entered", None, "files")]
    assert _explain(people, "vip_full", "4")["vip"] == [("left_out", "no_consent", "evaluation")]
    assert _explain(people, "vip_full", "3")["vip"] == [("not_a_member", None, "evaluation")]
    update(people, "profile_id = 2", opted_in="false")
    update(people, "profile_id = 4", opted_in="true")
    assert _explain(people, "vip_full", "2")["vip"] == [("entered", None, "files")]
    assert _explain(people, "vip_full", "4")["vip"] == [("left_out", "consent_or_suppression", "evaluation")]


def test_explain_datasets(people: Project) -> None:
    people.json("run", "profiles_to_lake")
    update(people, "profile_id = 2", city="'Paris'")
    people.delete("profiles", "profile_id = 1")
    write_more(people)
    people.json("run", "profiles_to_lake")
    known = {
        "1": ["deleted", "inserted"],
        "2": ["updated", "inserted"],
        "3": ["unchanged", "inserted"],
        "8": ["inserted", "not_in_dataset"],
    }
    for key, fates in known.items():
        assert _explain(people, "profiles_to_lake", key)["profiles"] == [(fate, None, "table") for fate in fates]


def write_more(people: Project) -> None:
    from deltalake import write_deltalake
    from polars import DataFrame

    row = DataFrame([(8, "hal@example.org", "Lyon", 1.0, True)], schema=["profile_id", "email", "city", "spent", "opted_in"], orient="row")
    write_deltalake(str(people.root / "data" / "profiles"), row, mode="append")


def test_datasets_of_people_who_must_consent(people: Project) -> None:
    (planned,) = people.json("plan", "profiles_to_crm")["members"]
    assert (planned["rows"], planned["left_out"]) == (5, {"no_consent": 1, "suppressed": 1})
    assert "no_consent" in people.call("plan", "profiles_to_crm").stdout
    assert "left out: no_consent 1, suppressed 1." in people.call("run", "profiles_to_crm").stdout
    update(people, "profile_id = 1", opted_in="false")
    people.json("run", "profiles_to_crm")
    known = {
        "1": [("deleted", "no_consent"), ("inserted", None)],
        "4": [("left_out", "no_consent")] * 2,
        "99": [("not_in_dataset", None)] * 2,
    }
    for key, fates in known.items():
        assert _explain(people, "profiles_to_crm", key)["profiles"] == [(*fate, "state") for fate in fates]
    shown = people.call("history", "profiles_to_crm").stdout
    assert "left out: no_consent 1, suppressed 1." in shown
    assert "left out: no_consent 2, suppressed 1; exits: no_consent 1." in shown
    assert people.call("show", "profiles_to_crm").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["vip_to_crm", "secret-key"], "Value 1 of the key is no"),
        (["vip_to_crm", "4711", "4712"], "has the columns profile_id; 2 values were given"),
        (["large_contacts", "4711", "4712", "4713"], "account_id, contact_id"),
        (["vip_to_crm", "4711", "--at", "202601010000"], "no committed delivery at 202601010000"),
        (["vip_to_crm", "4711", "--member", "vi"], "'vip'"),
        (["vip_to_cr", "4711"], "'vip_to_crm'"),
    ],
)
def test_explain_mistakes_never_repeat_the_key(people: Project, arguments: list[str], said: str) -> None:
    people.json("run", "vip_to_crm")
    ended = people.call("explain", *arguments)
    assert ended.exit_code == 2
    assert said in ended.stderr
    assert all(word not in ended.output for word in ("secret-key", "4711", "4712", "4713"))


def test_an_import_that_would_find_nobody(people: Project) -> None:
    people.declare(
        "exports/to_newsletter.yaml",
        "kind: segment\nconnection: crm\nsegments: [vip]\npreset: oracle_eloqua\nfields: [{from: city}]\n",
    )
    for command in ("plan", "show"):
        [sentence] = people.json(command, "to_newsletter")["advice"]
        assert sentence.startswith("Oracle Eloqua knows people by the e-mail address (`Email Address`)")
        shown = people.call(command, "to_newsletter").stdout
        assert shown.count("Oracle Eloqua knows") == 1
    assert people.json("show", "vip_to_crm")["advice"] == []
