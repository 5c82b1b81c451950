"""Is a connection in order? Everything a delivery will need is tried once, and nothing is left behind."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from cdp_exports.destinations.certificate import certificate_ends
from cdp_exports.destinations.destination import FileDestination
from cdp_exports.destinations.open import open_audience, open_files
from cdp_exports.encryption.keys import SOON, expiring, read_keys, refuse_expired
from cdp_exports.entities.connection import TYPES, Connection
from cdp_exports.errors import CdpExportsError, DestinationRefused, NotIntact

NEAR = timedelta(seconds=60)
"""How far two clocks may be apart before it is said."""

_AT_ONCE = 8
_FOLDER = "_probe"  # always the same: data lakes keep folders that are empty
_CONTENT = b"Written by `cdp-exports check`, and deleted again at once.\n"


@dataclass(frozen=True)
class Check:
    """How one step went. `warning`: it works today, and will not for ever."""

    step: str
    status: Literal["ok", "warning", "failed"]
    message: str
    next_step: str = ""


def worst(checks: Iterable[Check]) -> Literal["ok", "warning", "failed"]:
    """How it went as a whole."""
    found = {check.status for check in checks}
    return "failed" if "failed" in found else "warning" if "warning" in found else "ok"


@runtime_checkable
class Expiring(Protocol):
    """A destination, of either family, that knows when a person must renew its credentials."""

    @property
    def credentials_expire(self) -> datetime | None: ...


Step = tuple[str, Callable[[], str | Check]]
"""A name, and what is done; it returns what was seen."""


def check_connections(connections: Mapping[str, Connection], root: Path, environ: Mapping[str, str]) -> dict[str, list[Check]]:
    """Several at the same time, by their names: one that answers late keeps no other waiting."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        begun = {name: pool.submit(check_connection, connection, root, environ) for name, connection in connections.items()}
    return {name: one.result() for name, one in begun.items()}


def check_connection(connection: Connection, root: Path, environ: Mapping[str, str]) -> list[Check]:
    """Every step and how it went; after one that failed, those that rest on it are left out.

    Files: signing in and listing, writing, reading back, the clock, deleting, creating only where none is. Audiences: what the
    receiver can say without changing anything. Both: when credentials, certificates and keys expire.
    """
    now = datetime.now(UTC)
    keys = [_tried("encryption keys", lambda: _keys(connection, root, environ, now))] if connection.encrypt_to else []
    if TYPES[connection.type].takes_files:
        return [*_of_files(connection, root, environ, now), *keys]
    return [*_of_audiences(connection, root, environ, now), *keys]


def _of_files(connection: Connection, root: Path, environ: Mapping[str, str], now: datetime) -> list[Check]:
    try:
        destination = open_files(connection, root, environ)
    except CdpExportsError as error:
        return [_failed("settings", error)]
    path = f"{_FOLDER}/{secrets.token_hex(8)}"
    steps: list[Step] = [
        ("sign in and list", lambda: _listed(destination)),
        ("write", lambda: _written(destination, path)),
        ("read back", lambda: _read(destination, path)),
        ("clock", lambda: _clock(destination, path, now)),
        ("delete", lambda: _deleted(destination, path)),
        ("create once", lambda: _created_once(destination)),
        ("credentials", lambda: _credentials(destination, now)),
        *_certificate(connection, root, now),
    ]
    done = list(_until_one_fails(steps))
    if done[-1].status == "failed" and len(done) > 1:
        with suppress(CdpExportsError):  # what failed is said already
            destination.delete([path])
    return done


def _of_audiences(connection: Connection, root: Path, environ: Mapping[str, str], now: datetime) -> list[Check]:
    try:
        destination = open_audience(connection, root, environ)
    except CdpExportsError as error:
        return [_failed("settings", error)]

    def probed() -> str:
        destination.probe()
        return f"{destination.place} can be used"

    steps: list[Step] = [
        ("sign in and rights", probed),
        ("credentials", lambda: _credentials(destination, now)),
        *_certificate(connection, root, now),
    ]
    return list(_until_one_fails(steps))


def _until_one_fails(steps: list[Step]) -> Iterator[Check]:
    for name, act in steps:
        check = _tried(name, act)
        yield check
        if check.status == "failed":
            return


def _tried(step: str, act: Callable[[], str | Check]) -> Check:
    try:
        said = act()
    except CdpExportsError as error:
        return _failed(step, error)
    return said if isinstance(said, Check) else Check(step, "ok", said)


def _failed(step: str, error: CdpExportsError) -> Check:
    return Check(step, "failed", error.message, error.next_step)


def _listed(destination: FileDestination) -> str:
    next(iter(destination.list(_FOLDER)), None)
    return destination.place


def _written(destination: FileDestination, path: str) -> str:
    writer = destination.open(path)
    try:
        writer.write(_CONTENT)
        proof = writer.close()
    except BaseException:
        writer.abort()
        raise
    return f"{len(_CONTENT)} bytes, proved by: {proof.value}"


def _read(destination: FileDestination, path: str) -> str:
    if destination.read(path) != _CONTENT:
        raise NotIntact(f"What is read back of {destination.uri(path)} is not what was written.", next_step="Ask who runs the store.")
    return "what was written"


def _clock(destination: FileDestination, path: str, began: datetime) -> str | Check:
    """When the probe was stored, by the destination's clock, against when it was written by ours."""
    found = next((one for one in destination.list(_FOLDER) if one.path == path), None)
    if found is None:
        raise NotIntact(
            f"{destination.uri(path)} was written, and is not listed.", next_step="Ask who runs the store: its listings must be up to date."
        )
    if found.modified is None:
        return "the destination does not tell its time"
    early, late = began - found.modified, found.modified - datetime.now(UTC)
    apart, how = max((early, "behind"), (late, "ahead of"))
    if apart > NEAR:
        return Check(
            "clock",
            "warning",
            f"The destination's clock is {_span(apart)} {how} this machine's.",
            "Set the one that is wrong; stores refuse requests that are signed 15 minutes off.",
        )
    return "no more than a minute apart"


def _deleted(destination: FileDestination, path: str) -> str:
    destination.delete([path])
    if destination.read(path) is not None:
        raise DestinationRefused(
            f"{destination.uri(path)} was deleted, and is still there.",
            next_step="Let these credentials delete files; what a failed delivery leaves is removed with them.",
        )
    return "nothing is left"


def _created_once(destination: FileDestination) -> str:
    if not destination.capabilities.conditional_create:
        return "not offered by this type"
    destination.probe()
    return "an object is created only where none is"


def _credentials(destination: object, now: datetime) -> str | Check:
    expire = destination.credentials_expire if isinstance(destination, Expiring) else None
    if expire is None:
        return "no end is known"
    if expire <= now + SOON:
        message = f"The credentials expire on {expire:%Y-%m-%d}, in {_span(expire - now)}, and from then on deliveries fail."
        return Check("credentials", "warning", message, "Renew them, and put them in the place of the old ones.")
    return f"until {expire:%Y-%m-%d}"


def _certificate(connection: Connection, root: Path, now: datetime) -> Iterator[Step]:
    """Of a server that somebody runs; the great services renew theirs. Its address stands in `endpoint_url` or `url`."""
    address = getattr(connection, "endpoint_url", None) or getattr(connection, "url", None)
    if not isinstance(address, str) or not address.lower().startswith("https:"):
        return
    authorities: str | None = getattr(connection, "ca_file", None)

    def seen() -> str | Check:
        end = certificate_ends(address, root / authorities if authorities else None)
        if end is None:
            return "no end is known"
        if end <= now + SOON:
            message = f"The certificate of {address} expires on {end:%Y-%m-%d}, in {_span(end - now)}."
            return Check("certificate", "warning", message, "Ask who runs it to renew it: with one that has expired nothing is sent there.")
        return f"until {end:%Y-%m-%d}"

    yield "certificate", seen


def _keys(connection: Connection, root: Path, environ: Mapping[str, str], now: datetime) -> str | Check:
    keys = read_keys(connection.encrypt_to, root, environ, now)
    refuse_expired(keys, now)
    if soon := expiring(keys, now):
        return Check("encryption keys", "warning", " ".join(soon))
    return "; ".join(map(str, keys))


def _span(time: timedelta) -> str:
    """A time in words, as coarse as it may be.

    >>> _span(timedelta(seconds=400)), _span(timedelta(hours=30)), _span(timedelta(days=3, hours=2))
    ('6 minutes', '30 hours', '3 days')
    """
    seconds = int(time.total_seconds())
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{max(seconds, 0)} seconds"
