"""Where runs are executed: beside this process, or where this machine's files are not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dagster import DagsterInstance, DefaultRunLauncher


def elsewhere(instance: DagsterInstance) -> str | None:
    """The name of the launcher that takes an instance's runs to other machines; None where they run on this one."""
    if instance.is_ephemeral:
        return None
    launcher = type(instance.run_launcher)
    return None if issubclass(launcher, DefaultRunLauncher) else launcher.__name__


def configured_elsewhere(environ: Mapping[str, str]) -> str | None:
    """As `elsewhere`, of the dagster.yaml in Dagster's home; None too where there is no home yet."""
    home = environ.get("DAGSTER_HOME")
    config = Path(home, "dagster.yaml") if home else None
    if config is None or not config.is_file():
        return None
    import yaml

    settings: dict[str, dict[str, str]] | None = yaml.safe_load(config.read_text(encoding="utf-8"))
    launcher = ((settings or {}).get("run_launcher") or {}).get("class", DefaultRunLauncher.__name__)
    return None if launcher == DefaultRunLauncher.__name__ else launcher
