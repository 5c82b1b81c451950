"""The one job that may hold assets of different partitions.

Dagster makes it by itself of all assets of a code location. A job of our own could hold the exports of one set of
export times only, and a job per export makes a code location of a thousand exports ten times heavier to load. Its name
is private to Dagster (`dagster._core.definitions.assets.job.asset_job.IMPLICIT_ASSET_JOB_NAME`), so it stands in this
file alone, beside its test.
"""

from __future__ import annotations

IMPLICIT_ASSET_JOB = "__ASSET_JOB"
