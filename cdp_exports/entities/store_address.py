"""How the folder of an object store and the store's address are written."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def _a_folder(value: str) -> str:
    if value and (_FORBIDDEN.search(value) or any(part in ("", ".", "..") for part in value.split("/"))):
        raise ValueError("write folder names joined by single slashes, without . and .. and backslashes, no slash at the ends")
    return value


def _an_endpoint(value: str) -> str:
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname or url.username or url.query or url.fragment:
        raise ValueError("write https://host or https://host:port, without a user, a password or a query")
    return value


StoreFolder = Annotated[str, AfterValidator(_a_folder)]
"""A folder in a bucket or container; empty: the bucket itself."""

Endpoint = Annotated[str, AfterValidator(_an_endpoint)]
"""A store's URL."""


def plain_endpoint(endpoint: str) -> str:
    """An endpoint in the one way that all ways to write it share.

    >>> plain_endpoint("HTTPS://Minio.internal:443/")
    'https://minio.internal'
    """
    url = urlsplit(endpoint)
    port = f":{url.port}" if url.port not in (None, _DEFAULT_PORTS.get(url.scheme)) else ""
    return f"{url.scheme}://{url.hostname}{port}{url.path.rstrip('/')}"


def folders(path: str) -> list[str]:
    """The names in a path of folders.

    >>> folders("/cdp/orders")
    ['cdp', 'orders']
    """
    return [part for part in path.split("/") if part]
