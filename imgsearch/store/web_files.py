"""Photos at http URLs: fetched with limits and retries, and only if they have changed.

A busy server (429, 502, 503, 504) and a broken connection are tried again after a pause, which is the server's
`Retry-After` where it sends one.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

import httpx2

from imgsearch.core.errors import ImageTooLarge, SourceError
from imgsearch.core.text import error_line
from imgsearch.store.url_states import UrlState

MAX_REDIRECTS = 5
TIMEOUT_S = 20.0
MAX_FETCH_S = 120.0
"""For one photo, however slowly it arrives."""
PAUSES_S = (0.5, 2.0, 6.0)
"""Before the second, third and fourth attempt, unless the server names another time."""
MAX_PAUSE_S = 30.0
"""A server that requests a longer pause is not asked again for this photo."""
MAX_BROKEN = 3
"""A host that did not answer for this many photos in a row gets one attempt for each further one."""
_LOOK = "LOOK"
"""A GET whose content is not read."""
_BUSY = (429, 502, 503, 504)
_MAX_HEADER_CHARS = 500


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What a server answered: the bytes, None where the photo has not changed; and what tells the next change."""

    data: bytes | None
    state: UrlState
    unchanged: bool = False


class _Busy(SourceError):
    """The server answers that it is busy; `after_s` is the pause it requests, if any."""

    def __init__(self, message: str, after_s: float | None) -> None:
        super().__init__(message)
        self.after_s = after_s


class _Broken(SourceError):
    """The connection failed."""


class WebFiles:
    """Fetches photos; safe to use from any thread."""

    def __init__(self, *, max_bytes: int, private_hosts: bool) -> None:
        """Limit photos to `max_bytes`; with `private_hosts`, URLs may point into the local network."""
        self._max_bytes = max_bytes
        self._private_hosts = private_hosts
        self._lock = threading.Lock()
        self._client: httpx2.Client | None = None
        self._broken: dict[str, int] = {}  # photos in a row that failed, by host

    def read(self, url: str) -> WebAnswer:
        """Return the photo's bytes; raises `SourceError`, or `ImageTooLarge` when there are more than `max_bytes`."""
        return self._retried(url, "GET", {})

    def read_if_changed(self, url: str, known: UrlState) -> WebAnswer:
        """Return the photo's bytes if it has changed since `known`; raises as `read` does.

        Where the server names neither an entity tag nor a time, its size decides. A photo whose size was not known
        counts as unchanged.
        """
        if headers := _conditions(known):
            answer = self._retried(url, "GET", headers)
            return WebAnswer(None, known) if answer.data is None else answer
        seen = self._retried(url, "HEAD", {}).state
        if known.size_bytes and seen.size_bytes and seen.size_bytes != known.size_bytes:
            return self.read(url)
        return WebAnswer(None, seen if seen.size_bytes or not known.size_bytes else known)

    def look(self, url: str, known: UrlState) -> UrlState | None:
        """Return what tells the next change of a URL, without its content; None if it is as `known`.

        Raises `SourceError`.
        """
        answer = self._retried(url, _LOOK, _conditions(known))
        return None if answer.unchanged else answer.state

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _retried(self, url: str, method: str, headers: Mapping[str, str]) -> WebAnswer:
        host = _host_of(url)
        pauses = PAUSES_S if self._broken.get(host, 0) < MAX_BROKEN else ()
        for pause_s in (*pauses, None):
            try:
                answer = self._fetched(url, method, headers)
                self._broken.pop(host, None)
                return answer
            except _Busy as error:
                wait_s = error.after_s if error.after_s is not None else pause_s
                if pause_s is None or wait_s is None or wait_s > MAX_PAUSE_S:
                    raise
            except _Broken:
                wait_s = pause_s
                if wait_s is None:
                    self._broken[host] = self._broken.get(host, 0) + 1
                    raise
            time.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def _fetched(self, url: str, method: str, headers: Mapping[str, str]) -> WebAnswer:
        client = self._opened()
        first = url
        for _ in range(MAX_REDIRECTS + 1):
            self._check_host(url)
            try:
                with client.stream(
                    "GET" if method == _LOOK else method, url, headers=dict(headers)
                ) as response:
                    if response.is_redirect and response.status_code != 304:
                        url = urljoin(url, response.headers["location"])
                        continue
                    return self._answer(first, method, response)
            except (httpx2.NetworkError, httpx2.ProtocolError, httpx2.TimeoutException) as error:
                raise _Broken(f"The photo's URL cannot be fetched ({error_line(error)}).") from None
            except (httpx2.HTTPError, httpx2.InvalidURL, KeyError, ValueError) as error:
                raise SourceError(f"The photo's URL cannot be fetched ({error_line(error)}).") from None
        raise SourceError(f"The photo's URL redirects more than {MAX_REDIRECTS} times.")

    def _answer(self, url: str, method: str, response: httpx2.Response) -> WebAnswer:
        if response.status_code == 304:
            return WebAnswer(None, _state(url, response.headers, 0), unchanged=True)
        if response.status_code in _BUSY:
            text = f"The server answered {response.status_code} (busy) for the photo's URL."
            raise _Busy(text, _retry_after_s(response.headers.get("retry-after", "")))
        if response.status_code != 200:
            raise SourceError(f"The server answered {response.status_code} for the photo's URL.")
        if method in ("HEAD", _LOOK):
            return WebAnswer(None, _state(url, response.headers, _length(response.headers)))
        until, data = time.monotonic() + MAX_FETCH_S, bytearray()
        for part in response.iter_bytes():
            data += part
            if len(data) > self._max_bytes:
                raise ImageTooLarge(f"The file has more than {self._max_bytes // 1024**2} MiB.")
            if time.monotonic() > until:
                raise SourceError(f"The photo did not arrive within {MAX_FETCH_S:.0f} s.")
        return WebAnswer(bytes(data), _state(url, response.headers, len(data)))

    def _opened(self) -> httpx2.Client:
        with self._lock:
            if self._client is None:
                self._client = httpx2.Client(timeout=TIMEOUT_S, follow_redirects=False)
            return self._client

    def _check_host(self, url: str) -> None:
        """Refuse URLs into this machine or the local network: the manifest may come from a stranger (SSRF)."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise SourceError(f"The photo's URL is not a valid address ({error}).") from None
        if parts.scheme not in ("http", "https") or not host:
            raise SourceError("The photo's URL is not an http or https address.")
        if self._private_hosts:
            return
        try:
            found = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)
        except (OSError, ValueError):
            raise SourceError(f"The host {host[:100]} of the photo's URL cannot be found.") from None
        if not all(ipaddress.ip_address(address[4][0]).is_global for address in found):
            raise SourceError(
                f"The host {host[:100]} is in a private network; pass --private-hosts if it is yours."
            )


def _conditions(known: UrlState) -> dict[str, str]:
    headers = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: text for name, text in headers.items() if text}


def _state(url: str, headers: Mapping[str, str], size_bytes: int) -> UrlState:
    etag, modified = headers.get("etag", ""), headers.get("last-modified", "")
    short = all(len(text) <= _MAX_HEADER_CHARS and text.isprintable() for text in (etag, modified))
    return UrlState(url, etag if short else "", modified if short else "", size_bytes)


def _length(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _retry_after_s(text: str) -> float | None:
    """Return the pause of a `Retry-After` header, which is a number of seconds or a date; None without one."""
    text = text.strip()[:100]
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""
