"""Keys of every common format, passwords, and the server's own key: nobody signs in to the wrong server."""

from __future__ import annotations

import re
import subprocess
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cdp_exports.destinations.sftp import SftpDestination
from cdp_exports.entities.secret import Secret
from cdp_exports.errors import CdpExportsError, DeclarationError, DestinationRefused
from cdp_exports_tests.destinations.opened_sftp import ENVIRON, open_home
from cdp_exports_tests.servers.openssh import PASSPHRASE, PASSWORD, Home, OpensshServer, fingerprint, make_key, make_server

_KEYS: Mapping[str, tuple[str, ...]] = {
    "OpenSSH Ed25519": ("-t", "ed25519"),
    "OpenSSH RSA": ("-t", "rsa", "-b", "2048"),
    "OpenSSH ECDSA": ("-t", "ecdsa", "-b", "384"),
    "PKCS#1 RSA": ("-t", "rsa", "-b", "2048", "-m", "PEM"),
    "PKCS#8 RSA": ("-t", "rsa", "-b", "2048", "-m", "PKCS8"),
    "SEC 1 ECDSA": ("-t", "ecdsa", "-m", "PEM"),
    "PKCS#8 ECDSA": ("-t", "ecdsa", "-b", "521", "-m", "PKCS8"),
}


@pytest.fixture(scope="module")
def openssh() -> Iterator[OpensshServer]:
    """With host keys of all kinds, and DSA for old clients."""
    server = make_server(options="PubkeyAcceptedAlgorithms +ssh-dss", host_keys=("ed25519", "ecdsa", "rsa"))
    yield server
    server.stop()


def _with_key(home: Home, text: str, /, **changes) -> SftpDestination:
    environ = {"KEY": text, "PASSPHRASE": PASSPHRASE}
    return open_home(home, environ=environ, password=None, private_key=Secret(env="KEY"), **changes)


def _refused(call, kind: type[CdpExportsError]) -> str:
    with pytest.raises(kind) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value))
    for secret in (PASSWORD, PASSPHRASE, "BEGIN ", "wrong-secret"):
        assert secret not in shown
    return str(caught.value)


class TestKeys:
    @pytest.mark.parametrize("passphrase", ["", PASSPHRASE], ids=["plain", "encrypted"])
    @pytest.mark.parametrize("arguments", _KEYS.values(), ids=_KEYS)
    def test_every_common_format(self, home: Home, tmp_path: Path, arguments: tuple[str, ...], passphrase: str) -> None:
        key = make_key(tmp_path / "key", *arguments, passphrase=passphrase)
        home.server.allow("exporter", key.with_suffix(".pub"))
        _with_key(home, key.read_text(), passphrase=Secret(env="PASSPHRASE") if passphrase else None).probe()

    def test_dsa_where_the_server_still_takes_it(self, home: Home, tmp_path: Path) -> None:
        key = make_key(tmp_path / "key", "-t", "dsa")
        home.server.allow("exporter", key.with_suffix(".pub"))
        _with_key(home, key.read_text()).probe()

    @pytest.mark.parametrize("cipher", ["-aes-256-cbc", "-aes-128-cbc", "-des3"])
    def test_the_ways_in_which_openssl_encrypts(self, home: Home, tmp_path: Path, cipher: str) -> None:
        """PKCS#1 with the cipher in its head, and PKCS#8, as `openssl` writes them and not ssh-keygen."""
        key = make_key(tmp_path / "key", "-t", "rsa", "-b", "2048", "-m", "PEM")
        home.server.allow("exporter", key.with_suffix(".pub"))
        for command in (["rsa", cipher, "-traditional"], ["pkcs8", "-topk8", "-v2", cipher.removeprefix("-")]):
            openssl = ["openssl", *command, "-in", str(key), "-passout", f"pass:{PASSPHRASE}"]
            text = subprocess.run(openssl, check=True, capture_output=True, text=True).stdout
            assert "ENCRYPTED" in text
            _with_key(home, text, passphrase=Secret(env="PASSPHRASE")).probe()

    def test_a_key_in_a_file(self, home: Home, tmp_path: Path) -> None:
        key = make_key(tmp_path / "key", "-t", "ed25519")
        home.server.allow("exporter", key.with_suffix(".pub"))
        open_home(home, root=tmp_path, password=None, private_key_file="key").probe()

    def test_a_key_in_one_line_and_without_its_last_line_break(self, home: Home, tmp_path: Path) -> None:
        key = make_key(tmp_path / "key", "-t", "ed25519")
        home.server.allow("exporter", key.with_suffix(".pub"))
        text = key.read_text()
        for written in (text.replace("\n", "\\n"), text.strip(), f"\n{text}\n", text.replace("\n", "\r\n")):
            _with_key(home, written).probe()

    def test_a_key_and_a_password_where_the_server_asks_for_both(self, home: Home, tmp_path: Path) -> None:
        key = make_key(tmp_path / "key", "-t", "ed25519")
        home.server.allow("both", key.with_suffix(".pub"))
        environ = {"KEY": key.read_text(), **ENVIRON}
        both = open_home(home, environ=environ, user="both", private_key=Secret(env="KEY"))
        assert list(both.list("")) == []
        for missing in ("private_key", "password"):
            declared = {"user": "both", "private_key": Secret(env="KEY"), missing: None}
            _refused(lambda declared=declared: list(open_home(home, environ=environ, **declared).list("")), DestinationRefused)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("nonsense", "holds no private key that is known here"),
            (
                "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nAAAA\n-----END OPENSSH " + "PRIVATE KEY-----",
                "holds no private key",
            ),
            ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ", "holds no private key"),
            ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "puttygen"),
            ("---- BEGIN SSH2 ENCRYPTED " + "PRIVATE KEY ----\nP2/56wAAA\n---- END SSH2 ENCRYPTED " + "PRIVATE KEY ----\n", "puttygen"),
        ],
    )
    def test_what_is_no_key_is_told_before_anything_runs(self, home: Home, text: str, said: str) -> None:
        assert said in _refused(lambda: _with_key(home, text), DeclarationError)

    @pytest.mark.parametrize("form", ["RFC4716", "PEM", "PKCS8"])
    def test_a_passphrase_that_is_missing_or_wrong(self, home: Home, tmp_path: Path, form: str) -> None:
        key = make_key(tmp_path / "key", "-t", "rsa", "-b", "2048", "-m", form, passphrase="another")
        assert "no passphrase is named" in _refused(lambda: _with_key(home, key.read_text()), DeclarationError)
        wrong = _refused(lambda: _with_key(home, key.read_text(), passphrase=Secret(env="PASSPHRASE")), DeclarationError)
        assert "the passphrase is wrong" in wrong

    def test_a_key_file_that_is_missing(self, home: Home, tmp_path: Path) -> None:
        said = _refused(lambda: open_home(home, root=tmp_path, password=None, private_key_file="nowhere"), DeclarationError)
        assert "could not be read" in said

    def test_a_key_that_the_server_does_not_know_is_named(self, home: Home, tmp_path: Path) -> None:
        key = make_key(tmp_path / "key", "-t", "ed25519")
        said = _refused(_with_key(home, key.read_text()).probe, DestinationRefused)
        assert f"refused the key {fingerprint(key)} of the user exporter" in said

    def test_nothing_of_this_machine_decides(self, home: Home, tmp_path: Path, monkeypatch) -> None:
        """Neither ~/.ssh/config, nor its keys, nor an agent."""
        ssh = tmp_path / ".ssh"
        ssh.mkdir(mode=0o700)
        allowed = make_key(ssh / "id_ed25519", "-t", "ed25519")
        home.server.allow("exporter", allowed.with_suffix(".pub"))
        (ssh / "config").write_text("Host *\n  Port 1\n  User nobody\n")
        (ssh / "known_hosts").write_text(Path(home.server.known_hosts).read_text())
        monkeypatch.setenv("HOME", str(tmp_path))
        agent = subprocess.run(["ssh-agent", "-s"], check=True, capture_output=True, text=True).stdout
        variables = dict(re.findall(r"(SSH_\w+)=([^;]+);", agent))
        try:
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
            subprocess.run(["ssh-add", "-q", str(allowed)], check=True)
            open_home(home).probe()
            other = make_key(tmp_path / "other", "-t", "ed25519")
            _refused(_with_key(home, other.read_text()).probe, DestinationRefused)
            unknown = tmp_path / "known_hosts"
            unknown.touch()
            _refused(open_home(home, known_hosts=str(unknown), host_key_fingerprint=None).probe, DestinationRefused)
        finally:
            subprocess.run(["ssh-agent", "-k"], check=True, capture_output=True, env=variables)


class TestPasswords:
    def test_a_wrong_one_is_sent_once(self, home: Home) -> None:
        before = home.server.log.count("Failed password")
        said = _refused(open_home(home, environ={"PASSWORD": "wrong-secret"}).probe, DestinationRefused)
        assert "the server refused the password of the user exporter" in said
        assert home.server.log.count("Failed password") == before + 1

    def test_one_that_has_expired(self, home: Home) -> None:
        assert "a password that has not expired" in _refused(open_home(home, user="expired").probe, DestinationRefused)

    def test_a_server_that_takes_none(self) -> None:
        server = make_server(options="PasswordAuthentication no")
        try:
            assert "the server takes no password" in _refused(open_home(server.home()).probe, DestinationRefused)
        finally:
            server.stop()

    def test_a_variable_that_is_not_set(self, home: Home) -> None:
        assert "PASSWORD is not set" in _refused(lambda: open_home(home, environ={}), DeclarationError)


class TestHostKeys:
    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
    def test_the_fingerprint_of_any_of_its_keys(self, home: Home, kind: str) -> None:
        open_home(home, host_key_fingerprint=fingerprint(home.server.host_keys[kind])).probe()

    def test_a_server_with_an_old_key_only(self) -> None:
        server = make_server(host_keys=("rsa",))
        try:
            home = server.home()
            open_home(home).probe()
            open_home(home, known_hosts=server.known_hosts, host_key_fingerprint=None).probe()
            other = fingerprint(make_key(server.folder / "other", "-t", "ed25519"))
            assert server.fingerprint in self._sends_nothing(home, host_key_fingerprint=other)
        finally:
            server.stop()

    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
    def test_a_file_that_names_one_of_its_keys(self, home: Home, tmp_path: Path, kind: str) -> None:
        public = home.server.host_keys[kind].with_suffix(".pub").read_text()
        (tmp_path / "known").write_text(f"# ours\n[127.0.0.1]:{home.server.port} {public}")
        open_home(home, root=tmp_path, known_hosts="known", host_key_fingerprint=None).probe()

    def test_a_hashed_file(self, home: Home, tmp_path: Path) -> None:
        file = tmp_path / "known"
        file.write_text(Path(home.server.known_hosts).read_text())
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True)
        assert "127.0.0.1" not in file.read_text()
        open_home(home, known_hosts=str(file), host_key_fingerprint=None).probe()

    def test_what_the_docs_say_gives_the_fingerprint(self, home: Home) -> None:
        command = f"ssh-keyscan -p {home.server.port} 127.0.0.1 2>/dev/null | ssh-keygen -lf -"
        shown = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True).stdout
        found = re.findall(r"SHA256:\S+", shown)
        assert len(found) == 3
        for one in found:
            assert list(open_home(home, host_key_fingerprint=one).list("")) == []

    def test_another_fingerprint_is_refused(self, home: Home, tmp_path: Path) -> None:
        other = fingerprint(make_key(tmp_path / "other", "-t", "ed25519"))
        said = self._sends_nothing(home, host_key_fingerprint=other)
        assert "the host key is not the declared one" in said
        for key in home.server.host_keys.values():
            assert fingerprint(key) in said

    @pytest.mark.parametrize("kind", ["ed25519", "dsa"])
    def test_another_key_in_the_file_is_refused(self, home: Home, tmp_path: Path, kind: str) -> None:
        other = make_key(tmp_path / "other", "-t", kind).with_suffix(".pub").read_text()
        (tmp_path / "known").write_text(f"[127.0.0.1]:{home.server.port} {other}")
        said = self._sends_nothing(home, root=tmp_path, known_hosts="known", host_key_fingerprint=None)
        assert "the host key is not the declared one" in said

    def test_a_host_that_the_file_does_not_name_is_refused(self, home: Home, tmp_path: Path) -> None:
        public = home.server.host_keys["ed25519"].with_suffix(".pub").read_text()
        (tmp_path / "known").write_text(f"another.host {public}")
        said = self._sends_nothing(home, root=tmp_path, known_hosts="known", host_key_fingerprint=None)
        assert "the host key is unknown" in said

    def test_a_revoked_key_is_refused(self, home: Home, tmp_path: Path) -> None:
        known = Path(home.server.known_hosts).read_text()
        revoked = "".join(f"@revoked {line}\n" for line in known.splitlines())
        (tmp_path / "known").write_text(known + revoked)
        self._sends_nothing(home, root=tmp_path, known_hosts="known", host_key_fingerprint=None)

    def test_a_file_that_is_missing(self, home: Home, tmp_path: Path) -> None:
        said = _refused(lambda: open_home(home, root=tmp_path, known_hosts="nowhere", host_key_fingerprint=None), DeclarationError)
        assert "could not be read" in said

    def _sends_nothing(self, home: Home, **declared) -> str:
        """The server never learns who wanted to sign in."""
        before = len(home.server.log)
        said = _refused(open_home(home, user="reader", **declared).probe, DestinationRefused)
        assert "Nothing was sent" in said
        after = home.server.log[before:]
        assert "Connection from" in after
        assert "reader" not in after
        return said
