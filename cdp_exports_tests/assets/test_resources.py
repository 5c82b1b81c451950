"""Connections as Dagster resources."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from dagster import EnvVar

from cdp_exports.assets.resources import (
    check_secrets,
    connection_resources,
    destination_resource,
    resource_type,
)
from cdp_exports.destinations import open as opening
from cdp_exports.entities.connection import TYPES
from cdp_exports.entities.local_connection import LocalConnection
from cdp_exports.entities.receiver import Receiver
from cdp_exports.entities.s3_connection import S3Connection
from cdp_exports.errors import DeclarationError
from cdp_exports_tests.assets.declared import catalog_at


def test_resources_have_the_fields_of_their_connections() -> None:
    ours, not_how_to_open = {"root"}, set(Receiver.model_fields)
    for word, known in TYPES.items():
        resource, connection = resource_type(word), known.connection
        assert set(resource.model_fields) - ours == set(connection.model_fields) - not_how_to_open
        for name in set(resource.model_fields) - ours:
            assert resource.model_fields[name].description == connection.model_fields[name].description


def test_a_local_resource_opens_its_folder(tmp_path: Path) -> None:
    resource = destination_resource(LocalConnection(type="local", folder="outbox"), tmp_path)
    destination = resource.process_config_and_initialize().open()
    assert destination.create("a/b.txt", b"x")
    assert (tmp_path / "outbox" / "a" / "b.txt").read_bytes() == b"x"


def test_secrets_are_read_when_the_run_begins_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[S3Connection] = []
    seen: list[str] = []

    def record(connection: S3Connection, root: Path, environ: Mapping[str, str]) -> None:
        opened.append(connection)
        assert connection.secret_access_key is not None
        seen.append(connection.secret_access_key.reveal(environ))

    monkeypatch.setattr(opening, "open_destination", record)
    monkeypatch.setenv("LAKE_SECRET", "wJalrXUtnFEMI")
    monkeypatch.setenv("LAKE_KEY", "AKIAIOSFODNN7")
    resource = connection_resources(catalog_at(tmp_path))["connection_lake"]
    assert resource.secret_access_key == EnvVar("LAKE_SECRET")
    initialized = resource.process_config_and_initialize()
    initialized.open()
    assert seen == ["wJalrXUtnFEMI"]
    assert "wJalrXUtnFEMI" not in repr(initialized) + str(initialized) + repr(opened)
    assert opened[0].region == "eu-west-3"


def test_a_missing_secret_is_named_before_anything_runs(tmp_path: Path) -> None:
    catalog = catalog_at(tmp_path)
    check_secrets(catalog, {"LAKE_KEY": "a", "LAKE_SECRET": "b"})
    with pytest.raises(DeclarationError, match="LAKE_SECRET is not set"):
        check_secrets(catalog, {"LAKE_KEY": "a"})
