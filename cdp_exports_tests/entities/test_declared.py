"""What a single object refuses, and that it never repeats a secret."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from cdp_exports.entities.dataset import Dataset, DeltaSource
from cdp_exports.entities.environment import Environment
from cdp_exports.entities.export import DatasetExport
from cdp_exports.entities.secret import Secret
from cdp_exports.errors import DeclarationError

EXPORT = {"kind": "dataset", "connection": "lake", "datasets": ["orders"]}
DATASET = {"source": {"format": "delta", "uri": "data/orders"}}
SOURCE = {"format": "delta", "uri": "data/orders"}


def test_lists_are_taken_for_tuples_and_items_stay_strict() -> None:
    assert DatasetExport.model_validate(EXPORT).members == ("orders",)
    assert Dataset.model_validate(DATASET | {"key": ["id"]}).key == ("id",)
    with pytest.raises(ValidationError):
        Dataset.model_validate(DATASET | {"key": [1]})
    with pytest.raises(ValidationError):
        DatasetExport.model_validate(EXPORT | {"active": "true"})


@pytest.mark.parametrize(
    "declared",
    [
        {"path": "{dataset_id}", "file_name": "orders_{export_time}"},
        {"path": "{dataset_id}", "file_name": "orders_{timestamp}"},
        {"path": "{year}/{month}/{day}", "file_name": "{hour}{minute}"},
        {"path": "{dataset_id}", "file_name": "latest", "overwrite": True},
        {"path": "{dataset_id}/{year}{month}", "file_name": "month", "overwrite": True},
    ],
)
def test_deliveries_in_one_folder(declared: dict[str, Any]) -> None:
    assert DatasetExport.model_validate(EXPORT | declared).path == declared["path"]


@pytest.mark.parametrize(
    ("model", "declared", "says"),
    [
        (DatasetExport, EXPORT | {"datasets": []}, "at least 1 item"),
        (DatasetExport, EXPORT | {"datasets": ["a", "b", "a"]}, "'a' is named twice"),
        (DatasetExport, EXPORT | {"mode": "full", "changes": "all"}, "no meaning with `mode: full`"),
        (DatasetExport, EXPORT | {"path": "{dataset_id}"}, "would share a folder"),
        (DatasetExport, EXPORT | {"path": "{dataset_id}/{year}{month}{day}", "file_name": "{hour}"}, "would share a folder"),
        (DatasetExport, EXPORT | {"overwrite": True}, "`overwrite` has no meaning"),
        (DatasetExport, EXPORT | {"path": "in", "file_name": "{timestamp}", "overwrite": True}, "`overwrite` has no meaning"),
        (DatasetExport, EXPORT | {"path": "in", "overwrite": True}, "always the same"),
        (DatasetExport, EXPORT | {"path": "{segment_id}/{export_time}"}, "write {dataset_id}"),
        (DatasetExport, EXPORT | {"path": "../{export_time}"}, "not allowed"),
        (DatasetExport, EXPORT | {"file_name": "a/b"}, "holds no /"),
        (DatasetExport, EXPORT | {"owners": ["jane"]}, "e-mail address or `team:name`"),
        (DatasetExport, EXPORT | {"owners": ["team:"]}, "e-mail address or `team:name`"),
        (DatasetExport, EXPORT | {"connection": "../lake"}, "pattern"),
        (Dataset, DATASET | {"key": ["id", "id"]}, "'id' is named twice"),
        (Dataset, DATASET | {"key": [""]}, "at least 1 character"),
        (Dataset, DATASET | {"asset_key": []}, "at least one part"),
        (DeltaSource, SOURCE | {"uri": "~/orders"}, "write the path in full"),
        (DeltaSource, SOURCE | {"uri": "a\0b"}, "control characters"),
        (Environment, {"name": "a", "time_zone": "Europe/Pari"}, "did you mean 'Europe/Paris'"),
        (Environment, {"name": "a", "time_zone": "Europe"}, "no time zone"),
        (Environment, {"name": "a", "time_zone": "../etc"}, "no time zone"),
        (Environment, {"name": "Acme"}, "pattern"),
    ],
)
def test_refused(model: type[BaseModel], declared: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(declared)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "declared",
    [
        EXPORT | {"owners": ["jane.doe@acme.com", "team:data"]},
        EXPORT | {"mode": "full", "changes": "added"},
        EXPORT | {"format": {"type": "csv", "delimiter": "\t"}},
    ],
)
def test_accepted(declared: dict[str, Any]) -> None:
    assert DatasetExport.model_validate(declared)


@pytest.mark.parametrize("owner", ["jane.doe@acme.com", "team:data", "_a@b-c.io"])
def test_dagster_accepts_the_owners(owner: str) -> None:
    from dagster._core.definitions.utils import is_valid_owner

    assert DatasetExport.model_validate(EXPORT | {"owners": [owner]}).owners == (owner,)
    assert is_valid_owner(owner)


@pytest.mark.parametrize(
    ("model", "declared"),
    [
        (Environment, {"name": "a", "ledger": "postgresql://user:hunter2@db/ledger"}),
        (Environment, {"name": "a", "ledger": {"env": "postgresql://user:hunter2@db/ledger"}}),
        (Environment, {"name": "a", "ledger": {"env": "LEDGER", "password": "hunter2"}}),
        (Environment, {"name": "a", "ledger": ["hunter2"]}),
        (DeltaSource, SOURCE | {"options": {"aws_secret_access_key": "hunter2"}}),
        (DeltaSource, SOURCE | {"options": {"AWS_SESSION_TOKEN": "hunter2"}}),
        (DeltaSource, SOURCE | {"options": {"azure_storage_account_key": "hunter2"}}),
        (DeltaSource, SOURCE | {"options": {"proxy_url": "http://jane:hunter2@proxy"}}),
        (DeltaSource, {"format": "delta", "uri": "s3://key:hunter2@bucket/orders"}),
    ],
)
def test_a_literal_secret_is_refused_and_never_repeated(model: type[BaseModel], declared: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(declared)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)


def test_options_by_reference_and_plain() -> None:
    options = {"aws_region": "eu-west-3", "aws_access_key_id": {"env": "KEY"}}
    read = DeltaSource.model_validate(SOURCE | {"options": options})
    assert read.options == {"aws_region": "eu-west-3", "aws_access_key_id": Secret(env="KEY")}


def test_a_secret_is_read_when_used() -> None:
    assert Secret(env="TOKEN").reveal({"TOKEN": "hunter2"}) == "hunter2"
    with pytest.raises(DeclarationError, match="TOKEN is not set"):
        Secret(env="TOKEN").reveal({"TOKEN": ""})
    assert "hunter2" not in repr(Secret(env="TOKEN"))
