"""The frozen `Settings`, and the only place that reads the environment.

Every setting can be given as an argument, or as a variable `IMGSEARCH_<NAME>`; arguments win. It knows nothing of
what the settings are used for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from imgsearch.core.errors import ConfigError

__all__ = ["Settings", "cpu_count", "index_token", "replica_token", "user_cache_dir", "user_data_dir"]

PREFIX = "IMGSEARCH_"


def user_data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for this user's catalogs: the platform's data folder, `imgsearch` inside it."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    elif sys.platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "imgsearch"


def user_cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for what can be made again: the platform's cache folder, `imgsearch` inside it."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "Cache"
    else:
        base = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "imgsearch"


def cpu_count() -> int:
    """Return how many processors this process may use (its affinity, not the machine's total)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def index_token(environ: Mapping[str, str] = os.environ) -> str:
    """Return `user:password` or the token for an index on another machine; it is kept nowhere else."""
    return environ.get(PREFIX + "INDEX_TOKEN", "")


def replica_token(environ: Mapping[str, str] = os.environ) -> str:
    """Return the secret that a writer and its replicas share, "" where there is none."""
    return environ.get(PREFIX + "REPLICA_TOKEN", "")


@dataclass(frozen=True, slots=True)
class Settings:
    """How this process runs; each field is documented by its line in `docs/configuration.md`."""

    catalog: Path
    encoder: str = "auto"
    index: str = ""
    device: str = ""
    backend: str = "auto"
    threads: int = 0
    workers: int = 0
    max_upload_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 100_000_000
    max_results: int = 500
    thumbnail_cache_bytes: int = 2 * 1024**3
    upload_cache_bytes: int = 256 * 1024**2
    map_memory_bytes: int = 0
    feedback: bool = True
    titles: bool = True
    find_duplicates: bool = True
    keep_events_days: int = 0
    host: str = "127.0.0.1"
    port: int = 8501
    title: str = "imgsearch"
    cors_origins: str = ""
    replica_of: str = ""

    @staticmethod
    def load(environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
        """Return the settings: `given` (None means not given), else the environment's, else the defaults.

        Raises `ConfigError` naming the variable whose value does not fit.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {"catalog": user_data_dir(environ) / "catalog"}
        known = {field.name: field for field in fields(Settings)}
        for name in known:
            text = environ.get(PREFIX + name.upper())
            if text:
                values[name] = _parse(name, str(known[name].type), text)
        for name, value in given.items():
            if name not in known:
                raise ConfigError(
                    f"There is no setting named {name!r}; known are {', '.join(sorted(known))}."
                )
            if value is not None:
                values[name] = value
        values["catalog"] = Path(values["catalog"]).expanduser()
        settings = Settings(**values)
        settings._check()
        return settings

    def _check(self) -> None:
        at_least = {
            "threads": 0,
            "workers": 0,
            "max_upload_bytes": 1024,
            "max_pixels": 10_000,
            "max_results": 1,
            "thumbnail_cache_bytes": 0,
            "upload_cache_bytes": 0,
            "map_memory_bytes": 0,
            "keep_events_days": 0,
            "port": 0,
        }
        for name, lowest in at_least.items():
            if getattr(self, name) < lowest:
                raise ConfigError(f"{name} is {getattr(self, name)}, but must be at least {lowest}.")
        if self.replica_of and not self.replica_of.startswith(("http://", "https://")):
            raise ConfigError(
                f"replica_of is {self.replica_of!r}, but must be the writer's address, http://..."
            )
        if self.port > 65535:
            raise ConfigError(f"port is {self.port}, but must be at most 65535.")

    @property
    def worker_threads(self) -> int:
        """How many threads heavy work may use: `threads`, or every processor this process has."""
        return self.threads or cpu_count()

    @property
    def worker_processes(self) -> int:
        """How many processes a long indexing run may use beside its own: `workers`, or as many as threads."""
        return self.workers or self.worker_threads


def _parse(name: str, kind: str, text: str) -> Any:
    """Return an environment variable's text as a value of the field's declared type."""
    variable = PREFIX + name.upper()
    if kind == "int":
        try:
            return int(text)
        except ValueError:
            raise ConfigError(f"{variable} is {text!r}, but must be a whole number.") from None
    if kind == "bool":
        lowered = text.strip().lower()
        if lowered in {"1", "true", "yes", "on"}:
            return True
        if lowered in {"0", "false", "no", "off"}:
            return False
        raise ConfigError(f"{variable} is {text!r}, but must be true or false.")
    return Path(text) if kind == "Path" else text
