"""The Milvus engine: vectors on a server or a cluster, with the metadata rows that filters need.

Addresses: `milvus://host[:19530][/database]`, `milvus+tls://host`, or `milvus:///data/shop.db` (Milvus Lite: a file,
for one process). A collection has the fields `key` (uint64 read as int64), `vector`, `row` (JSON, see
`milvus_filters.row_document`) and `digest` (of the row). Searches use an alias, so activating a rebuilt collection
switches every client at once. The only file that imports pymilvus; its failures become `IndexUnavailable`.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import ConfigError, IndexCorrupt, IndexUnavailable
from imgsearch.core.key_arrays import Keys
from imgsearch.index.base import Vectors, check_rows

Rows = Sequence[Mapping[str, Any]]

DEFAULT_PORT = 19530
CONNECT_TIMEOUT_S = 10.0
CALL_TIMEOUT_S = 60.0
MAX_K = 16_384  # Milvus' limit of hits
PUSH_BATCH = 2000  # rows in one message: 4 MB at 512 dimensions, far below gRPC's limit of 64 MB
LIST_BATCH = 10_000
MAX_NAME_BYTES = 64

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class MilvusAddress:
    """A parsed address: pymilvus' `uri`, the `database` ("" is the default), and the address as `text`."""

    uri: str
    database: str
    text: str

    @staticmethod
    def parse(text: str) -> MilvusAddress:
        """Return the parsed address; raises `ConfigError`."""
        parts = urlsplit(text)
        try:
            port = parts.port or DEFAULT_PORT
        except ValueError:
            raise ConfigError(
                f"The index address {text!r} has no valid port; write milvus://host:19530."
            ) from None
        if parts.scheme not in ("milvus", "milvus+tls"):
            raise ConfigError(
                f"The index address {text!r} is invalid; write local, milvus://host:19530 or milvus:///file.db."
            )
        if parts.username or parts.password:
            raise ConfigError(
                "The index address contains a password, which the catalog would store; "
                "remove it and set IMGSEARCH_INDEX_TOKEN=user:password."
            )
        path = unquote(parts.path)
        if not parts.hostname:
            if not path.endswith(".db"):
                raise ConfigError(
                    f"The index address {text!r} has neither a host nor a file that ends in .db."
                )
            return MilvusAddress(str(Path(path).expanduser()), "", text)
        protocol = "https" if parts.scheme == "milvus+tls" else "http"
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return MilvusAddress(f"{protocol}://{host}:{port}", path.strip("/"), text)


class MilvusIndex:
    """One collection of a Milvus; safe to use from many threads.

    A client finds its own writes at once (session consistency); `len` and `digests` include those of every client.
    """

    def __init__(
        self, address: str, name: str, dim: int, *, token: str = "", fresh: bool = False, create: bool = True
    ) -> None:
        """Open the collection behind the alias `name`, or create it (always with `fresh`, which leaves the alias).

        Raises `ConfigError` for an invalid address or without pymilvus, `IndexUnavailable` where nothing answers or
        the collection is missing and not `create`, `IndexCorrupt` where the collection has another dimension.
        """
        self.address = MilvusAddress.parse(address)
        if _NAME.fullmatch(name) is None or len(name) > MAX_NAME_BYTES:
            raise ConfigError(
                f"{name!r} is not a valid name of a Milvus collection: use letters, digits and _."
            )
        self._name = name
        self._dim = dim
        self._adding = threading.Lock()
        self._client = _connect(self.address, token)
        with self._translated():
            exists = self._alias_exists()
            if not exists and not create:
                raise IndexUnavailable(
                    f"The index {address} does not contain this catalog yet; start the server that writes it first."
                )
            # By its alias, so that a collection activated by another process is searched at once.
            self._collection = name if exists and not fresh else self._create(self._unused_name())
            if not fresh:
                self.activate()
            self._check_dim()

    @property
    def parameters(self) -> dict[str, Any]:
        """The engine, its address and its settings, for the header."""
        return {
            "engine": "milvus",
            "metric": "cos",
            "dtype": "f32",
            "address": self.address.text,
            "collection": self._name,
            "graph": "AUTOINDEX",
        }

    def __len__(self) -> int:
        with self._translated():
            found = self._client.query(
                self._collection,
                filter="",
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=CALL_TIMEOUT_S,
            )
        return int(found[0]["count(*)"])

    def digests(self) -> tuple[Keys, NDArray[np.str_]]:
        """Return all live keys, ascending, and the digests of their rows."""
        listed = sorted(self._listed())
        keys = np.array([key for key, _ in listed], np.uint64)
        return keys, np.array([digest for _, digest in listed], np.str_)

    def put(self, keys: Keys, vectors: Vectors, rows: Rows, digests: Sequence[str], *, new: bool) -> None:
        """Insert or replace keys with their vectors and rows; `new` promises that none of them is present."""
        check_rows(keys, vectors, self._dim)
        signed, write = _signed(keys), self._client.insert if new else self._client.upsert
        with self._adding, self._translated():
            for part in _batches(keys):
                columns = signed[part], vectors[part], rows[part], digests[part]
                batch = [
                    {"key": key, "vector": vector, "row": row, "digest": digest}
                    for key, vector, row, digest in zip(*columns, strict=True)
                ]
                write(self._collection, batch, timeout=CALL_TIMEOUT_S)

    def remove(self, keys: Keys) -> None:
        """Remove keys; unknown ones are ignored."""
        with self._translated():
            for part in _batches(keys):
                self._client.delete(self._collection, ids=_signed(keys[part]), timeout=CALL_TIMEOUT_S)

    def search(
        self, vector: Vectors, k: int, *, expansion: int | None = None, where: str = ""
    ) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) near a (dim,) vector, best first; at most `MAX_K`.

        `expansion` is HNSW's ef for this one search, `where` a filter expression that hits must match.
        """
        k = min(k, MAX_K)
        if k <= 0:
            return np.zeros(0, np.uint64), np.zeros(0, np.float32)
        settings = {} if expansion is None else {"ef": max(k, expansion)}
        with self._translated():
            hits = self._client.search(
                self._collection,
                [np.asarray(vector, np.float32)],
                limit=k,
                filter=where,
                search_params={"metric_type": "COSINE", "params": settings},
                output_fields=[],
                timeout=CALL_TIMEOUT_S,
            )[0]
        keys = np.array([hit["key"] for hit in hits], np.int64).view(np.uint64)
        return keys, np.array([hit["distance"] for hit in hits], np.float32)

    # --- collections ------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Wait until the server has written all changes to its storage."""
        with self._translated():
            self._client.flush(self._collection, timeout=CALL_TIMEOUT_S)

    def activate(self) -> None:
        """Point the alias at this collection, for every client at once, and drop the previous collection."""
        with self._translated():
            if self._collection == self._name:
                return
            change = self._client.alter_alias if self._alias_exists() else self._client.create_alias
            change(self._collection, self._name, timeout=CALL_TIMEOUT_S)
            for name in self._named():
                if name != self._collection:
                    self._client.drop_collection(name, timeout=CALL_TIMEOUT_S)
            self._collection = self._name

    def drop(self) -> None:
        """Drop the alias and all its collections, including those of interrupted rebuilds."""
        with self._translated():
            if self._alias_exists():
                self._client.drop_alias(self._name, timeout=CALL_TIMEOUT_S)
            for name in self._named():
                self._client.drop_collection(name, timeout=CALL_TIMEOUT_S)

    # --- internal ----------------------------------------------------------------------------------------------

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with _translated(self.address):
            yield

    def _named(self) -> list[str]:
        """Return the collections made for this alias."""
        ours = re.compile(rf"{re.escape(self._name)}_\d+")
        return [
            name for name in self._client.list_collections(timeout=CALL_TIMEOUT_S) if ours.fullmatch(name)
        ]

    def _alias_exists(self) -> bool:
        return any(
            self._name in self._client.list_aliases(name, timeout=CALL_TIMEOUT_S).get("aliases", ())
            for name in self._named()
        )

    def _unused_name(self) -> str:
        last = max((int(name.rpartition("_")[2]) for name in self._named()), default=0)
        return f"{self._name}_{last + 1}"

    def _create(self, collection: str) -> str:
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("key", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self._dim)
        schema.add_field("row", DataType.JSON)
        schema.add_field("digest", DataType.VARCHAR, max_length=MAX_NAME_BYTES)
        graph = MilvusClient.prepare_index_params()
        graph.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
        self._client.create_collection(
            collection, schema=schema, index_params=graph, consistency_level="Session", timeout=CALL_TIMEOUT_S
        )
        return collection

    def _check_dim(self) -> None:
        described = self._client.describe_collection(self._collection, timeout=CALL_TIMEOUT_S)
        dims = [field["params"].get("dim") for field in described["fields"] if field["name"] == "vector"]
        if [int(dim) for dim in dims if dim] != [self._dim]:
            raise IndexCorrupt(
                f"the Milvus collection {self._collection} has no vectors of {self._dim} dimensions"
            )

    def _listed(self) -> Iterator[tuple[int, str]]:
        """Yield (key, digest) of all rows."""
        with self._translated():
            pages = self._client.query_iterator(
                self._collection,
                batch_size=LIST_BATCH,
                output_fields=["key", "digest"],
                consistency_level="Strong",
                timeout=CALL_TIMEOUT_S,
            )
            try:
                while page := pages.next():
                    yield from ((int(row["key"]) & (2**64 - 1), row["digest"]) for row in page)
            finally:
                pages.close()


def _connect(address: MilvusAddress, token: str) -> Any:
    try:
        from pymilvus import MilvusClient
    except ImportError:
        raise ConfigError(
            f"The index {address.text} needs pymilvus; install it with: pip install 'imgsearch[milvus]'."
        ) from None
    # It logs a trace for every failed call; here each failure becomes an `IndexUnavailable`.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    if address.uri.endswith(".db"):
        Path(address.uri).parent.mkdir(parents=True, exist_ok=True)
    with _translated(address):
        return MilvusClient(address.uri, token=token, db_name=address.database, timeout=CONNECT_TIMEOUT_S)


@contextmanager
def _translated(address: MilvusAddress) -> Iterator[None]:
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        reason = " ".join(str(error.message or error).split())[:200].rstrip(".")
        raise IndexUnavailable(
            f"The index {address.text} cannot be used ({reason}); start its Milvus, or set another one with --index."
        ) from error
    except (ConnectionError, OSError) as error:
        raise IndexUnavailable(f"The index {address.text} cannot be reached ({error}).") from error


def _signed(keys: Keys) -> list[int]:
    """Return keys as Milvus stores them: the same 64 bits, signed."""
    signed: list[int] = np.ascontiguousarray(keys, np.uint64).view(np.int64).tolist()
    return signed


def _batches(keys: Keys) -> Iterator[slice]:
    return (slice(start, start + PUSH_BATCH) for start in range(0, len(keys), PUSH_BATCH))
