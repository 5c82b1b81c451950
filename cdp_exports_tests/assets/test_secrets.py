"""Resolved secrets stay in the memory of the run that uses them: none in Dagster's storage, the ledger, what is delivered, logs, errors."""

from __future__ import annotations

import base64
import logging
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import deltalake
import pyarrow as pa
import pytest
import yaml
from dagster import AssetKey, DagsterInstance, DagsterRunStatus

from cdp_exports.catalog.load import load
from cdp_exports.definitions import build_definitions
from cdp_exports_tests.assets.secrets_used import WAYS, SignIn, holds
from cdp_exports_tests.servers.openssh import Home

ORDERS = AssetKey(["dataset_exports", "orders_out", "orders"])
TIME = "202601010000"


@pytest.fixture
def home_of_sftp(openssh) -> Home:
    """`home` is Dagster's here."""
    return openssh.home()


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def sign_in(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SignIn:
    return request.param(request, tmp_path_factory.mktemp("keys"))


@pytest.mark.parametrize("ends", ["delivered", "wrong secret", "nowhere"])
def test_no_secret_is_kept(
    ends: str,
    sign_in: SignIn,
    tmp_path: Path,
    home: Path,
    stored_instance: DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    environ = sign_in.wrong if ends == "wrong secret" else sign_in.environ
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.DEBUG)
    _declare(tmp_path, {**sign_in.declared, **(sign_in.nowhere if ends == "nowhere" else {})})
    stored_instance.add_dynamic_partitions("acme/orders_out", [TIME])

    job = build_definitions(load(tmp_path / "catalog")).resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=stored_instance, partition_key=TIME, asset_selection=[ORDERS], raise_on_error=False)

    run = stored_instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status == (DagsterRunStatus.SUCCESS if ends == "delivered" else DagsterRunStatus.FAILURE)
    delivered = sign_in.place.files()
    assert bool(delivered) is (ends == "delivered")

    secrets = sign_in.told(environ)
    assert secrets
    assert _files_holding(["cdp/export"], home), "the search itself finds what Dagster keeps"
    ledger = {file.name for file in home.glob("ledger.db*")}
    assert ledger & {file.name for file in _files_holding(["orders_out"], home)}, "and what the ledger keeps"
    assert _files_holding([*secrets, *filter(None, [sign_in.identifier])], tmp_path) == []
    store = sign_in.place.open()
    for path in delivered:
        assert not holds(store.read(path) or b"", secrets)
    printed = capfd.readouterr()
    assert caplog.messages
    said = "\n".join([printed.out, printed.err, *caplog.messages, *(str(event) for event in result.all_events)])
    assert not holds(said.encode(), secrets)


def _declare(root: Path, connection: dict[str, object]) -> None:
    deltalake.write_deltalake(root / "data" / "orders", pa.table({"id": [1, 2, 3]}))
    for name, declared in {
        "environment.yaml": {"name": "acme"},
        "datasets/orders.yaml": {"source": {"format": "delta", "uri": "data/orders"}, "key": ["id"]},
        "connections/out.yaml": {name: value for name, value in connection.items() if value is not None},
        "exports/orders_out.yaml": {"kind": "dataset", "connection": "out", "datasets": ["orders"]},
    }.items():
        path = root / "catalog" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(declared), encoding="utf-8")


def _files_holding(secrets: Sequence[str], place: Path) -> list[Path]:
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    return [path for path in files if holds(path.read_bytes(), secrets)]


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
def test_the_search_finds_every_form(before: str) -> None:
    secret = "s3cr+t/of=exporter"
    for form in (secret, quote(secret, safe=""), base64.b64encode((before + secret + "after").encode()).decode()):
        assert holds(f"{before}{form}".encode(), [secret])
    assert not holds(base64.b64encode(b"something else altogether"), [secret])
