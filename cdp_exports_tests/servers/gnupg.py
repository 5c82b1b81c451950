"""GnuPG: the receiver who makes keys, sends the public ones, and decrypts."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


class Keyring:
    """A home of GnuPG. Keys are named by a word."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def gpg(self, *arguments: str, given: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", *arguments]
        done = subprocess.run(command, input=given, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def make(self, name: str, algorithm: str = "future-default", usage: str = "default", expires: str = "never", *, at: str = "") -> str:
        """A new key; its fingerprint. `at`: as if made then, `20240101T000000`."""
        self.gpg(*_at(at), "--quick-gen-key", name, algorithm, usage, expires)
        return self.fingerprint(name)

    def add(self, name: str, algorithm: str, usage: str, expires: str = "never", *, at: str = "") -> None:
        """A subkey more."""
        self.gpg(*_at(at), "--quick-add-key", self.fingerprint(name), algorithm, usage, expires)

    def renew(self, name: str, expires: str) -> None:
        """Key and subkeys are extended."""
        primary, *subkeys = self._fingerprints(name)
        self.gpg("--quick-set-expire", primary, expires)
        self.gpg("--quick-set-expire", primary, expires, *subkeys)

    def revoke(self, name: str) -> None:
        certificate = (self.home / "openpgp-revocs.d" / f"{self.fingerprint(name)}.rev").read_text()
        self.gpg("--import", given=certificate.replace(":-----BEGIN", "-----BEGIN").encode())

    def revoke_subkey(self, name: str) -> None:
        """The first one."""
        steps = b"key 1\nrevkey\ny\n0\n\ny\nsave\n"
        command = ["gpg", "--homedir", str(self.home), "--command-fd", "0", "--pinentry-mode", "loopback", "--passphrase", "", "--no-tty"]
        subprocess.run([*command, "--edit-key", name], input=steps, capture_output=True, check=True)

    def fingerprint(self, name: str) -> str:
        return self._fingerprints(name)[0]

    def _fingerprints(self, name: str) -> list[str]:
        """The key's, then its subkeys'."""
        lines = self.gpg("--list-keys", "--with-colons", f"={name}").decode().splitlines()
        return [line.split(":")[9] for line in lines if line.startswith("fpr")]

    def public(self, *names: str, armor: bool = True) -> bytes:
        return self.gpg(*(["--armor"] if armor else []), "--export", *(f"={name}" for name in names))

    def private(self, name: str, *, armor: bool = True) -> bytes:
        return self.gpg(*(["--armor"] if armor else []), "--export-secret-keys", f"={name}")

    def without(self, *names: str) -> Keyring:
        """A copy without the private keys of others than these."""
        copy = Keyring(Path(tempfile.mkdtemp(prefix="gpg-", dir=self.home)))
        for name in names:
            copy.gpg("--import", given=self.private(name))
        return copy

    def decrypt(self, content: bytes) -> bytes:
        """The plain content; fails where no key fits or the message was touched."""
        return self.gpg("--decrypt", given=content)

    def stop(self) -> None:
        for home in (*self.home.glob("gpg-*"), self.home):
            subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], capture_output=True, check=False)
        shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture(scope="session")
def keyring() -> Iterator[Keyring]:
    """Keys of two partners: `curve` (Curve25519) and `rsa`."""
    assert shutil.which("gpg"), "These tests decrypt with GnuPG: apt install gnupg."
    ring = Keyring(Path(tempfile.mkdtemp(prefix="gpg-")))  # a short path: sockets stand in it
    try:
        ring.make("curve")
        ring.make("rsa", "rsa2048", "sign")
        ring.add("rsa", "rsa2048", "encr", "2y")
        yield ring
    finally:
        ring.stop()


def _at(at: str) -> list[str]:
    return ["--faked-system-time", at] if at else []
