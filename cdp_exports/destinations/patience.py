"""How long to wait for an object store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig


@dataclass(frozen=True)
class Patience:
    """Times in seconds; `request` bounds one request, a part's upload included."""

    connect: float = 10
    request: float = 120
    retries: int = 6
    retry_for: float = 180

    def client(self, endpoint_url: str | None) -> ClientConfig:
        """obstore's options for requests to an address."""
        return {
            "allow_http": (endpoint_url or "").lower().startswith("http://"),
            "connect_timeout": timedelta(seconds=self.connect),
            "timeout": timedelta(seconds=self.request),
        }

    def retry(self, retries: int) -> RetryConfig:
        """obstore's options for repeating requests so many times."""
        return {"max_retries": retries, "retry_timeout": timedelta(seconds=self.retry_for)}
