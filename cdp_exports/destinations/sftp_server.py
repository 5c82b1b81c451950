"""Connections to one SFTP server: the right one, signed in."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from cdp_exports.destinations.sftp_errors import no_sftp, refused, translate
from cdp_exports.destinations.sftp_login import Login
from cdp_exports.errors import CdpExportsError, DestinationRefused

if TYPE_CHECKING:
    from asyncssh import SFTPClient, SSHClient, SSHClientConnection

_FAMILIES: Sequence[Sequence[str]] = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"),
)
"""A server has a key of each, or of some. Of which one a fingerprint is, is found by asking again without those that it is not of."""

_NOTHING_IN_COMMON = (
    "the server offers only ways of encryption that are no longer safe",
    "Ask the server's administrator to bring it up to date.",
)
_FAST_FIRST = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, in seconds: to be signed in, for any answer, and before each try of one step."""

    connect: float = 30
    request: float = 120
    keepalive: float = 30
    waits: Sequence[float] = (0, 0.5, 3)


@dataclass(eq=False)
class Session:
    """One connection with SFTP on it. `users`: how many work with it now."""

    connection: SSHClientConnection
    sftp: SFTPClient
    users: int = 0

    @property
    def alive(self) -> bool:
        return not self.connection.is_closed()


@dataclass
class _Witness:
    """What one try to connect showed."""

    presented: str = ""  # the host key's fingerprint
    kind: str = ""  # and its kind
    asked: str = ""  # the ways in which the password was asked for
    expired: bool = False


class SftpServer:
    """Opens connections. Nothing but the handshake is sent before the host key is verified."""

    def __init__(self, login: Login, place: str, patience: Patience) -> None:
        self._login, self._place, self.patience = login, place, patience
        self._families: Sequence[Sequence[str]] = _FAMILIES

    async def connect(self) -> Session:
        """Raises DestinationRefused or TransientError."""
        import asyncssh

        presented: list[str] = []
        named = self._login.known_hosts is not None  # then asyncssh asks for the kinds of keys that the file names
        left: list[Sequence[str]] = list(self._families)
        while left:
            witness = _Witness()
            try:
                session = await self._connect(() if named else tuple(chain(*left)), witness)
            except asyncssh.HostKeyNotVerifiable:
                presented.append(witness.presented)
                if self._login.known_hosts:
                    break
                left = [family for family in left if witness.kind not in family]
            except asyncssh.PermissionDenied:
                raise self._not_let_in(witness) from None
            except (OSError, asyncssh.Error) as error:
                if presented:
                    break  # it has no key of the kinds that are left: OpenSSH hangs up then
                hung_up = isinstance(error, (asyncssh.ConnectionLost, ConnectionResetError, BrokenPipeError))
                if not (named and hung_up):
                    raise self._not_reached(error) from None
                named = False  # perhaps it has none of the kinds that the file names: see which it has
            else:
                self._families = left
                return session
        raise self._another_server(presented)

    async def _connect(self, host_keys: tuple[str, ...], witness: _Witness) -> Session:
        import asyncssh

        login, patience = self._login, self.patience
        connection = await asyncssh.connect(
            login.host,
            login.port,
            client_factory=lambda: _client(login, witness),
            known_hosts=login.known_hosts or ([], [], []),  # empty, not None, which would trust everybody
            server_host_key_algs=host_keys,
            username=login.user,
            client_keys=[login.key] if login.key else None,
            # nothing of this machine's own decides: no configuration, agent, tickets or certificates
            config=None,
            agent_path=None,
            gss_host=None,
            x509_trusted_certs=None,
            encryption_algs=_FAST_FIRST,
            connect_timeout=patience.connect,
            login_timeout=patience.connect,
            keepalive_interval=patience.keepalive,
            keepalive_count_max=3,
        )
        try:
            return Session(connection, await connection.start_sftp_client(path_errors="surrogateescape"))
        except (asyncssh.ChannelOpenError, asyncssh.SFTPError):
            if connection.is_closed():
                raise
            connection.abort()
            raise no_sftp(self._place) from None
        except BaseException:
            connection.abort()
            raise

    def _not_reached(self, error: Exception) -> CdpExportsError:
        import asyncssh

        if isinstance(error, asyncssh.KeyExchangeFailed):
            return refused(self._place, _NOTHING_IN_COMMON)
        return translate(error, self._place)

    def _another_server(self, presented: Sequence[str]) -> DestinationRefused:
        login = self._login
        shown = ", ".join(filter(None, presented)) or "a key of another kind"
        if login.known_hosts and not any(login.known_hosts.match(login.host, "", None if login.port == 22 else login.port)):
            return DestinationRefused(
                f"{self._place}: the host key is unknown: `known_hosts` does not name {login.host}; it showed {shown}. Nothing was sent.",
                next_step="Ask the server's administrator for its host key, and add it to the file.",
            )
        return DestinationRefused(
            f"{self._place}: the host key is not the declared one: the server showed {shown}. Nothing was sent.",
            next_step="Ask the server's administrator whether its key was changed. If not, somebody stands between.",
        )

    def _not_let_in(self, witness: _Witness) -> CdpExportsError:
        login = self._login
        means = [
            *([f"the key {login.key.get_fingerprint()}"] if login.key else []),
            *(["the password"] if login.password else []),
        ]
        if witness.expired:
            message, next_step = "the password has expired", "Set a new one on the server and in the connection's variable."
        elif login.password and not login.key and not witness.asked:
            message, next_step = "the server takes no password", "Declare a `private_key` whose public key the server knows."
        else:
            message = f"the server refused {' and '.join(means)} of the user {login.user}"
            next_step = "Correct the connection's `user` and credentials, or let the server's administrator allow them."
        return DestinationRefused(f"{self._place}: {message}.", next_step=next_step)


def _client(login: Login, witness: _Witness) -> SSHClient:
    import asyncssh

    class Client(asyncssh.SSHClient):
        def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
            witness.presented, witness.kind = key.get_fingerprint(), key.get_algorithm()
            return hmac.compare_digest(witness.presented, login.fingerprint or "")

        def password_auth_requested(self) -> str | None:
            return self._once("password")

        def kbdint_auth_requested(self) -> str | None:
            return "" if login.password else None

        def kbdint_challenge_received(self, name: str, instructions: str, lang: str, prompts: Any) -> list[str] | None:
            if not prompts:
                return []
            password = self._once("keyboard-interactive") if len(prompts) == 1 and not prompts[0][1] else None
            return None if password is None else [password]

        def password_change_requested(self, prompt: str, lang: str) -> Any:
            witness.expired = True
            return NotImplemented

        def _once(self, method: str) -> str | None:
            """The password, for each method only once: asked again it was wrong, and some servers lock the user out."""
            if method in witness.asked.split():
                return None
            witness.asked += f" {method}"
            return login.password

    return Client()
