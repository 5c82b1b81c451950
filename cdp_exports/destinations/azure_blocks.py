"""Blobs in blocks, each checked on arrival: https://learn.microsoft.com/rest/api/storageservices/put-block.

A block's id holds its MD5. Azure compares that with what arrived, so a blob that is made of the right ids is the right blob.
"""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from threading import Event
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

from cdp_exports.destinations.azure_errors import ALTERED, ANSWERS, NO_CONTAINER
from cdp_exports.destinations.azure_sign_in import SignIn
from cdp_exports.destinations.http_session import http_session
from cdp_exports.destinations.patience import Patience
from cdp_exports.destinations.store_errors import not_reached
from cdp_exports.errors import TransientError

if TYPE_CHECKING:
    from requests import Response

_VERSION = "2021-12-02"
_ID = struct.Struct(">I16s")
_PIECE = 256 << 10  # sending one is bounded in time; a slow line takes long for a whole block


@dataclass(frozen=True)
class Block:
    """One part of a blob: where it stands in order, and the MD5 of its content."""

    index: int
    md5: bytes

    @property
    def id(self) -> str:
        return base64.b64encode(_ID.pack(self.index, self.md5)).decode()


class Blocks:
    """The requests that obstore does not make. `url`: the container's; `prefix`: what paths count from."""

    def __init__(self, url: str, prefix: str, signed_in: SignIn, patience: Patience, place: str) -> None:
        self._url, self._prefix, self._signed_in, self._place = url, prefix, signed_in, place
        self._timeout = (patience.connect, patience.request)
        self._session = http_session(patience.retries)

    def put(self, path: str, block: Block, content: bytes, given_up: Event) -> None:
        """Send a block, unless it is given up on the way. Nobody sees it before it is committed."""
        headers = {"Content-MD5": base64.b64encode(block.md5).decode()}
        reply = self._ask("PUT", path, {"comp": "block", "blockid": block.id}, _Body(content, given_up), headers)
        if reply.status_code == 400 and ALTERED.search(reply.text):
            raise TransientError(f"{self._place}: what arrived was not what was sent.", next_step="Run it again.")
        self._check(reply)

    def commit(self, path: str, blocks: Sequence[Block]) -> None:
        """Make these blocks the blob, in the place of what stands there. Doing it twice is doing it once."""
        listed = "".join(f"<Latest>{block.id}</Latest>" for block in blocks)
        content = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'.encode()
        self._check(self._ask("PUT", path, {"comp": "blocklist"}, _Body(content)))

    def committed(self, path: str) -> tuple[int, Sequence[bytes]] | None:
        """The size of a blob, and the MD5 of each of its blocks, empty where it was not made of such; None where there is no blob."""
        reply = self._ask("GET", path, {"comp": "blocklist", "blocklisttype": "committed"})
        if reply.status_code == 404 and not NO_CONTAINER.search(reply.text):
            return None
        self._check(reply)
        found = ET.fromstring(reply.content).findall("./CommittedBlocks/Block")  # noqa: S314 of a store that is trusted with the data itself
        ids = [base64.b64decode(block.findtext("Name", "")) for block in found]
        size = sum(int(block.findtext("Size", "0")) for block in found)
        if any(len(name) != _ID.size for name in ids) or [_ID.unpack(name)[0] for name in ids] != list(range(len(ids))):
            return size, ()
        return int(reply.headers.get("x-ms-blob-content-length", size)), [_ID.unpack(name)[1] for name in ids]

    def _ask(
        self, method: str, path: str, query: Mapping[str, str], body: _Body | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        import requests

        url = f"{self._url}/{quote(self._prefix + path, safe='/~')}?{urlencode(query)}"
        said = {
            "x-ms-date": formatdate(usegmt=True),
            "x-ms-version": _VERSION,
            "Content-Length": str(body.size if body else 0),
            **(headers or {}),
        }
        url, said = self._signed_in.sign(method, url, said | dict(headers or {}))
        try:
            return self._session.request(method, url, data=body, headers=said, timeout=self._timeout, allow_redirects=False)
        except requests.RequestException as error:
            raise not_reached(str(error), self._place) from None

    def _check(self, reply: Response) -> None:
        if reply.status_code >= 300:
            raise self._signed_in.failure(self._place) or ANSWERS.of_reply(reply.status_code, reply.text, self._place)


class _Body(io.BytesIO):
    """Sent in larger pieces than http.client asks for, and no further once it is given up."""

    def __init__(self, content: bytes, given_up: Event | None = None) -> None:
        super().__init__(content)
        self.size = len(content)
        self._given_up = given_up

    def read(self, size: int | None = -1, /) -> bytes:
        if self._given_up and self._given_up.is_set():
            raise _GivenUp
        return super().read(_PIECE if size and size > 0 else size)


class _GivenUp(Exception):
    """Not tried again by urllib3, as what is known to it would be."""
