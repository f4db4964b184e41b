"""Streams of JSON lines: splitting what arrives, also compressed, and keeping what waits to be sent."""

from __future__ import annotations

import tempfile
import threading
import zlib
from collections import deque
from dataclasses import dataclass

from imgsearch.app.api.failures import RequestError

PIECE_BYTES = 256 * 1024
SPOOL_BYTES = 4 * 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Line:
    """A line and its number, from 1; `data` is None where it was longer than allowed."""

    number: int
    data: bytes | None


class LineSplitter:
    """Splits a stream of bytes into lines; holds at most one line and one piece of decompressed bytes."""

    def __init__(self, *, compressed: bool, max_line_bytes: int, max_lines: int, max_bytes: int) -> None:
        self._inflate = zlib.decompressobj(_GZIP) if compressed else None
        self._max_line_bytes, self._max_lines, self._max_bytes = max_line_bytes, max_lines, max_bytes
        self._given: deque[bytes] = deque()
        self._rest = bytearray()
        self._too_long = False
        self._complete: deque[bytes | None] = deque()
        self._number = 0
        self._bytes = 0
        self._failure: RequestError | None = None

    def push(self, data: bytes) -> None:
        """Add bytes that arrived; `take` decompresses and splits them."""
        if data:
            self._given.append(data)

    def take(self, *, most: int, most_bytes: int, at_end: bool = False) -> list[Line]:
        """Return up to `most` complete lines that are not blank, about `most_bytes`; `at_end` the last one too.

        Fewer are returned only where the bytes that were pushed hold no more. Raises `RequestError` after the lines
        before: 413 over a limit of the whole stream, 400 for bytes that are not compressed as promised.
        """
        lines: list[Line] = []
        size = 0
        try:
            while len(lines) < most and size < most_bytes:
                line = self._next(at_end)
                if line is None:
                    break
                if line.data is None or line.data.strip():
                    lines.append(line)
                    size += len(line.data or b"")
        except RequestError as failure:
            self._failure = failure
        if self._failure is not None and not lines:
            raise self._failure
        return lines

    def _next(self, at_end: bool) -> Line | None:
        """Return the next complete line, None where more bytes are needed."""
        if self._failure is not None:
            return None
        while not self._complete:
            piece = self._piece()
            if piece is None:
                if not at_end or not (self._rest or self._too_long):
                    return None
                self._complete.append(self._ended())
                break
            first, *others = piece.split(b"\n")
            self._extend(first)
            if others:
                self._complete.append(self._ended())
                self._complete.extend(others[:-1])
                self._extend(others[-1])
        self._number += 1
        if self._number > self._max_lines:
            raise _too_large(f"{self._max_lines:,} lines")
        return Line(self._number, self._complete.popleft())

    def _ended(self) -> bytes | None:
        """Return the line that was held, and begin the next one."""
        line = None if self._too_long else bytes(self._rest)
        self._rest, self._too_long = bytearray(), False
        return line

    def _extend(self, data: bytes) -> None:
        if self._too_long or len(self._rest) + len(data) > self._max_line_bytes:
            self._too_long = True
            self._rest.clear()
        else:
            self._rest += data

    def _piece(self) -> bytes | None:
        """Return the next bytes of the lines, at most `PIECE_BYTES` of compressed ones; None without any."""
        while self._given:
            if self._inflate is None:
                return self._counted(self._given.popleft())
            data = self._given.popleft()
            try:
                piece = self._inflate.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise RequestError("The body is not compressed with gzip.", code="bad_request") from None
            rest = self._inflate.unconsumed_tail
            if self._inflate.eof:
                rest = self._inflate.unused_data
                self._inflate = zlib.decompressobj(_GZIP)
            if rest:
                self._given.appendleft(rest)
            if piece:
                return self._counted(piece)
        return None

    def _counted(self, piece: bytes) -> bytes:
        self._bytes += len(piece)
        if self._bytes > self._max_bytes:
            raise _too_large(f"{self._max_bytes:,} bytes")
        return piece


def _too_large(limit: str) -> RequestError:
    message = f"A batch has at most {limit}; send the rest in another one."
    return RequestError(message, status=413, code="request_too_large")


class AnswerSpool:
    """What waits to be sent, in memory or in a temporary file; safe to use from two threads.

    A client may send its whole request before it reads the first answer.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115  # closed by `close`
        self._lock = threading.Lock()
        self._read = 0
        self._written = 0

    def write(self, data: bytes) -> None:
        """Add bytes."""
        with self._lock:
            self._file.seek(self._written)
            self._file.write(data)
            self._written += len(data)

    def read(self, most: int = PIECE_BYTES) -> bytes:
        """Return the next bytes, at most `most`; b"" while there are none."""
        with self._lock:
            self._file.seek(self._read)
            data = self._file.read(most)
            self._read += len(data)
            return data

    def close(self) -> None:
        """Delete the bytes."""
        with self._lock:
            self._file.close()
