"""The catalogue of destination types says what the table says, and its examples are connections."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from cdp_exports.catalog.destination_types import page, type_document
from cdp_exports.catalog.yaml import read
from cdp_exports.destinations.open import open_destination
from cdp_exports.entities.capabilities import Capabilities
from cdp_exports.entities.connection import CONNECTION, TYPES, Connection
from cdp_exports.errors import DeclarationError

PROJECT = Path(__file__).parents[2]


def test_the_page_is_up_to_date() -> None:
    written = (PROJECT / "docs" / "destination-types.md").read_text("utf-8")
    assert written == page(TYPES.values()), "run: python -m cdp_exports.catalog.destination_types > docs/destination-types.md"


@pytest.mark.parametrize("word", TYPES)
def test_the_example_is_a_connection_of_the_type(word: str) -> None:
    connection = CONNECTION.validate_python(read(TYPES[word].example.encode()))
    assert connection.type == word
    assert all(isinstance(part, str) for part in connection.place(Path("/srv")))


@pytest.mark.parametrize("word", TYPES)
def test_a_type_is_opened_by_what_it_names(word: str) -> None:
    """Nothing is sent yet: it opens, or says which secret is missing."""
    connection = CONNECTION.validate_python(read(TYPES[word].example.encode()))
    assert _opened(connection) in ("a secret is missing", TYPES[word].capabilities)


def _opened(connection: Connection) -> Capabilities | str:
    try:
        return open_destination(connection, Path("/nowhere"), {}).capabilities
    except DeclarationError as error:
        return "a secret is missing" if "is not set" in error.message else error.message


def test_keys_of_the_type_come_first_and_those_of_files_only_where_files_go() -> None:
    sftp, linkedin = type_document(TYPES["sftp"]), type_document(TYPES["linkedin_contacts"])
    assert [key["name"] for key in sftp["keys"]][:3] == ["type", "host", "user"]
    assert "encrypt_to" in {key["name"] for key in sftp["keys"]}
    assert "encrypt_to" not in {key["name"] for key in linkedin["keys"]}
    assert linkedin["required_fields"] == [["email"], ["email_sha256"], ["google_aid"], ["first_name", "last_name"]]
    assert (sftp["family"], linkedin["family"]) == ("files", "audiences")


def test_extras_exist() -> None:
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert {known.extra for known in TYPES.values() if known.extra} <= set(declared)
