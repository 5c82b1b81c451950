"""Encrypted deliveries: what the recipients get, what manifest and ledger say, and what happens when keys change."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdp_exports.delivery.adopting import adopt
from cdp_exports.delivery.outcome import Outcome
from cdp_exports.delivery.previewing import previews
from cdp_exports.delivery.replaying import replay
from cdp_exports.delivery.verifying import verify
from cdp_exports.encryption.encrypting import Encrypting
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError, DestinationRefused
from cdp_exports.ledger.ledger import Ledger
from cdp_exports.ledger.records import Delivery
from cdp_exports_tests.delivery.segment_world import SegmentWorld
from cdp_exports_tests.delivery.world import EXPORT, TIMES, World, hurry
from cdp_exports_tests.servers.gnupg import Keyring
from cdp_exports_tests.servers.seaweedfs import EXPORTER, Bucket

ROWS = [{"id": n, "v": f"value {n}"} for n in range(100)]


def encrypted_world(folder: Path, keyring: Keyring, *names: str, **declared: Any) -> World:
    """`keys/NAME.asc` of each name."""
    (folder / "keys").mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / "keys" / f"{name}.asc").write_bytes(keyring.public(name))
    world = World.create(folder, connection=connection(*names), **declared)
    world.write(ROWS)
    return world


def connection(*names: str, folder: str = "out") -> Mapping[str, Any]:
    return {"type": "local", "folder": folder, "encrypt_to": [f"keys/{name}.asc" for name in names]}


def committed(outcome: Outcome) -> Delivery:
    assert outcome.status == "committed", outcome.error
    assert outcome.delivery is not None
    return outcome.delivery


def stored(world: World, delivery: Delivery) -> bytes:
    [file] = delivery.files
    return b"".join(world.destination.stream(file.path) or ())


@pytest.mark.parametrize(
    ("format", "extension"),
    [
        ({"type": "parquet"}, ".parquet.pgp"),
        ({"type": "csv"}, ".csv.gz.pgp"),
        ({"type": "csv", "compression": "none"}, ".csv.pgp"),
        ({"type": "json"}, ".json.gz.pgp"),
    ],
    ids=str,
)
def test_each_recipient_decrypts_what_a_plain_export_delivers(
    keyring: Keyring, tmp_path: Path, format: dict[str, Any], extension: str
) -> None:
    world = encrypted_world(tmp_path / "a", keyring, "curve", "rsa", export={"format": format})
    plain = World.create(tmp_path / "b", export={"format": format})
    plain.write(ROWS)
    delivery = committed(world.deliver(TIMES[0]))
    content = stored(world, delivery)
    without = stored(plain, committed(plain.deliver(TIMES[0])))
    for recipient in ("curve", "rsa"):
        assert rows(keyring.without(recipient).decrypt(content), format) == rows(without, format)
    [file] = delivery.files
    assert (file.rows, file.bytes, file.sha256) == (100, len(content), hashlib.sha256(content).hexdigest())
    assert delivery.bytes == len(content)
    [manifest] = world.manifests()
    [entry] = manifest["files"]
    assert "." + entry["path"].partition(".")[2] == extension
    assert (entry["sha256"], entry["bytes"], entry["rows"]) == (file.sha256, file.bytes, 100)
    recipients = [keyring.fingerprint("curve"), keyring.fingerprint("rsa")]
    assert manifest["encryption"] == {"standard": "OpenPGP", "recipients": recipients}
    assert "encryption" not in plain.manifests()[0]
    assert b"value 7" not in content and keyring.gpg("--list-packets", given=content).count(b":compressed packet:") == 0


def rows(content: bytes, format: dict[str, Any]) -> Any:
    if format["type"] == "parquet":
        import polars as pl

        return pl.read_parquet(io.BytesIO(content)).sort("id").rows()
    text = content if format.get("compression") == "none" else gzip.decompress(content)
    return sorted(text.splitlines())


def test_a_key_in_an_environment_variable(keyring: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.create(tmp_path, connection={"type": "local", "folder": "out", "encrypt_to": [{"env": "PARTNER_KEY"}]})
    world.write(ROWS)
    outcome = world.deliver(TIMES[0])
    assert isinstance(outcome.error, DeclarationError) and "PARTNER_KEY is not set" in outcome.error.message
    monkeypatch.setenv("PARTNER_KEY", keyring.public("curve").decode())
    assert len(rows(keyring.decrypt(stored(world, committed(world.deliver(TIMES[0])))), {"type": "parquet"})) == 100


def test_segments_are_encrypted_too(keyring: Keyring, tmp_path: Path) -> None:
    (tmp_path / "partner.asc").write_bytes(keyring.public("rsa"))
    world = SegmentWorld.begin(tmp_path, connection={"encrypt_to": ["partner.asc"]})
    world.put("people", [{"id": n, "email": f"p{n}@x", "country": "FR", "value": 7, "seen": None, "opt_in": True} for n in range(5)])
    first = committed(world.deliver(TIMES[0]))
    assert [row[1] for row in rows(keyring.decrypt(stored(world, first)), {"type": "parquet"})] == [f"p{n}@x" for n in range(5)]
    world.remove("people", "id = 2")
    second = committed(world.deliver(TIMES[1]))
    [exit_row] = rows(keyring.decrypt(stored(world, second)), {"type": "parquet"})
    assert exit_row[:2] == (2, "p2@x") and second.sequence == 2


def test_to_a_bucket(keyring: Keyring, tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY_ID", EXPORTER.access_key_id)
    monkeypatch.setenv("TEST_SECRET", EXPORTER.secret_access_key)
    (tmp_path / "partner.asc").write_bytes(keyring.public("curve"))
    s3 = {"type": "s3", "bucket": bucket.name, "folder": bucket.folder, "endpoint_url": bucket.url, "encrypt_to": ["partner.asc"]}
    world = World.create(tmp_path, connection={**s3, "access_key_id": {"env": "TEST_KEY_ID"}, "secret_access_key": {"env": "TEST_SECRET"}})
    world.write(ROWS)
    delivery = committed(world.deliver(TIMES[0]))
    assert len(rows(keyring.decrypt(stored(world, delivery)), {"type": "parquet"})) == 100
    assert delivery.files[0].verified_by == "stored"


def test_several_files_are_each_a_message(keyring: Keyring, tmp_path: Path) -> None:
    world = encrypted_world(tmp_path, keyring, "curve", export={"format": {"type": "csv", "compression": "none", "max_rows_per_file": 30}})
    delivery = committed(world.deliver(TIMES[0]))
    assert [file.rows for file in delivery.files] == [30, 30, 30, 10]
    messages = [b"".join(world.destination.stream(file.path) or ()) for file in delivery.files]
    assert [len(keyring.decrypt(message).splitlines()) for message in messages] == [31, 31, 31, 11], "each with its header"


def test_verify_compares_the_bytes_and_says_what_it_cannot(keyring: Keyring, tmp_path: Path) -> None:
    world = encrypted_world(tmp_path, keyring, "curve")
    delivery = committed(world.deliver(TIMES[0]))
    [verdict] = verify(world.member)
    assert verdict.differences == ()
    assert verdict.notes == ("not compared with the source: only the owners of the keys can decrypt the files",)
    [file] = delivery.files
    path = tmp_path / "out" / file.path
    path.chmod(0o644)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    [verdict] = verify(world.member)
    assert "another content than was delivered" in verdict.differences[0]


def test_other_recipients_start_no_new_chain(keyring: Keyring, tmp_path: Path) -> None:
    world = encrypted_world(tmp_path, keyring, "curve", "rsa")
    world.declare("connections/out.yaml", connection("curve"))
    committed(world.deliver(TIMES[0]))
    world.declare("connections/out.yaml", connection("rsa"))
    world.write([{"id": 1000, "v": "new"}])
    second = committed(world.deliver(TIMES[1]))
    assert second.sequence == 2 and second.pin.recipients == (keyring.fingerprint("rsa"),)
    assert rows(keyring.without("rsa").decrypt(stored(world, second)), {"type": "parquet"}) == [(1000, "new", "insert")]
    with pytest.raises(AssertionError, match="No secret key"):
        keyring.without("curve").decrypt(stored(world, second))
    world.declare("connections/out.yaml", {"type": "local", "folder": "out"})
    world.write([{"id": 1001, "v": "new"}])
    third = committed(world.deliver(TIMES[2]))
    assert third.sequence == 3 and third.files[0].path.endswith(".parquet")


def test_a_replay_encrypts_again_and_copies_what_it_cannot_read(keyring: Keyring, tmp_path: Path) -> None:
    world = encrypted_world(tmp_path, keyring, "curve")
    first = committed(world.deliver(TIMES[0]))
    before = stored(world, first)
    at = ExportTime.parse(TIMES[0])
    again = replay(world.member, at, run_id="again", replace=True)
    assert stored(world, again) != before, "another session key"
    assert rows(keyring.decrypt(stored(world, again)), {"type": "parquet"}) == rows(keyring.decrypt(before), {"type": "parquet"})
    shutil.rmtree(tmp_path / "data" / "orders")
    world.write([{"id": 1, "v": "another table"}])
    world.__dict__.pop("context", None)
    copied = replay(world.member, at, run_id="copy", to="copies/1")
    assert stored(world, copied) == stored(world, again)
    assert copied.files[0].path.startswith("copies/1/") and copied.files[0].path.endswith(".parquet.pgp")


def test_an_expired_key_fails_before_anything_leaves_and_is_shown_in_the_plan(keyring: Keyring, tmp_path: Path) -> None:
    if not keyring.gpg("--list-keys", "--with-colons").count(b":expired out:"):
        keyring.make("expired out", expires="10d", at="20240101T000000")
    world = encrypted_world(tmp_path, keyring, "curve", "expired out")
    outcome = world.deliver(TIMES[0])
    assert isinstance(outcome.error, DestinationRefused) and "expired on 2024-01-11" in outcome.error.message
    assert world.data_files() == set() and world.manifests() == []
    [preview] = previews(world.context, EXPORT, ExportTime.parse(TIMES[0]), full=False)
    assert preview.error is not None and preview.error.message == outcome.error.message
    keyring.renew("expired out", "10d")
    (tmp_path / "keys" / "expired out.asc").write_bytes(keyring.public("expired out"))
    [preview] = previews(world.context, EXPORT, ExportTime.parse(TIMES[0]), full=False)
    assert len(preview.warnings) == 1 and "ask its owner for the renewed key" in preview.warnings[0]
    outcome = world.deliver(TIMES[0])
    committed(outcome)
    assert outcome.warnings == preview.warnings


def test_every_attempt_is_encrypted_to_the_pinned_keys(keyring: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = encrypted_world(tmp_path, keyring, "curve", "rsa")
    world.declare("connections/out.yaml", connection("curve"))
    monkeypatch.setattr(Encrypting, "finish", _refuse)
    assert world.deliver(TIMES[0]).status == "failed"
    monkeypatch.undo()
    assert world.data_files() == set()
    world.declare("connections/out.yaml", connection("rsa"))
    delivery = committed(world.deliver(TIMES[0]))
    assert delivery.pin.recipients == (keyring.fingerprint("curve"),)
    assert keyring.without("curve").decrypt(stored(world, delivery))


def test_a_pinned_key_that_is_gone(keyring: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = encrypted_world(tmp_path, keyring, "curve", "rsa")
    world.declare("connections/out.yaml", connection("curve"))
    monkeypatch.setattr(Encrypting, "finish", _refuse)
    assert world.deliver(TIMES[0]).status == "failed"
    monkeypatch.undo()
    (tmp_path / "keys" / "curve.asc").write_bytes(keyring.public("rsa"))
    world.__dict__.pop("context")
    outcome = world.deliver(TIMES[0])
    assert isinstance(outcome.error, DestinationRefused) and keyring.fingerprint("curve") in outcome.error.message
    assert world.data_files() == set()
    later = committed(world.deliver(TIMES[1]))
    assert later.pin.recipients == (keyring.fingerprint("rsa"),) and later.sequence == 1


def _refuse(_self: Encrypting) -> None:
    raise DestinationRefused("refused", next_step="")


def test_a_rebuilt_ledger_knows_the_recipients(keyring: Keyring, tmp_path: Path) -> None:
    world = encrypted_world(tmp_path, keyring, "curve")
    first = committed(world.deliver(TIMES[0]))
    context = replace(world.context, ledger=Ledger.open(f"sqlite:///{tmp_path}/new.db"))
    member = replace(world.member, context=context)
    assert adopt(member) == 1
    adopted = member.delivery(first.export_time)
    assert adopted is not None and adopted.pin.recipients == first.pin.recipients
    [verdict] = verify(member)
    assert verdict.differences == ()


def test_catalogs_with_keys_that_cannot_be_used_do_not_load(keyring: Keyring, tmp_path: Path) -> None:
    world = encrypted_world(tmp_path, keyring, "curve")
    (tmp_path / "keys" / "private.asc").write_bytes(keyring.private("rsa"))
    world.declare("connections/out.yaml", connection("curve", "private", "gone"))
    with pytest.raises(DeclarationError) as refused:
        world.deliver(TIMES[0])
    private, gone = list(refused.value.problems)
    assert private.file == gone.file == "catalog/connections/out.yaml"
    assert "holds a private key" in private.message and "gone.asc" in gone.message
    assert private.line is not None and gone.line == private.line + 1


@pytest.mark.parametrize("step", ["write", "close", "end_file"])
def test_killed_on_the_way(keyring: Keyring, tmp_path: Path, step: str) -> None:
    hurry()
    world = encrypted_world(tmp_path, keyring, "curve")
    command = [sys.executable, "-m", "cdp_exports_tests.delivery.crash", str(tmp_path), TIMES[0], "kill", step]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environ)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert world.manifests() == []
    delivery = committed(world.deliver_after_lease(TIMES[0]))
    assert world.data_files() == {file.path for file in delivery.files}, "what the killed run left is gone"
    assert len(rows(keyring.decrypt(stored(world, delivery)), {"type": "parquet"})) == 100
