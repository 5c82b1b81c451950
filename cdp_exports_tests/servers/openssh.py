"""A real SFTP server: OpenSSH, on loopback only, with users of its own that this machine does not know.

It runs in a mount namespace where /etc/passwd and /etc/shadow are its own, so it needs root, and leaves nothing behind.
Everybody is locked in (chroot); what a user sees as /upload is the folder `upload` of a `Home`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
PASSWORD = "s3cret-of-exporter"
PASSPHRASE = "s3cret-of-key"

_SHADOW = "$6$cdpexports$6139nAmBFkmLGhHCXi8y8Oi7JWAUlbReC/SrZbj2NaZgrTz43i5XcQXW/d7M52og4JdN6hVaOwE/gWS544kRg1"  # of PASSWORD
_UIDS = {"exporter": 54321, "reader": 54322, "both": 54323, "expired": 54324}

_START = """
set -e
mount --bind "$1" /srv
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/shadow" /etc/shadow
mount -t tmpfs tmpfs /run
mkdir -p /run/sshd
exec "$2" -D -e -f /srv/sshd_config
"""


@dataclass(frozen=True)
class Home:
    """A folder that only the test that got it uses: `folder` as the server's users name it, `path` as this machine does."""

    server: OpensshServer
    folder: str

    @property
    def path(self) -> Path:
        return self.server.root / self.folder.strip("/")

    def add_folder(self, name: str) -> None:
        (self.path / name).mkdir()
        os.chown(self.path / name, _UIDS["exporter"], _UIDS["exporter"])

    def files(self) -> list[str]:
        """All that is there, hidden files too."""
        return sorted(str(file.relative_to(self.path)) for file in self.path.rglob("*") if not file.is_dir())


class OpensshServer:
    """`options`: lines of sshd_config that come before this server's own, `sftp`: arguments of its SFTP server."""

    def __init__(self, *, options: str = "", sftp: str = "", host_keys: tuple[str, ...] = ("ed25519",)) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cdp-openssh-"))
        self.folder.chmod(0o755)
        self.root = self.folder / "root"
        (self.root / "upload").mkdir(parents=True)
        for folder in (self.folder, self.root):
            folder.chmod(0o755)
        os.chown(self.root / "upload", _UIDS["exporter"], _UIDS["exporter"])
        (self.root / "upload").chmod(0o755)
        self._accounts()
        self.host_keys = {kind: self._host_key(kind) for kind in host_keys}
        self._config(options, sftp)
        self._process: subprocess.Popen[bytes]
        self.port = 0

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def fingerprint(self) -> str:
        return fingerprint(next(iter(self.host_keys.values())))

    @property
    def known_hosts(self) -> str:
        """A file that names this server."""
        file = self.folder / "known_hosts"
        file.write_text("".join(f"[127.0.0.1]:{self.port} {key.with_suffix('.pub').read_text()}" for key in self.host_keys.values()))
        return str(file)

    def allow(self, user: str, public_key: Path) -> None:
        """Let a user sign in with this key."""
        with (self.folder / "keys" / user).open("a") as keys:
            keys.write(public_key.read_text())

    def start(self) -> None:
        for _ in range(5):  # another process may take a port between the look and the start
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
            (self.folder / "sshd_config").write_text(f"Port {self.port}\n{self._settings}")
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    ["unshare", "--mount", "--", "sh", "-c", _START, "sh", str(self.folder), SSHD],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # an interrupt from the keyboard is for the tests, which then stop it
                )
            if self._comes_up():
                return
            self.kill()
        raise RuntimeError(f"OpenSSH did not start:\n{self.log[-2000:]}")

    def kill(self) -> None:
        """The server and every connection to it, at once."""
        for session in psutil.Process(self._process.pid).children(recursive=True):
            session.kill()
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def mount(self, folder: str, megabytes: int) -> None:
        """From now on the server's users see an empty disk of that size in a folder of theirs."""
        self._in_its_view("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,uid={_UIDS['exporter']}", "tmpfs", f"/srv/root{folder}")

    def mount_again_read_only(self, folder: str) -> None:
        self._in_its_view("mount", "-o", "remount,ro", f"/srv/root{folder}")

    def on_disk(self, folder: str) -> list[str]:
        """Names of the files in a mounted folder."""
        return self._in_its_view("find", f"/srv/root{folder}", "-type", "f").split()

    def home(self) -> Home:
        folder = Home(self, f"/upload/test-{uuid.uuid4().hex[:12]}")
        folder.path.mkdir()
        os.chown(folder.path, _UIDS["exporter"], _UIDS["exporter"])
        return folder

    def _in_its_view(self, *command: str) -> str:
        view = ["nsenter", "--target", str(self._process.pid), "--mount", "--", *command]
        return subprocess.run(view, check=True, capture_output=True, text=True).stdout

    def _comes_up(self) -> bool:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as answering:
                    return answering.recv(4) == b"SSH-"
            except OSError:
                time.sleep(0.02)
        return False

    def _accounts(self) -> None:
        own = "".join(f"{name}:x:{uid}:{uid}::/:/usr/sbin/nologin\n" for name, uid in _UIDS.items())
        passwd = "root:x:0:0:root:/root:/bin/sh\nsshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
        (self.folder / "passwd").write_text(passwd + own)
        days = {"expired": 0}  # the day of the last change: 0 asks for a new password
        shadow = "".join(f"{name}:{_SHADOW}:{days.get(name, 20000)}:0:99999:7:::\n" for name in _UIDS)
        (self.folder / "shadow").write_text(f"root:*:20000:0:99999:7:::\nsshd:*:20000:0:99999:7:::\n{shadow}")
        (self.folder / "shadow").chmod(0o600)
        (self.folder / "keys").mkdir()

    def _host_key(self, kind: str) -> Path:
        return make_key(self.folder / f"host_{kind}", "-t", kind)

    def _config(self, options: str, sftp: str) -> None:
        keys = "".join(f"HostKey /srv/{key.name}\n" for key in self.host_keys.values())
        self._settings = f"""{options}
ListenAddress 127.0.0.1
{keys}PidFile none
AuthorizedKeysFile /srv/keys/%u
UsePAM no
KbdInteractiveAuthentication no
PasswordAuthentication yes
PermitRootLogin no
MaxStartups 100
MaxSessions 100
Subsystem sftp internal-sftp {sftp}
AllowTcpForwarding no
X11Forwarding no
ChrootDirectory /srv/root
ForceCommand internal-sftp {sftp}
LogLevel VERBOSE
Match User both
  AuthenticationMethods publickey,password
"""


def make_key(file: Path, *arguments: str, passphrase: str = "") -> Path:
    """A new private key by ssh-keygen; its public one is beside it."""
    subprocess.run(["ssh-keygen", "-q", "-N", passphrase, "-C", "test", "-f", str(file), *arguments], check=True)
    return file


def fingerprint(key: Path) -> str:
    """What a person sees who follows the docs."""
    shown = subprocess.run(["ssh-keygen", "-lf", str(key.with_suffix(".pub"))], check=True, capture_output=True, text=True)
    return shown.stdout.split()[1]


@pytest.fixture(scope="session")
def openssh() -> Iterator[OpensshServer]:
    """A server for the whole session (one a worker under xdist)."""
    server = make_server()
    yield server
    server.stop()


def make_server(**how) -> OpensshServer:
    """A started server. Skips the test where there can be none, except in continuous integration."""
    missing = "" if Path(SSHD).exists() else "sshd is not installed (Debian's openssh-server)"
    if missing and not os.environ.get("CI"):
        pytest.skip(missing)
    if os.geteuid() != 0:
        pytest.skip("only root can start an SFTP server with users of its own")
    server = OpensshServer(**how)
    try:
        server.start()
    except BaseException:
        shutil.rmtree(server.folder, ignore_errors=True)
        raise
    return server


@pytest.fixture
def home(openssh: OpensshServer) -> Home:
    """An empty folder of one's own."""
    return openssh.home()
