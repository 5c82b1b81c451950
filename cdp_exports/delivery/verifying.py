"""Re-reading what was delivered and comparing it with manifest, ledger and source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdp_exports.delivery import held, manifest
from cdp_exports.delivery.content import content_differs
from cdp_exports.delivery.lasting import expired_at, replaced_by
from cdp_exports.delivery.member import Member, is_to_audience
from cdp_exports.delivery.reading import Reading
from cdp_exports.delivery.rows import reading_of
from cdp_exports.delivery.sweeping import sweep
from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import DeclarationError, HistoryLost, NotIntact
from cdp_exports.ledger.records import Delivery, FileRecord, State

if TYPE_CHECKING:
    from cdp_exports.destinations.destination import FileDestination


@dataclass(frozen=True)
class Verdict:
    """One delivery: the `differences` found (none: intact), and `notes` on what could not be compared any more.

    `over`: why its files are no longer meant to be there, as a sentence; then only the manifest was compared.
    """

    delivery: Delivery
    uri: str
    files: int
    bytes: int
    differences: tuple[str, ...]
    notes: tuple[str, ...] = ()
    over: str | None = None


def verify(member: Member, *, export_time: ExportTime | None = None) -> Iterator[Verdict]:
    """Compare this member's deliveries, or the one of an export time, with what the destination holds now.

    Also removes what lost attempts may have left since the last sweep, and files whose time is over.

    Raises:
        DeclarationError: nothing was delivered at this export time.
        DestinationRefused, TransientError: the destination cannot be read.
    """
    sweep(member)
    deliveries = member.context.ledger.committed(member.environment, member.exports, member.members)
    if export_time is not None:
        deliveries = [delivery for delivery in deliveries if delivery.export_time == export_time]
        if not deliveries:
            raise DeclarationError(
                f"{member.export_id}/{member.id} has no committed delivery at {export_time}.",
                next_step="`cdp-exports history` shows those there are.",
            )
    for delivery in deliveries:
        yield inspect(member, delivery, against_source=True)


def inspect(member: Member, delivery: Delivery, *, against_source: bool) -> Verdict:
    """Compare one committed delivery with the destination, and with the source where its versions are still there."""
    assert delivery.state is State.COMMITTED
    if is_to_audience(delivery.pin):
        return _of_audience(member, delivery)
    destination = member.destination_of(delivery.pin)
    differences = list(_manifest_differences(destination, delivery))
    over = _over(member, delivery)
    if over is not None:
        return Verdict(delivery, destination.uri(delivery.pin.folder), 0, 0, tuple(differences), (over,), over)
    differences += _latest_differences(destination, delivery)
    for file in delivery.files:
        member.context.progress(member.id, f"reading {file.path.rpartition('/')[2]}", 0, file.rows)
        differences += _file_differences(destination, file)
    notes: list[str] = []
    if against_source and not differences and delivery.pin.recipients:
        notes.append("not compared with the source: only the owners of the keys can decrypt the files")
    elif against_source and not differences:
        try:
            with reading_of(member, delivery, withhold=False) as reading:
                difference = content_differs(destination, delivery, reading)
                if difference and _may_withhold(member, delivery, reading):
                    notes.append("not compared with the source: consent or suppression may be others than when it was delivered")
                elif difference:
                    differences.append(difference)
        except HistoryLost as lost:
            notes.append(f"not compared with the source, whose history is gone: {lost.message}")
    uri = destination.uri(delivery.pin.folder)
    return Verdict(delivery, uri, len(delivery.files), delivery.bytes or 0, tuple(differences), tuple(notes))


def _of_audience(member: Member, delivery: Delivery) -> Verdict:
    """An audience cannot be read back; what is known of it must be there for the next delivery to go on from."""
    differences: tuple[str, ...] = ()
    last = member.last_committed()
    if last is not None and last.id == delivery.id:
        try:
            held.refuse_if_lost(member.context.open_state(), member.chain_up_to(delivery))
        except HistoryLost as lost:
            differences = (lost.message,)
    note = "counted from the receiver's answers: an audience cannot be read back"
    return Verdict(delivery, member.uri_of(delivery.pin), 0, 0, differences, (note,))


def _may_withhold(member: Member, delivery: Delivery, reading: Reading) -> bool:
    """Whether fewer may have been sent than the sources say: a replay takes away who withdrew, and of fulls nobody keeps whom."""
    audience = member.audience
    if audience is None or not audience.guards or delivery.counts is None:
        return False
    of_several = audience.contacts is not None and audience.contacts.how != "explode"  # nobody keeps which contacts stood in a row
    return of_several or delivery.counts.held is None or delivery.counts.delivered < (reading.expected or 0)


def _over(member: Member, delivery: Delivery) -> str | None:
    newer, expired = replaced_by(member, delivery), expired_at(member, delivery)
    if newer is not None:
        return f"its files were replaced by those of {newer}"
    return f"its files were removed when their time was over, {expired:%Y-%m-%d %H:%M} UTC" if expired and delivery.files else None


def _latest_differences(destination: FileDestination, delivery: Delivery) -> Iterator[str]:
    """What receivers of fixed names look at tells of this delivery, the newest."""
    path = manifest.latest_of(delivery.pin)
    if path is None:
        return
    found = _manifest_at(destination, path)
    if isinstance(found, str):
        yield found
    elif (found.delivery, found.attempt) != (delivery.id, delivery.attempt_id):
        yield f"{destination.uri(path)} tells of the delivery of {found.export_time}"


def _manifest_differences(destination: FileDestination, delivery: Delivery) -> Iterator[str]:
    path = manifest.path_of(delivery.pin)
    found = _manifest_at(destination, path)
    if isinstance(found, str):
        yield found
    elif found.delivery != delivery.id:
        yield f"{destination.uri(path)} is of another delivery, {found.delivery}"
    elif found.attempt != delivery.attempt_id:
        yield f"{destination.uri(path)} was written by attempt {found.attempt}, the ledger holds {delivery.attempt_id}"
    elif _by_path(manifest.files_of(found, delivery.pin.folder)) != _by_path(delivery.files):
        yield f"{destination.uri(path)} lists other files than the ledger"
    elif manifest.counts_of(found) != delivery.counts:
        yield f"{destination.uri(path)} counts other rows than the ledger"


def _manifest_at(destination: FileDestination, path: str) -> manifest.Manifest | str:
    """The manifest; or what is wrong with it, as a sentence."""
    content = destination.read(path)
    if content is None:
        return f"{destination.uri(path)} is missing"
    try:
        return manifest.decode(content, destination.uri(path))
    except NotIntact as error:
        return error.message


def _by_path(files: Iterable[FileRecord]) -> dict[str, FileRecord]:
    """As delivered, whatever was removed since."""
    return {file.path: file.model_copy(update={"removed": False}) for file in files}


def _file_differences(destination: FileDestination, file: FileRecord) -> Iterator[str]:
    chunks = destination.stream(file.path)
    if chunks is None:
        yield f"{destination.uri(file.path)} is missing"
        return
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
    if size != file.bytes:
        yield f"{destination.uri(file.path)} has {size} bytes, delivered were {file.bytes}"
    elif digest.hexdigest() != file.sha256:
        yield f"{destination.uri(file.path)} has another content than was delivered"
