"""The frozen `Settings` of a process, and the only code that reads the environment.

Every setting is an argument of `Settings.load` or a variable `IMGSEARCH_<NAME>`; arguments win.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from imgsearch.core.base_path import clean_base_path
from imgsearch.core.errors import ConfigError

PREFIX = "IMGSEARCH_"


def user_data_dir() -> Path:
    """Return the folder for this user's catalogs."""
    return platformdirs.user_data_path("imgsearch", appauthor=False)


def user_cache_dir() -> Path:
    """Return the folder for files that can be computed again."""
    return platformdirs.user_cache_path("imgsearch", appauthor=False)


def cpu_count() -> int:
    """Return the number of processors in this process's affinity, which can be fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def index_token() -> str:
    """Return the credentials of a remote index, `user:password` or a token; "" without."""
    return os.environ.get(PREFIX + "INDEX_TOKEN", "")


def replica_token() -> str:
    """Return the secret that a writer and its replicas share; "" without."""
    return os.environ.get(PREFIX + "REPLICA_TOKEN", "")


def write_token() -> str:
    """Return the secret with which programs may change the catalog over HTTP; "" without."""
    return os.environ.get(PREFIX + "WRITE_TOKEN", "")


class Settings(BaseSettings):
    """The settings of one process; the descriptions of the fields are the settings reference."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    catalog: Path = Field(default_factory=lambda: user_data_dir() / "catalog")
    """The folder of the catalog: database, embeddings, index, thumbnails. Copying it copies the catalog. The
    default is `imgsearch/catalog` in the user's data folder."""
    encoder: str = "auto"
    """The encoder of a *new* catalog: `auto`, `lite`, `open_clip:MODEL/TAG` or `open_clip:local-dir:FOLDER`.
    A catalog keeps its first one."""
    index: str = ""
    """Where the index is stored: `milvus://host:19530`, or `local` for the catalog's own folder. The default
    is what the catalog remembers, at first `local`."""
    device: str = ""
    """Where the model runs: `cpu`, `cuda`, `mps`. The default is the fastest available."""
    backend: str = "auto"
    """The library that computes the image side of `lite` on a CPU: `torch`, `onnx` (ONNX Runtime, `pip
    install 'imgsearch[onnx]'`), or `auto`, the faster of the two by a trial of about a second at the first
    start on a machine (stored in the user's cache folder). Their embeddings agree to a cosine of at least
    0.999. open_clip models always run in torch."""
    threads: int = Field(default=0, ge=0)
    """Threads for decoding, encoding, indexing and the API's searches; 0 is every processor."""
    workers: int = Field(default=0, ge=0)
    """Processes that `imgsearch index` starts for a thousand photos or more: with `lite` they also encode,
    for a model on a GPU they decode photos. Each needs about 1 GiB; fewer start where memory is short. 0 is
    as many as threads; 1 uses threads in one process."""
    max_upload_bytes: int = Field(default=20 * 1024**2, ge=1024)
    """The largest picture, in bytes, that a visitor or an API client may send."""
    max_import_bytes: int = Field(default=2 * 1024**3, ge=1024)
    """The most bytes that one import over HTTP may send: a feed, photos and archives together."""
    max_pixels: int = Field(default=100_000_000, ge=10_000)
    """The largest picture, in pixels, that is decoded. It is checked before decoding, so that a decompression
    bomb costs nothing."""
    max_results: int = Field(default=500, ge=1)
    """The most hits that one search of the API or the app returns."""
    availability_column: str = ""
    """The column that says what is in stock, for `in_stock=true`: true, a number above 0, or a text such as
    `in stock`. Empty: it is recognised by its name (`availability`, `in_stock`, `stock`, `quantity`, ...)."""
    thumbnail_cache_bytes: int = Field(default=2 * 1024**3, ge=0)
    """Disk space for thumbnails; the oldest are deleted first, and made again on request."""
    upload_cache_bytes: int = Field(default=256 * 1024**2, ge=0)
    """Disk space for visitors' pictures; the oldest are deleted first, and links to searches by them end."""
    map_memory_bytes: int = Field(default=0, ge=0)
    """Memory for computing the map of the Explore page; with less than the catalog needs, the map shows a
    sample and says so. 0 is half of the free memory."""
    max_removed: str = "20%"
    """How many of a source's items one run of `imgsearch index --prune` may remove: a share such as `20%` or a
    number such as `500`. Where more have vanished, nothing is removed. Up to 5 are always removed, unless they
    are more than half of the source."""
    feedback: bool = True
    """Whether impressions and clicks are recorded. Judgments are always recorded."""
    titles: bool = True
    """Whether searches by words compare the words with titles, brands and codes as well as with photos."""
    search_columns: str = ""
    """Further text columns whose words are found literally, separated by commas, beside titles, brands and codes
    (SKU, GTIN, MPN, id, ...): `material,collection`."""
    find_duplicates: bool = True
    """Whether near-duplicates are searched for automatically: after indexing for a tenth of its time, and the
    rest while the app runs. Otherwise by `imgsearch duplicates` or on the Duplicates page."""
    keep_events_days: int = Field(default=0, ge=0)
    """Impressions and clicks older than this many days are deleted once a day while the app runs; counts
    without names stay. 0 keeps all."""
    host: str = "127.0.0.1"
    """The address that `serve` and `demo` listen at; `0.0.0.0` is every address."""
    port: int = Field(default=8501, ge=0, le=65535)
    """The port that `serve` and `demo` listen at; 0 picks a free one."""
    local_only: bool = False
    """Whether the server listens at loopback addresses only: then programs and pages of this machine may change
    the catalog without a token. `serve` and `demo` find it out by themselves: set `true` for `uvicorn app:app
    --host 127.0.0.1`, and `false` behind a proxy on the same machine that adds no `X-Forwarded-For`."""
    edit_pages: bool = False
    """Whether the app's pages may change the catalog although others than this machine reach them. Everyone who
    reaches the pages can then change it: put a proxy with a login in front."""
    title: str = "imgsearch"
    """The name in the browser's tab and on the API's page."""
    base_path: str = ""
    """The path below which a reverse proxy serves the app, such as `/search`. The proxy may keep this path in its
    requests or remove it. A proxy can also name it in the header `X-Forwarded-Prefix`. The default is none."""
    cors_origins: str = ""
    """Web origins, separated by spaces, whose pages may call the API from the browser, such as
    `https://shop.example`. `*` is every origin. The default is none."""
    replica_of: str = ""
    """The address of the writer, such as `http://writer:8501`: this process serves a copy of the catalog and
    sends its feedback there. The default is none."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: Any, *_: Any, **__: Any
    ) -> tuple[Any, ...]:
        """Use the arguments only: `load` reads the environment."""
        return (init_settings,)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
        """Return the settings: `given` (None means not given), else `environ` (`os.environ`), else the defaults.

        Raises `ConfigError`, which names the variable or the argument that is wrong.
        """
        source = EnvSettingsSource(cls)
        if environ is not None:
            source.env_vars = {name.lower(): text for name, text in environ.items() if text}
        variables = source()
        arguments = {name: value for name, value in given.items() if value is not None}
        try:
            return cls(**{**variables, **arguments})
        except ValidationError as error:
            raise ConfigError(_sentence(error.errors()[0], set(variables) - set(arguments))) from None

    @field_validator("catalog")
    @classmethod
    def _expand_user(cls, catalog: Path) -> Path:
        return catalog.expanduser()

    @field_validator("base_path")
    @classmethod
    def _check_base_path(cls, path: str) -> str:
        return clean_base_path(path)

    @field_validator("replica_of")
    @classmethod
    def _check_address(cls, address: str) -> str:
        if address and not address.startswith(("http://", "https://")):
            raise ValueError("an address that starts with http:// or https://")
        return address

    @property
    def worker_threads(self) -> int:
        """The number of threads for heavy work: `threads`, or every processor of this process."""
        return self.threads or cpu_count()

    @property
    def worker_processes(self) -> int:
        """The number of processes of a long indexing run: `workers`, or as many as threads."""
        return self.workers or self.worker_threads


def _sentence(error: ErrorDetails, from_environment: set[str]) -> str:
    """Return what is wrong with one setting, with the name of its variable if it was read from the environment."""
    field, kind, context = str(error["loc"][0]), error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"There is no setting named {field!r}; known are {', '.join(sorted(Settings.model_fields))}."
    must_be = {
        "greater_than_equal": f"at least {context.get('ge')}",
        "less_than_equal": f"at most {context.get('le')}",
        "value_error": str(context.get("error")),
    }.get(kind)
    if must_be is None:
        must_be = {"int": "a whole number", "bool": "true or false"}.get(kind.split("_")[0], "a text")
    name = PREFIX + field.upper() if field in from_environment else field
    return f"{name} is {error['input']!r}, but must be {must_be}."
