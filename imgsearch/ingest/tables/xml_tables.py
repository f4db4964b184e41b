"""XML: the element that repeats is a record; entities and external references are refused."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler, feature_external_ges, feature_external_pes

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.sax import make_parser

from imgsearch.core.errors import SourceError
from imgsearch.core.records import Failure
from imgsearch.core.text import error_line
from imgsearch.ingest.tables.columns import RecordColumns
from imgsearch.ingest.tables.flattening import flat_record
from imgsearch.ingest.tables.table import Table, TableLimits

MAX_DEPTH = 50
MAX_DAMAGED_BYTES = 512 * 1024**2
RECORD_NAMES = frozenset(
    ("item", "entry", "product", "offer", "article", "record", "row", "object", "artikel", "produkt")
)

_BARE_AMPERSAND = re.compile(r"&(?!(?:#[0-9]{1,7}|#x[0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos);)")

ElementPath = tuple[str, ...]


def read_xml(path: Path, file: BinaryIO, limits: TableLimits) -> Table:
    """Return the records of an XML file; those before a damaged place where there is one. Raises `SourceError`."""
    shape = _Shape()
    _parse(path, file, shape)
    record = shape.record()
    if record is None:
        reason = f" ({shape.damage})" if shape.damage else ""
        raise SourceError(
            f"{path} cannot be read as XML: it has no records such as <item> or <product>{reason}."
        )
    collected = _Collected(path, limits)
    reader = _Records(record, collected.add)
    complete = True
    _parse(path, file, reader)
    if reader.damage:
        collected = _Collected(path, limits)
        complete = _read_one_by_one(path, file, record[-1], collected)
    return Table(
        str(path),
        _format_name(record),
        collected.columns.finish(given=""),
        np.array(collected.places, np.int64),
        place_word="record",
        encoding=_declared_encoding(file),
        failures=tuple(collected.failures),
        complete=complete,
    )


class _Collected:
    """The records that were read, and those that were not."""

    def __init__(self, path: Path, limits: TableLimits) -> None:
        self.columns = RecordColumns(path, limits)
        self.places: list[int] = []
        self.failures: list[Failure] = []
        self._path = path
        self._limits = limits
        self._count = 0

    def add(self, content: Any) -> None:
        """Add a record's content."""
        self._count += 1
        flat = flat_record(content) if isinstance(content, dict) else {}
        if any(len(str(value)) > self._limits.max_cell_chars for value in flat.values()):
            self._fail(f"has a value of more than {self._limits.max_cell_chars:,} characters")
            return
        self.columns.append(flat)
        self.places.append(self._count)
        if len(self.places) > self._limits.max_rows:
            raise SourceError(f"{self._path} has more than {self._limits.max_rows:,} records; split it.")

    def add_damaged(self, reason: str) -> None:
        """Count a record that is not XML."""
        self._count += 1
        self._fail(f"is not valid XML ({reason})")

    def _fail(self, reason: str) -> None:
        place = f"record {self._count}"
        self.failures.append(Failure(f"{self._path.name} {place}", f"{place.capitalize()} {reason}."))


def _read_one_by_one(path: Path, file: BinaryIO, tag: str, collected: _Collected) -> bool:
    """Read each record of a damaged file for itself; return whether the last one is closed."""
    encoding = _declared_encoding(file)
    file.seek(0)
    data = file.read(MAX_DAMAGED_BYTES)
    text = data.decode(encoding, "replace")
    end, end_tag = 0, f"</{tag}>"
    while (start := _next_start(text, tag, end)) >= 0:
        end = text.find(end_tag, start)
        if end < 0:
            collected.add_damaged(f"it has no {end_tag}")
            return False
        end += len(end_tag)
        fragment = text[start:end]
        contents: list[Any] = []
        # An & that begins no entity, and names of HTML such as &nbsp;, are the most frequent damage.
        for attempt in (fragment, _BARE_AMPERSAND.sub("&amp;", fragment)):
            reader = _Records((tag,), contents.append)
            _parse(path, io.BytesIO(attempt.encode("utf-8", "replace")), reader)
            if not reader.damage:
                break
        if reader.damage or len(contents) != 1:
            collected.add_damaged(reader.damage or "it contains other records")
        else:
            collected.add(contents[0])
    return len(data) < MAX_DAMAGED_BYTES


def _next_start(text: str, tag: str, start: int) -> int:
    """Return where the next element of that name begins, -1 for none; <items> is no <item>."""
    found = text.find(f"<{tag}", start)
    while found >= 0 and text[found + len(tag) + 1 : found + len(tag) + 2] not in (
        ">",
        " ",
        "\t",
        "\r",
        "\n",
    ):
        found = text.find(f"<{tag}", found + 1)
    return found


def _parse(path: Path, file: BinaryIO, handler: _Shape | _Records) -> None:
    file.seek(0)
    try:
        parser = make_parser()
        parser.forbid_dtd, parser.forbid_entities = False, True
        # A document type that names a file is usual in feeds of marketplaces; the file is never read.
        parser.forbid_external = False
        parser.setFeature(feature_external_ges, False)
        parser.setFeature(feature_external_pes, False)
        parser.setContentHandler(handler)
        parser.parse(_KeptOpen(file))
    except DefusedXmlException:
        raise SourceError(f"{path} declares XML entities, which are not read.") from None
    except SAXParseException as error:
        handler.damage = f"line {error.getLineNumber()}: {error.getMessage()}"
    except (SAXException, UnicodeError, LookupError, ValueError) as error:
        handler.damage = error_line(error)


class _KeptOpen:
    """A file that the parser cannot close: it is read twice."""

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read

    def close(self) -> None:
        """Do nothing."""


def _format_name(record: ElementPath) -> str:
    return {"rss": "RSS", "feed": "Atom"}.get(record[0], "XML")


def _declared_encoding(file: BinaryIO) -> str:
    file.seek(0)
    head = file.read(200)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    _, found, rest = head.partition(b"encoding=")
    declared = rest[1:].split(rest[:1])[0].decode("ascii", "replace") if found and rest else ""
    return declared.upper() or "UTF-8"


class _Shape(ContentHandler):
    """Counts the elements of each path that contain elements."""

    def __init__(self) -> None:
        super().__init__()
        self.damage = ""
        self._path: list[str] = []
        self._counts: Counter[ElementPath] = Counter()
        self._with_children: set[ElementPath] = set()

    def startElement(self, name: str, attrs: Any) -> None:  # noqa: N802 (the name of SAX)
        if len(self._path) >= MAX_DEPTH:
            raise SAXException(f"elements are nested more than {MAX_DEPTH} deep")
        if self._path:
            self._with_children.add(tuple(self._path))
        self._path.append(name)
        path = tuple(self._path)
        self._counts[path] += 1
        if len(attrs) > 1:
            self._with_children.add(path)

    def endElement(self, name: str) -> None:  # noqa: N802 (the name of SAX)
        self._path.pop()

    def record(self) -> ElementPath | None:
        """Return the path of the records: of the elements with content the one nearest to the top that repeats."""

        def rank(path: ElementPath) -> tuple[bool, int, bool, int]:
            known = _local(path[-1]) in RECORD_NAMES
            return self._counts[path] < 2, len(path), not known, -self._counts[path]

        found = [path for path in self._with_children if len(path) > 1]
        repeated = [path for path in found if self._counts[path] > 1]
        known = [path for path in found if _local(path[-1]) in RECORD_NAMES]
        shallow = min(known, key=len) if known else None
        if shallow and (not repeated or len(shallow) <= min(map(len, repeated))):
            return min((path for path in known if len(path) == len(shallow)), key=rank)
        return min(repeated or found, key=rank, default=None)


class _Records(ContentHandler):
    """Calls back with each record as nested mappings, without the prefixes of names."""

    def __init__(self, record: ElementPath, collect: Callable[[Any], None]) -> None:
        super().__init__()
        self.damage = ""
        self._record = list(record)
        self._collect = collect
        self._path: list[str] = []
        self._open: list[tuple[dict[str, Any], list[str]]] = []

    def startElement(self, name: str, attrs: Any) -> None:  # noqa: N802 (the name of SAX)
        self._path.append(name)
        if not self._open and self._path != self._record:
            return
        content = {_local(key): value for key, value in attrs.items() if not key.startswith("xmlns")}
        self._open.append((content, []))

    def characters(self, content: str) -> None:
        if self._open:
            self._open[-1][1].append(content)

    def endElement(self, name: str) -> None:  # noqa: N802 (the name of SAX)
        self._path.pop()
        if not self._open:
            return
        content, texts = self._open.pop()
        text = "".join(texts).strip()
        if not self._open:
            self._collect(_unprefixed(content) | ({"text": text} if text else {}))
            return
        value: Any = _element_value(content, text)
        parent, key = self._open[-1][0], _local(name)
        # In a shop's feed <g:title> is meant for machines, <title> for readers of the feed.
        if name.startswith("g:") and key in parent and not isinstance(parent[key], _Prefixed):
            parent[key] = _Prefixed([value])
        elif key in parent and isinstance(parent[key], _Prefixed):
            if name.startswith("g:"):
                parent[key].append(value)
        elif name.startswith("g:"):
            parent[key] = _Prefixed([value])
        else:
            before = parent.get(key)
            parent[key] = (
                value if before is None else [*(before if isinstance(before, list) else [before]), value]
            )


class _Prefixed(list[Any]):
    """Values of elements with the prefix of Google's names."""


def _element_value(content: dict[str, Any], text: str) -> Any:
    """Return what an element says: its text, its parts, or the address in an attribute of an empty one."""
    content = _unprefixed(content)
    if not content:
        return text
    if not text:
        address = next(
            (content[key] for key in ("href", "src", "url") if isinstance(content.get(key), str)), ""
        )
        return address or content
    nested = any(not isinstance(value, str) for value in content.values())
    return {**content, "text": text} if nested else text


def _unprefixed(content: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value[0] if isinstance(value, _Prefixed) and len(value) == 1 else value
        for key, value in content.items()
    }


def _local(name: str) -> str:
    return name.rpartition(":")[2] or name
