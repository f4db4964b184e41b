"""Which encoding a text file has: byte order mark, zero bytes, UTF-8, else a single-byte or Asian one."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

SAMPLE_BYTES = 256 * 1024
CHUNK_BYTES = 1024 * 1024
TELLING_BYTES = 20_000
LATIN_CODECS = ("cp1252", "cp1250", "cp1254", "cp1257", "iso8859_2")
SAME_CHAOS, SAME_COHERENCE = 0.02, 0.05
"""Differences of charset-normalizer's measures below which Windows-1252, which is far more frequent, is taken."""
MAX_WESTERN_SHARE = 0.3
"""Above this share of non-ASCII among the letters, a text is not in a Latin script."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16 LE"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16 BE"),
)
_HIGH = re.compile(rb"[\x80-\xff]")
_LETTERS = re.compile(rb"[A-Za-z\x80-\xff]")
_UNDEFINED_IN_1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec of Python and its usual name; with `lenient`, single bytes of the file do not fit it."""

    codec: str
    label: str
    lenient: bool = False

    @property
    def errors(self) -> str:
        """How to decode."""
        return "replace" if self.lenient else "strict"


def detect_encoding(file: BinaryIO) -> Encoding:
    """Return the encoding of a text file; reads it from its start and leaves it there."""
    file.seek(0)
    sample = file.read(SAMPLE_BYTES)
    file.seek(0)
    for mark, codec, label in _MARKS:
        if sample.startswith(mark):
            return Encoding(codec, label, lenient=True)
    zeros_even, zeros_odd = sample[0::2].count(0), sample[1::2].count(0)
    # A quarter: a text of mostly ASCII has every other byte zero; a CSV may hold single zero bytes.
    if max(zeros_even, zeros_odd) * 4 > len(sample) / 2 and len(sample) >= 4:
        little = zeros_odd > zeros_even
        return Encoding(
            "utf-16-le" if little else "utf-16-be", f"UTF-16 {'LE' if little else 'BE'}", lenient=True
        )
    valid, broken, damaged = _count_utf8(file)
    file.seek(0)
    if not broken:
        return Encoding("utf-8", "UTF-8")
    if valid > 10 * broken:
        return Encoding("utf-8", "UTF-8", lenient=True)
    return _other(damaged + sample)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _count_utf8(file: BinaryIO) -> tuple[int, int, bytes]:
    """Return (characters beyond ASCII, bytes that are no UTF-8, some bytes around the first of these)."""
    valid = broken = 0
    around = b""
    strict = codecs.getincrementaldecoder("utf-8")("strict")
    lenient = codecs.getincrementaldecoder("utf-8")("replace")
    for chunk in _chunks(file):
        state = strict.getstate()
        lenient.setstate(state)
        try:
            text = strict.decode(chunk)
            valid += 0 if text.isascii() else len(text) - len(text.encode("ascii", "ignore"))
        except UnicodeDecodeError as error:
            text = lenient.decode(chunk)
            bad = text.count("\ufffd")
            valid += len(text) - len(text.encode("ascii", "ignore")) - bad
            broken += bad
            around = around or chunk[max(0, error.start - 2000) : error.start + 20_000]
            strict.setstate(lenient.getstate())
    try:
        strict.decode(b"", final=True)
    except UnicodeDecodeError:
        broken += 1
    return valid, broken, around


def _other(sample: bytes) -> Encoding:
    """Return the encoding of a text that is not Unicode."""
    from charset_normalizer import from_bytes

    # Only lines with other letters than ASCII say anything.
    telling = b"\n".join(line for line in sample.splitlines() if _HIGH.search(line))[:TELLING_BYTES]
    latin = len(_HIGH.findall(sample)) <= MAX_WESTERN_SHARE * len(_LETTERS.findall(sample))
    matches = list(from_bytes(telling, cp_isolation=list(LATIN_CODECS) if latin else None))
    if not matches or matches[0].encoding.startswith(("utf", "ascii")):
        return _western(sample)
    best = matches[0]
    for match in matches:
        alike = match.chaos <= best.chaos + SAME_CHAOS and match.coherence >= best.coherence - SAME_COHERENCE
        if alike and "cp1252" in match.could_be_from_charset:
            return _western(sample)
    label = best.encoding.replace("_", "-").replace("cp125", "Windows-125")
    return Encoding(best.encoding, label, lenient=True)


def _western(sample: bytes) -> Encoding:
    if _UNDEFINED_IN_1252.search(sample):
        return Encoding("latin-1", "ISO-8859-1")
    return Encoding("cp1252", "Windows-1252", lenient=True)
