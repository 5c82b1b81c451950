"""Comparing a printed document with the documented example."""

from __future__ import annotations

from typing import Any

FREE = {"declaration", "left_out", "exits", "adopted", "versions", "contact", "key", "formats"}
"""Keys whose value may have keys of its own making; a list has not."""


def same_keys(printed: Any, documented: Any, at: str = "") -> list[str]:
    """Where two documents differ in their keys; of a list every printed item must look like one of the documented ones."""
    if isinstance(printed, dict) and isinstance(documented, dict):
        found = [f"{at}: {sorted(set(printed) ^ set(documented))}"] if set(printed) != set(documented) else []
        return found + [
            difference
            for key in set(printed) & set(documented)
            if key not in FREE or isinstance(documented[key], list)
            for difference in same_keys(printed[key], documented[key], f"{at}.{key}")
        ]
    if isinstance(printed, list) and isinstance(documented, list) and documented:
        return [
            difference for item in printed for difference in min((same_keys(item, example, f"{at}[]") for example in documented), key=len)
        ]
    return []
