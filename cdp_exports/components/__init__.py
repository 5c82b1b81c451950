"""What `dg` lists for other projects: a catalog as one component.

Every project that has this package installed imports this module whenever it loads, so nothing heavy stands here.
"""

from __future__ import annotations

from cdp_exports.components.catalog_component import CdpExportsComponent

__all__ = ["CdpExportsComponent"]
