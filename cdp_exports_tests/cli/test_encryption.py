"""Encrypted exports on the command line: the keys in the plan, and what `verify` cannot compare."""

from __future__ import annotations

from cdp_exports.cli.json_shapes import SHAPES
from cdp_exports_tests.cli.conftest import Project
from cdp_exports_tests.cli.shapes import same_keys
from cdp_exports_tests.servers.gnupg import Keyring


def test_the_plan_shows_each_key_with_its_expiry(project: Project, keyring: Keyring) -> None:
    (project.root / "partner.asc").write_bytes(keyring.public("curve", "rsa"))
    project.declare("connections/outbox.yaml", "type: local\nfolder: outbox\nencrypt_to: [partner.asc]\n")
    document = project.json("plan", "weekly")
    assert same_keys(document, SHAPES["plan"]) == []
    curve, rsa = document["members"][0]["encrypted_to"]
    assert curve == {"fingerprint": keyring.fingerprint("curve"), "expires": None}
    assert rsa["fingerprint"] == keyring.fingerprint("rsa")
    shown = " ".join(project.call("plan", "weekly").stdout.split())
    assert f"encrypted to {keyring.fingerprint('curve')}, which never expires" in shown
    assert f"encrypted to {keyring.fingerprint('rsa')}, which expires on {rsa['expires'][:10]}" in shown
    project.json("run", "weekly")
    assert "only the owners of the keys can decrypt the files" in " ".join(project.call("verify", "weekly").output.split())
