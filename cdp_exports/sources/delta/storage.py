"""The table's folder, on disk or in an object store: its log entries, and whether data files still exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from cdp_exports.errors import TransientError

if TYPE_CHECKING:
    from deltalake.fs import DeltaStorageHandler

_AT_ONCE = 16
_CHUNK = 8 << 20


@dataclass(frozen=True)
class Storage:
    """`uri`: an absolute path or an object store's URI, without a trailing slash; `options`: the store's, for deltalake and Polars."""

    uri: str
    options: Mapping[str, str]

    @cached_property
    def _files(self) -> DeltaStorageHandler:
        from deltalake.fs import DeltaStorageHandler

        return DeltaStorageHandler(self.uri, dict(self.options))

    @cached_property
    def scan_options(self) -> dict[str, Any] | None:
        """The options as Polars wants them: the same names, but it counts retries with a number."""
        retries = {name: int(value) for name, value in self.options.items() if name == "max_retries"}
        return {**self.options, **retries} or None

    def location(self, path: str) -> str:
        """Where a path of the log lies: percent-decoded once (the log holds URIs), absolute unless it already was."""
        path = unquote(path)
        if path.startswith("file://"):
            return path.removeprefix("file://")
        return path if "://" in path or path.startswith("/") else f"{self.uri}/{path}"

    def read(self, path: str) -> bytes | None:
        """The content of a file below the table's folder, None where there is none."""
        try:
            file = cast("Any", self._files.open_input_file(path))
            return bytes(file.read(file.size()))
        except FileNotFoundError:
            return None

    def chunks(self, path: str) -> Iterator[bytes]:
        """The content of a file, in chunks.

        Raises:
            FileNotFoundError: there is none.
            TransientError: it was replaced meanwhile.
        """
        before = self._info(path)
        file = cast("Any", self._files.open_input_file(path))
        left = int(file.size())
        while left:
            chunk = bytes(file.read(min(left, _CHUNK)))
            left -= len(chunk)
            yield chunk
        after = self._info(path)
        if (after.size, after.mtime) != (before.size, before.mtime):
            raise TransientError(f"{self.location(path)} was replaced while it was read.", next_step="It is tried again.")

    def read_all(self, paths: Iterable[str]) -> list[bytes | None]:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self.read, paths))

    def missing(self, locations: Iterable[str]) -> list[str]:
        """Those that no longer exist. Locations outside the table's folder (shallow clones) are not looked at."""
        prefix = f"{self.uri}/"
        inside = [location for location in locations if location.startswith(prefix)]
        if not inside:
            return []
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            exists = pool.map(self.exists, [location.removeprefix(prefix) for location in inside])
            return [location for location, there in zip(inside, exists, strict=True) if not there]

    def exists(self, path: str) -> bool:
        """Whether there is such a file below the table's folder."""
        return self._info(path).is_file

    def modified(self, path: str) -> datetime:
        """When a file was last written; the beginning of 1970 if the store does not say."""
        return self._info(path).mtime or datetime.fromtimestamp(0, UTC)

    def _info(self, path: str) -> Any:
        return cast("list[Any]", self._files.get_file_info([path]))[0]
