"""Where rows come from."""

from cdp_exports.sources.open import open_source
from cdp_exports.sources.reading import reading

__all__ = ["open_source", "reading"]
