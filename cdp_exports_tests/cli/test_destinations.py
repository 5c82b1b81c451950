"""`destinations`, as typed."""

from __future__ import annotations

import json

from click.testing import CliRunner

from cdp_exports.cli.json_shapes import SHAPES
from cdp_exports.cli.program import program
from cdp_exports.entities.connection import TYPES
from cdp_exports_tests.cli.shapes import same_keys


def _call(*arguments: str, status: int = 0) -> str:
    ended = CliRunner(env={"COLUMNS": "200"}, catch_exceptions=False).invoke(program, ["destinations", *arguments])
    assert ended.exit_code == status, ended.output
    return ended.output


def test_all_types() -> None:
    said = _call()
    assert all(word in said for word in TYPES)
    assert "pip install 'cdp-exports[s3]'" in said
    assert "300 to 100,000 members" in said


def test_one_type() -> None:
    said = _call("sftp")
    assert "host_key_fingerprint" in said
    assert "type: sftp\nhost: files.partner.com" in said
    assert "required" in said
    assert "first_name" in _call("linkedin_contacts")


def test_as_json() -> None:
    document = json.loads(_call("--json"))
    assert [one["type"] for one in document["types"]] == list(TYPES)
    assert same_keys(document, SHAPES["destinations"]) == []
    [one] = json.loads(_call("s3", "--json"))["types"]
    assert one == document["types"][1]


def test_no_such_type() -> None:
    assert "There is no type of destination 'stfp' (did you mean 'sftp'?)." in _call("stfp", status=2)
