"""Which keys are taken, as GnuPG writes them, and what is said of the others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cdp_exports.encryption.encrypting import Encrypting
from cdp_exports.encryption.keys import PublicKey, expiring, read_keys, refuse_expired
from cdp_exports.entities.secret import Secret
from cdp_exports.errors import DeclarationError, DestinationRefused
from cdp_exports_tests.servers.gnupg import Keyring

NOW = datetime.now(UTC)
LONG_AGO = "20240101T000000"


def read(folder: Path, *contents: bytes, now: datetime = NOW) -> tuple[PublicKey, ...]:
    for index, content in enumerate(contents):
        (folder / f"{index}.key").write_bytes(content)
    return read_keys([f"{index}.key" for index in range(len(contents))], folder, {}, now)


def encrypted(keys: tuple[PublicKey, ...], content: bytes) -> bytes:
    pieces: list[bytes] = []
    encrypting = Encrypting(keys, pieces.append)
    encrypting.write(content)
    encrypting.finish()
    return b"".join(pieces)


@pytest.mark.parametrize("armor", [True, False], ids=["armored", "binary"])
def test_several_keys_in_one_file_or_in_several_each_once(keyring: Keyring, tmp_path: Path, armor: bool) -> None:
    curve, rsa = keyring.public("curve", armor=armor), keyring.public("rsa", armor=armor)
    fingerprints = [keyring.fingerprint("curve"), keyring.fingerprint("rsa")]
    assert [key.fingerprint for key in read(tmp_path, curve, rsa, curve)] == fingerprints
    assert [key.fingerprint for key in read(tmp_path, curve + rsa)] == fingerprints
    assert [key.fingerprint for key in read(tmp_path, keyring.public("curve", "rsa", armor=armor))] == fingerprints


def test_a_key_in_an_environment_variable(keyring: Keyring, tmp_path: Path) -> None:
    text = keyring.public("curve").decode()
    for written in (text, text.replace("\n", "\\n"), text.replace("\n", "\r\n")):
        [key] = read_keys([Secret(env="PARTNER")], tmp_path, {"PARTNER": written}, NOW)
        assert key.fingerprint == keyring.fingerprint("curve")
    with pytest.raises(DeclarationError, match="PARTNER is not set"):
        read_keys([Secret(env="PARTNER")], tmp_path, {}, NOW)


def test_fingerprint_and_expiry_are_shown(keyring: Keyring, tmp_path: Path) -> None:
    curve, rsa = read(tmp_path, keyring.public("curve"), keyring.public("rsa"))
    assert str(curve) == f"{keyring.fingerprint('curve')} (never expires)"
    assert rsa.expires is not None, "the subkey's: the key itself never expires"
    assert str(rsa) == f"{keyring.fingerprint('rsa')} (expires {rsa.expires:%Y-%m-%d})"


def test_expiry_is_warned_of_and_then_refused(keyring: Keyring, tmp_path: Path) -> None:
    keyring.make("brief", expires="60d")
    keys = read(tmp_path, keyring.public("brief"), keyring.public("curve"))
    [end] = [key.expires for key in keys if key.expires]
    assert expiring(keys, NOW) == ()
    [sentence] = expiring(keys, end - timedelta(days=29))
    assert f"{keyring.fingerprint('brief')} expires on {end:%Y-%m-%d}" in sentence
    refuse_expired(keys, end - timedelta(seconds=1))
    with pytest.raises(DestinationRefused, match=f"{keyring.fingerprint('brief')} expired on {end:%Y-%m-%d}"):
        refuse_expired(keys, end)
    assert expiring(keys, end) == ()


def test_an_expired_key_or_subkey_is_known_and_a_renewed_one_taken(keyring: Keyring, tmp_path: Path) -> None:
    keyring.make("old", expires="10d", at=LONG_AGO)
    keyring.make("old subkey", "ed25519", "sign", at=LONG_AGO)
    keyring.add("old subkey", "cv25519", "encr", "10d", at="20240101T000001")
    for name in ("old", "old subkey"):
        [key] = read(tmp_path, keyring.public(name))
        assert key.expires is not None and f"{key.expires:%Y-%m-%d}" == "2024-01-11"
        keyring.renew(name, "1y")
        [renewed] = read(tmp_path, keyring.public(name))
        assert renewed.fingerprint == key.fingerprint and renewed.expires is not None and renewed.expires > NOW
        assert keyring.decrypt(encrypted((renewed,), b"content")) == b"content"


def test_only_subkeys_that_may_be_used_are(keyring: Keyring, tmp_path: Path) -> None:
    """GnuPG would decrypt with an old subkey too: that none is named is seen in the message."""
    keyring.make("rotated", "ed25519", "sign", at=LONG_AGO)
    keyring.add("rotated", "cv25519", "encr", at="20240101T000001")
    keyring.revoke_subkey("rotated")
    keyring.add("rotated", "cv25519", "encr", "10d", at="20240101T000002")
    keyring.add("rotated", "ed25519", "sign", "5d")
    [expired] = read(tmp_path, keyring.public("rotated"))
    assert expired.expires is not None and f"{expired.expires:%Y-%m-%d}" == "2024-01-11"
    keyring.add("rotated", "rsa2048", "encr", "1y")
    [key] = read(tmp_path, keyring.public("rotated"))
    assert key.expires is not None and key.expires > NOW + timedelta(days=300)
    message = encrypted((key,), b"content")
    assert keyring.decrypt(message) == b"content"
    packets = keyring.gpg("--list-packets", given=message).decode()
    assert packets.count(":pubkey enc packet:") == 1 and "algo 1," in packets, "RSA, the newest"


def test_a_primary_key_that_encrypts_itself(keyring: Keyring, tmp_path: Path) -> None:
    keyring.make("alone", "rsa2048", "sign,encrypt", "1y")
    [key] = read(tmp_path, keyring.public("alone"))
    assert key.expires is not None and key.expires > NOW
    assert keyring.decrypt(encrypted((key,), b"content")) == b"content"


def test_keys_nothing_can_be_encrypted_to(keyring: Keyring, tmp_path: Path) -> None:
    keyring.make("signs", "ed25519", "sign")
    keyring.make("revoked")
    keyring.revoke("revoked")
    keyring.make("revoked subkey", "ed25519", "sign")
    keyring.add("revoked subkey", "cv25519", "encr")
    keyring.revoke_subkey("revoked subkey")
    keyring.make("weak", "rsa1024", "sign,encrypt")
    refused_for = {
        "signs": "for signatures only",
        "revoked": "was revoked by its owner",
        "revoked subkey": "for encryption was revoked",
        "weak": "no longer safe",
    }
    for name, says in refused_for.items():
        with pytest.raises(DeclarationError, match=says) as refused:
            read(tmp_path, keyring.public("curve"), keyring.public(name))
        assert keyring.fingerprint(name) in refused.value.message and "1.key" in refused.value.message


def test_what_is_no_public_key(keyring: Keyring, tmp_path: Path) -> None:
    public = keyring.public("rsa")
    for content in (
        b"",
        b"ssh-ed25519 AAAA x",
        public[:600],
        keyring.public("rsa", armor=False)[:300],
        encrypted(read(tmp_path, public), b"x"),
    ):
        with pytest.raises(DeclarationError, match=r"0\.key holds no OpenPGP public key, or a damaged one"):
            read(tmp_path, content)
    with pytest.raises(DeclarationError, match=r"gone\.key, a file with a public key, cannot be read: No such file"):
        read_keys(["gone.key"], tmp_path, {}, NOW)


def test_a_private_key_is_refused_and_never_shown(keyring: Keyring, tmp_path: Path) -> None:
    armored, binary = keyring.private("curve"), keyring.private("curve", armor=False)
    public = keyring.public("rsa"), keyring.public("rsa", armor=False)
    for content in (armored, binary, public[0] + armored, public[1] + binary, armored[:300]):
        with pytest.raises(DeclarationError, match="holds a private key") as refused:
            read(tmp_path, content)
        assert (refused.value.__cause__ is None and refused.value.__suppress_context__) or refused.value.__context__ is None
        for line in armored.decode().splitlines()[2:-2]:
            assert line not in str(refused.value)
