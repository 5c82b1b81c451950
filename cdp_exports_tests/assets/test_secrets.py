"""Resolved secrets stay in the memory of the run that uses them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest
from dagster import AssetKey, DagsterInstance, DagsterRunStatus

from cdp_exports.catalog.load import load
from cdp_exports.definitions import build_definitions
from cdp_exports_tests.servers.seaweedfs import EXPORTER, Bucket, Identity

ORDERS = AssetKey(["dataset_exports", "orders_to_lake", "orders"])
TIME = "202601010000"


def declare(root: Path, bucket: Bucket) -> Path:
    catalog = root / "catalog"
    for name, text in {
        "environment.yaml": "name: acme\n",
        "datasets/orders.yaml": "source: {format: delta, uri: data/orders}\nkey: [id]\n",
        "connections/lake.yaml": (
            f"type: s3\nbucket: {bucket.name}\nfolder: {bucket.folder}\nendpoint_url: {bucket.url}\nregion: us-east-1\n"
            "access_key_id: {env: LAKE_KEY}\nsecret_access_key: {env: LAKE_SECRET}\n"
        ),
        "exports/orders_to_lake.yaml": "kind: dataset\nconnection: lake\ndatasets: [orders]\n",
    }.items():
        path = catalog / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return catalog


def files_holding(secret: str, folder: Path) -> Iterator[Path]:
    """Every file with the secret in it, as text or as UTF-16."""
    forms = [secret.encode(), secret.encode("utf-16-le")]
    for path in folder.rglob("*"):
        if path.is_file() and any(form in path.read_bytes() for form in forms):
            yield path


@pytest.mark.parametrize(
    ("identity", "status"),
    [(EXPORTER, DagsterRunStatus.SUCCESS), (Identity(EXPORTER.access_key_id, "not-the-right-secret"), DagsterRunStatus.FAILURE)],
    ids=["right", "wrong"],
)
def test_no_secret_is_kept(
    tmp_path: Path,
    home: Path,
    stored_instance: DagsterInstance,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    identity: Identity,
    status: DagsterRunStatus,
) -> None:
    deltalake.write_deltalake(tmp_path / "data" / "orders", pa.table({"id": [1, 2, 3]}))
    monkeypatch.setenv("LAKE_KEY", identity.access_key_id)
    monkeypatch.setenv("LAKE_SECRET", identity.secret_access_key)
    stored_instance.add_dynamic_partitions("acme/orders_to_lake", [TIME])
    job = build_definitions(load(declare(tmp_path, bucket))).resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=stored_instance, partition_key=TIME, asset_selection=[ORDERS], raise_on_error=False)
    run = stored_instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status == status
    assert bool(bucket.keys()) is (status == DagsterRunStatus.SUCCESS)
    assert list(files_holding("cdp/export", home)), "the search itself finds what Dagster keeps"
    printed = capfd.readouterr()
    for secret in (identity.secret_access_key, identity.access_key_id):
        assert list(files_holding(secret, tmp_path)) == []
        assert secret not in printed.out + printed.err
