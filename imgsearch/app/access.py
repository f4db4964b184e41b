"""Who may change the catalog over HTTP and on the pages. Reading needs no permission.

A request may write if it has a token: that of the running server, which only the server's user can read, or that of
`IMGSEARCH_WRITE_TOKEN`. Without a token it may write if the server listens at loopback addresses only and the request
comes from a program or a page of this machine: not through a proxy, not from another site's page.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Literal
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from imgsearch.core.config import Settings, write_token
from imgsearch.core.errors import NotAWriter, TokenRequired, WriteRefused

Permission = Literal["local token", "write token", "this machine"]
"""Why a request may write."""

_FORWARDING = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip"}
)
_FORWARDING_PREFIXES = ("x-forwarded", "cf-")
_OWN_SITES = frozenset({"", "same-origin", "none"})
_HOW = "send the header 'Authorization: Bearer TOKEN' with the token of the server's setting IMGSEARCH_WRITE_TOKEN"


@cache
def local_token() -> str:
    """Return the random token of this process, for programs of the same user on this machine."""
    return secrets.token_urlsafe(32)


def is_loopback(address: str) -> bool:
    """Return whether an IP address reaches this machine only; False for a name or anything else."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


def pages_may_edit(settings: Settings, headers: Mapping[str, str]) -> bool:
    """Return whether a visitor's pages may change the catalog: by the setting, or on this machine without a proxy.

    `headers` are those of the visitor's connection, by names in any case.
    """
    if settings.replica_of or settings.edit_pages:
        return not settings.replica_of
    given = {name.lower(): value for name, value in headers.items()}
    return settings.local_only and not _forwarding(given) and _is_local_name(given.get("host", "localhost"))


class WriteAccess:
    """Decides which requests may change the catalog."""

    def __init__(self, settings: Settings) -> None:
        """Use the settings of the running server, and its tokens."""
        self._writer = settings.replica_of
        self._local_only = settings.local_only
        self._local_token = local_token().encode()
        self._write_token = write_token().encode()

    def check(self, request: HTTPConnection) -> Permission:
        """Return why the request may write.

        Raises `NotAWriter` on a replica, `TokenRequired` where a valid token would help, `WriteRefused` for a page of
        another site and for another name of this machine.
        """
        if self._writer:
            raise NotAWriter(f"This is a replica: change the catalog at its writer, {self._writer}.")
        given = request.headers.get("authorization")
        if given is not None:
            return self._of_token(given)
        if not self._local_only:
            raise TokenRequired(f"Changing the catalog needs a token: {_HOW}.")
        self._check_origin(request)
        return "this machine"

    def is_of_this_machine(self, request: HTTPConnection) -> bool:
        """Return whether a request comes from a program or a page of this machine, whatever token it has."""
        try:
            self._check_origin(request)
        except (TokenRequired, WriteRefused):
            return False
        return self._local_only

    def _of_token(self, authorization: str) -> Permission:
        scheme, _, token = authorization.partition(" ")
        # Headers are bytes, which Starlette decodes as Latin-1.
        given = token.strip().encode("latin-1", errors="replace")
        # Both are compared in any case, so that the time says nothing about either.
        local = hmac.compare_digest(given, self._local_token)
        write = hmac.compare_digest(given, self._write_token) and bool(self._write_token)
        if scheme.lower() == "bearer" and (local or write):
            return "local token" if local else "write token"
        raise TokenRequired(f"The token is not valid here: {_HOW}.")

    def _check_origin(self, request: HTTPConnection) -> None:
        """Refuse a request that did not come straight from a program or a page of this machine."""
        headers = request.headers
        # nginx speaks HTTP/1.0 to the app unless it is configured, and then often adds no header of its own.
        proxy = _forwarding(headers) or ("HTTP/1.0" if request.scope.get("http_version") == "1.0" else "")
        if proxy:
            raise TokenRequired(f"Changing the catalog through a proxy ({proxy}) needs a token: {_HOW}.")
        client = request.client
        if client is None or not is_loopback(client.host):
            raise TokenRequired(f"Changing the catalog from another machine needs a token: {_HOW}.")
        host = headers.get("host", "")
        if not _is_local_name(host):
            raise WriteRefused(
                f"The catalog can be changed without a token at localhost only, not at {host[:80]!r}; or {_HOW}."
            )
        origin = headers.get("origin")
        own = origin is None or origin.lower() in {f"http://{host.lower()}", f"https://{host.lower()}"}
        if not own or headers.get("sec-fetch-site", "").lower() not in _OWN_SITES:
            raise WriteRefused(f"A page of another site may not change the catalog; or {_HOW}.")


def _forwarding(names: Iterable[str]) -> str:
    """Return the first of these headers that a proxy adds, "" for none."""
    found = (name for name in names if name in _FORWARDING or name.startswith(_FORWARDING_PREFIXES))
    return next(found, "")[:40]


def _is_local_name(host: str) -> bool:
    """Return whether a `Host` header names this machine itself."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or name.endswith(".localhost") or is_loopback(name)
