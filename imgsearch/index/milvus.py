"""The Milvus engine: vectors on another machine, or on a cluster of them, with the rows they are filtered by.

The only file that imports pymilvus. It owns the grammar of addresses, the layout of a collection, and how a filter
becomes a Milvus expression; it knows no catalog. Every failure of the connection becomes `IndexUnavailable`.

    milvus://host:19530            a server or a cluster, over gRPC; the port may be left out
    milvus://host:19530/shop       its database `shop`
    milvus+tls://host              the same through TLS
    milvus:///data/shop.db         Milvus Lite: a file of this machine, for one process

A collection has four fields: `key` (the uint64 key, its bits read as int64), `vector`, `row` (JSON; see
`row_document`) and `digest` (what tells whether the row changed). The name that is searched is an alias, so that a
rebuilt collection is put in force for every client at once.
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.errors import ConfigError, IndexCorrupt, IndexUnavailable
from imgsearch.core.filter_grammar import ColumnKind, values_of
from imgsearch.core.query import Filter
from imgsearch.index.base import Keys, Vectors

__all__ = ["Column", "MilvusAddress", "MilvusIndex", "expression", "lowered", "row_document"]

Rows = Sequence[Mapping[str, Any]]

DEFAULT_PORT = 19530
CONNECT_S = 10.0
CALL_S = 60.0
MAX_K = 16_384
"""Milvus answers with at most so many hits."""
PUSH_AT_ONCE = 2000
"""Rows in one message: 4 MB at 512 dimensions, far below gRPC's limit of 64 MB."""
LIST_AT_ONCE = 10_000
MAX_EXPRESSION = 20_000
NAME_BYTES = 64

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_WILD = str.maketrans({"%": "_", "\\": "_"})


@dataclass(frozen=True, slots=True)
class MilvusAddress:
    """Where a Milvus is: `uri` as pymilvus takes it, `database` ("" is its default one)."""

    uri: str
    database: str
    text: str

    @staticmethod
    def parse(text: str) -> MilvusAddress:
        """Return the address that a text says; raises `ConfigError`."""
        parts = urlsplit(text)
        try:
            port = parts.port or DEFAULT_PORT
        except ValueError:
            raise ConfigError(
                f"The index address {text!r} has no valid port; write milvus://host:19530."
            ) from None
        if parts.scheme not in ("milvus", "milvus+tls"):
            raise ConfigError(
                f"The index address {text!r} is not understood; write local, milvus://host:19530 or milvus:///file.db."
            )
        if parts.username or parts.password:
            raise ConfigError(
                "The index address holds a password, which the catalog would remember; "
                "leave it out and set IMGSEARCH_INDEX_TOKEN=user:password."
            )
        path = unquote(parts.path)
        if not parts.hostname:
            if not path.endswith(".db"):
                raise ConfigError(f"The index address {text!r} names no host and no file that ends in .db.")
            return MilvusAddress(str(Path(path).expanduser()), "", text)
        protocol = "https" if parts.scheme == "milvus+tls" else "http"
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return MilvusAddress(f"{protocol}://{host}:{port}", path.strip("/"), text)


class MilvusIndex:
    """One collection of a Milvus; safe to use from many threads.

    What a client wrote, it finds (session consistency); `keys` and `digests` see what every client wrote.
    """

    def __init__(
        self, address: str, name: str, dim: int, *, token: str = "", fresh: bool = False, create: bool = True
    ) -> None:
        """Open the collection behind the alias `name`, making it where there is none, or anew with `fresh`.

        Without `create` it must be there already: only who keeps it in step makes one.

        Raises `ConfigError` for an address that is not understood or where pymilvus is not installed,
        `IndexUnavailable` where nothing answers, `IndexCorrupt` where the collection has another dimension.
        """
        self.address = MilvusAddress.parse(address)
        if _NAME.fullmatch(name) is None or len(name) > NAME_BYTES:
            raise ConfigError(
                f"{name!r} cannot be the name of a Milvus collection: use letters, digits and _."
            )
        self._name = name
        self._dim = dim
        self._adding = threading.Lock()
        self._client = _connect(self.address, token)
        with self._translated():
            there = self._in_force()
            if not there and not create:
                raise IndexUnavailable(
                    f"The index {address} does not hold this catalog yet; start its writer first."
                )
            if fresh or not there:
                self._collection = self._create(self._unused_name())
            else:
                # By its alias, so that a collection put in force by another process is searched at once.
                self._collection = name
            if not fresh:
                self.put_in_force()
            self._check_dim()

    @classmethod
    def load(cls, path: Path, dim: int, *, token: str = "", **_parameters: Any) -> MilvusIndex:
        """Return the index that `save` named in a file.

        Raises `IndexCorrupt` for a file that is no such one or of another dimension, and what opening raises.
        """
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            address, name, saved_dim = str(saved["address"]), str(saved["name"]), int(saved["dim"])
        except (OSError, ValueError, KeyError, TypeError):
            raise IndexCorrupt(f"{path} does not name a Milvus collection.") from None
        if saved_dim != dim:
            raise IndexCorrupt(f"{path} names a collection of {saved_dim} dimensions, not {dim}.")
        return cls(address, name, dim, token=token)

    # --- as any other index -----------------------------------------------------------------------------------

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return self._dim

    @property
    def parameters(self) -> dict[str, Any]:
        """The engine, where it is, and its settings, for the header."""
        return {
            "engine": "milvus",
            "metric": "cos",
            "dtype": "f32",
            "address": self.address.text,
            "collection": self._name,
            "graph": "AUTOINDEX",
        }

    def __len__(self) -> int:
        """Return the number of live keys; asks the server."""
        with self._translated():
            found = self._client.query(
                self._collection,
                filter="",
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=CALL_S,
            )
        return int(found[0]["count(*)"])

    def keys(self, *, where: str = "") -> Keys:
        """Return all live keys, or those whose rows meet an `expression`, ascending."""
        return np.sort(np.array([key for key, _ in self._listed(["key"], where)], np.uint64))

    def digests(self) -> tuple[Keys, NDArray[np.str_]]:
        """Return all live keys, ascending, and the digests their rows were put there with."""
        listed = sorted(self._listed(["key", "digest"]))
        keys = np.array([key for key, _ in listed], np.uint64)
        return keys, np.array([digest for _, digest in listed], np.str_)

    def add(
        self, keys: Keys, vectors: Vectors, rows: Rows | None = None, digests: Sequence[str] | None = None
    ) -> None:
        """Add (n,) new keys with their (n, dim) unit rows; a key that is already there raises ValueError."""
        self._check_vectors(keys, vectors)
        with self._adding:
            if present := self._present(keys):
                raise ValueError(
                    f"the index holds {len(present)} of the keys already, such as key {present[0]}"
                )
            self._push(self._client.insert, keys, vectors, rows, digests)

    def put(self, keys: Keys, vectors: Vectors, rows: Rows, digests: Sequence[str], *, new: bool) -> None:
        """Put keys there with their vectors and rows, in place of what was; `new` promises that nothing was."""
        self._check_vectors(keys, vectors)
        with self._adding:
            self._push(self._client.insert if new else self._client.upsert, keys, vectors, rows, digests)

    def remove(self, keys: Keys) -> None:
        """Forget the keys; unknown ones are ignored."""
        with self._translated():
            for part in _parts(keys):
                self._client.delete(self._collection, ids=_signed(keys[part]), timeout=CALL_S)

    def search(
        self, vector: Vectors, k: int, *, expansion: int | None = None, where: str = ""
    ) -> tuple[Keys, Vectors]:
        """Return up to k (keys, cosine similarities) near a (dim,) vector, best first; at most `MAX_K`.

        `expansion` is HNSW's ef for this one search. `where` is an `expression` that hits must meet.
        """
        k = min(k, MAX_K)
        if k <= 0:
            return np.zeros(0, np.uint64), np.zeros(0, np.float32)
        effort = {} if expansion is None else {"ef": max(k, expansion)}
        with self._translated():
            hits = self._client.search(
                self._collection,
                [np.asarray(vector, np.float32)],
                limit=k,
                filter=where,
                search_params={"metric_type": "COSINE", "params": effort},
                output_fields=[],
                timeout=CALL_S,
            )[0]
        keys = np.array([hit["key"] for hit in hits], np.int64).view(np.uint64)
        return keys, np.array([hit["distance"] for hit in hits], np.float32)

    def save(self, path: Path) -> None:
        """Have the server write everything to its storage, and write to one file where the index is."""
        self.flush()
        document = {"address": self.address.text, "name": self._name, "dim": self._dim}
        path.write_text(json.dumps(document), encoding="utf-8")

    # --- as a shared one --------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Return when the server has written to its storage what it was given."""
        with self._translated():
            self._client.flush(self._collection, timeout=CALL_S)

    def put_in_force(self) -> None:
        """Point the alias at this collection, for every client at once, and drop the one it pointed at before."""
        with self._translated():
            if self._collection == self._name:
                return
            change = self._client.alter_alias if self._in_force() else self._client.create_alias
            change(self._collection, self._name, timeout=CALL_S)
            for name in self._named():
                if name != self._collection:
                    self._client.drop_collection(name, timeout=CALL_S)
            self._collection = self._name

    def drop(self) -> None:
        """Delete the collection, its alias and what a broken rebuild left."""
        with self._translated():
            if self._in_force():
                self._client.drop_alias(self._name, timeout=CALL_S)
            for name in self._named():
                self._client.drop_collection(name, timeout=CALL_S)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    # --- inside -----------------------------------------------------------------------------------------------

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with _translated(self.address):
            yield

    def _named(self) -> list[str]:
        """Return the collections that are, were or shall be behind the alias."""
        ours = re.compile(rf"{re.escape(self._name)}_\d+")
        return [name for name in self._client.list_collections(timeout=CALL_S) if ours.fullmatch(name)]

    def _in_force(self) -> bool:
        """Return whether the alias points at a collection."""
        return any(
            self._name in self._client.list_aliases(name, timeout=CALL_S).get("aliases", ())
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
        schema.add_field("digest", DataType.VARCHAR, max_length=NAME_BYTES)
        graph = MilvusClient.prepare_index_params()
        graph.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
        self._client.create_collection(
            collection, schema=schema, index_params=graph, consistency_level="Session", timeout=CALL_S
        )
        return collection

    def _check_dim(self) -> None:
        described = self._client.describe_collection(self._collection, timeout=CALL_S)
        dims = [field["params"].get("dim") for field in described["fields"] if field["name"] == "vector"]
        if [int(dim) for dim in dims if dim] != [self._dim]:
            raise IndexCorrupt(
                f"the Milvus collection {self._collection} has no vectors of {self._dim} dimensions"
            )

    def _check_vectors(self, keys: Keys, vectors: Vectors) -> None:
        if vectors.shape != (len(keys), self._dim) or not np.isfinite(vectors).all():
            raise ValueError(f"expected {len(keys)} finite rows of {self._dim} numbers, got {vectors.shape}")

    def _present(self, keys: Keys) -> list[int]:
        """Return which of the keys are there."""
        found: list[int] = []
        with self._translated():
            for part in _parts(keys):
                rows = self._client.query(
                    self._collection,
                    ids=_signed(keys[part]),
                    output_fields=["key"],
                    consistency_level="Strong",
                    timeout=CALL_S,
                )
                found += [int(row["key"]) & (2**64 - 1) for row in rows]
        return found

    def _push(
        self,
        write: Callable[..., Any],
        keys: Keys,
        vectors: Vectors,
        rows: Rows | None,
        digests: Sequence[str] | None,
    ) -> None:
        signed = _signed(keys)
        rows = [{}] * len(keys) if rows is None else rows
        digests = [""] * len(keys) if digests is None else digests
        with self._translated():
            for part in _parts(keys):
                batch = [
                    {"key": key, "vector": vector, "row": row, "digest": digest}
                    for key, vector, row, digest in zip(
                        signed[part], vectors[part], rows[part], digests[part], strict=True
                    )
                ]
                write(self._collection, batch, timeout=CALL_S)

    def _listed(self, fields: list[str], where: str = "") -> Iterator[tuple[int, str]]:
        """Yield (key, digest or "") of everything that is there and meets the expression."""
        with self._translated():
            pages = self._client.query_iterator(
                self._collection,
                batch_size=LIST_AT_ONCE,
                filter=where,
                output_fields=fields,
                consistency_level="Strong",
                timeout=CALL_S,
            )
            try:
                while page := pages.next():
                    for row in page:
                        yield int(row["key"]) & (2**64 - 1), row.get("digest", "")
            finally:
                pages.close()


def _connect(address: MilvusAddress, token: str) -> Any:
    try:
        from pymilvus import MilvusClient
    except ImportError:
        raise ConfigError(
            f"The index {address.text} needs pymilvus; install it with: pip install 'imgsearch[milvus]'."
        ) from None
    # It logs every failed call with its trace; here each becomes a sentence for whoever called.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    if address.uri.endswith(".db"):
        Path(address.uri).parent.mkdir(parents=True, exist_ok=True)
    with _translated(address):
        return MilvusClient(address.uri, token=token, db_name=address.database, timeout=CONNECT_S)


@contextmanager
def _translated(address: MilvusAddress) -> Iterator[None]:
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except MilvusException as error:
        reason = " ".join(str(error.message or error).split())[:200].rstrip(".")
        raise IndexUnavailable(
            f"The index {address.text} cannot be used ({reason}); start that Milvus, or name another with --index."
        ) from error
    except (ConnectionError, OSError) as error:
        raise IndexUnavailable(f"The index {address.text} cannot be reached ({error}).") from error


def _signed(keys: Keys) -> list[int]:
    """Return keys as Milvus holds them: their 64 bits read as a signed number."""
    signed: list[int] = np.ascontiguousarray(keys, np.uint64).view(np.int64).tolist()
    return signed


def _parts(keys: Keys) -> Iterator[slice]:
    return (slice(start, start + PUSH_AT_ONCE) for start in range(0, len(keys), PUSH_AT_ONCE))


# --- rows and filters -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """A metadata column of the catalog as a row holds it: by its place, so that its name needs no quoting."""

    position: int
    kind: ColumnKind

    @property
    def field(self) -> str:
        """The name in a row; a column that changes its kind gets another."""
        return f"c{self.position}{self.kind[0]}"


def row_document(metadata: Mapping[str, Any], columns: Mapping[str, Column]) -> dict[str, Any]:
    """Return an item's metadata as its row holds it: by field, texts in lower case as filters compare them."""
    return {
        column.field: lowered(value) if isinstance(value, str) else value
        for name, column in columns.items()
        if (value := metadata.get(name)) is not None
    }


def expression(filters: Sequence[Filter], find: Callable[[str], Column]) -> str:
    """Return what every item that passes the filters meets, as a Milvus expression; "" where nothing can be said.

    It may let others pass (those that `~` compares by a pattern, or a list too long to send): who asks checks again.
    Names are fields of our own making, numbers are written as numbers, and texts stand in quotes with every quote and
    backslash escaped, so that a value cannot end its literal. Raises `FilterError` as the catalog does.
    """
    parts = [part for filter in filters if (part := _condition(filter, find(filter.column)))]
    joined = " and ".join(f"({part})" for part in parts)
    while len(joined) > MAX_EXPRESSION and parts:
        parts.remove(max(parts, key=len))
        joined = " and ".join(f"({part})" for part in parts)
    return joined


def lowered(text: str) -> str:
    """Return a text in lower case as DuckDB's `lower` does: letter by letter, whatever stands around it."""
    return text.lower() if text.isascii() else "".join(_lowered_letter(letter) for letter in text)


def _lowered_letter(letter: str) -> str:
    lower = letter.lower()
    return lower if len(lower) == 1 else lower[0]


def _condition(filter: Filter, column: Column) -> str:
    name = f'row["{column.field}"]'
    values = [lowered(value) if isinstance(value, str) else value for value in values_of(filter, column.kind)]
    if not values or any(isinstance(value, float) and not math.isfinite(value) for value in values):
        return ""
    if filter.operator == "contains":
        # `_` stands for any letter: some versions have no way to write a % or a backslash itself.
        pattern = values[0].translate(_WILD)
        return f"{name} like {_literal(f'%{pattern}%')}"
    if filter.operator in ("=", "in"):  # Milvus Lite knows no `in` for a part of a JSON field
        return " or ".join(f"{name} == {_literal(value)}" for value in values)
    return f"{name} {filter.operator} {_literal(values[0])}"


def _literal(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value.translate(_ESCAPES)}"' if isinstance(value, str) else repr(float(value))
