"""Runs a command in the server that has the catalog open, and shows its output and progress here."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from imgsearch.cli import terminal
from imgsearch.cli.terminal import CatalogServed
from imgsearch.core.version import __version__
from imgsearch.store.holder import Holder

ROUTE = "/api/v1/commands"
CONNECT_TIMEOUT_S = 5.0
SILENCE_TIMEOUT_S = 20.0
"""A server sends something every two seconds, unless it hangs."""


class NoServer(Exception):
    """No server of the catalog answers at its address."""


class CannotRun(Exception):
    """The server refused the command, or hangs; the message says why."""


def run_in_server(served: CatalogServed, arguments: Sequence[str]) -> int:
    """Run a command in the server, show what it prints, and return its exit code.

    Raises `NoServer` where none of this catalog answers, and `CannotRun` for one that refuses or hangs.
    """
    address = urlsplit(served.holder.address)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=CONNECT_TIMEOUT_S)
    try:
        connection.connect()
    except OSError:
        raise NoServer from None
    try:
        connection.sock.settimeout(SILENCE_TIMEOUT_S)
        response = _post(connection, served.holder, ROUTE, _document(served, arguments))
        if response.status != 200:
            _raise_refusal(response)
        return _show(served.holder, response)
    except TimeoutError:
        raise CannotRun(
            f"The server of the catalog {served.catalog} ({served.holder}) does not answer at "
            f"{served.holder.address}; stop it, or try again."
        ) from None
    except (OSError, http.client.HTTPException):
        raise CannotRun(f"The server of the catalog ({served.holder}) ended while the command ran.") from None
    finally:
        connection.close()


def _document(served: CatalogServed, arguments: Sequence[str]) -> dict[str, Any]:
    return {
        "version": __version__,
        "catalog": str(served.catalog),
        "arguments": list(arguments),
        "folder": str(Path.cwd()),
        "columns": shutil.get_terminal_size().columns if sys.stdout.isatty() else 0,
        "encoding": sys.stdout.encoding or "utf-8",
    }


def _post(
    connection: http.client.HTTPConnection, holder: Holder, path: str, document: dict[str, Any]
) -> http.client.HTTPResponse:
    headers = {"Authorization": f"Bearer {holder.token}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(document).encode(), headers)
    return connection.getresponse()


def _raise_refusal(response: http.client.HTTPResponse) -> None:
    try:
        error = json.loads(response.read())["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        raise NoServer from None
    if code in {
        "other_catalog",
        "token_required",
        "write_refused",
        "not_found",
    }:  # a process that has the address by now
        raise NoServer
    raise CannotRun(message)


def _show(holder: Holder, response: http.client.HTTPResponse) -> int:
    """Show a command's events and return its exit code; Ctrl-C stops it between two steps."""
    run_id = ""

    def cancel() -> None:
        with suppress(OSError, http.client.HTTPException):
            address = urlsplit(holder.address)
            connection = http.client.HTTPConnection(
                address.hostname or "", address.port, timeout=CONNECT_TIMEOUT_S
            )
            _post(connection, holder, f"{ROUTE}/{run_id}/cancel", {}).read()
            connection.close()

    with ExitStack() as stack, _on_interrupt(cancel):
        bars = _Bars(stack)
        for event in _events(response):
            match event.get("event"):
                case "started":
                    run_id = event["id"]
                case "stdout":
                    sys.stdout.write(event["text"])
                    sys.stdout.flush()
                case "stderr":
                    sys.stderr.write(event["text"])
                    sys.stderr.flush()
                case "progress":
                    bars.show(event["what"], event["done"], event["total"])
                case "progress_end":
                    bars.end()
                case "exit":
                    return int(event["code"])
    raise http.client.IncompleteRead(b"")


def _events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    while line := response.readline():
        event = json.loads(line)
        if isinstance(event, dict):
            yield event


class _Bars:
    """The progress bar of a command, one after the other."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._show: Callable[[int, int | None], None] | None = None

    def show(self, what: str, done: int, total: int | None) -> None:
        """Show progress in the present bar, or in a new one."""
        if self._show is None:
            self._show = self._stack.enter_context(terminal.progress(what))
        self._show(done, total)

    def end(self) -> None:
        """Remove the bar."""
        self._stack.close()
        self._show = None


@contextmanager
def _on_interrupt(cancel: Callable[[], None]) -> Iterator[None]:
    """Call `cancel` at the first Ctrl-C, and raise KeyboardInterrupt at the second."""
    pressed = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()
        terminal.interrupted.set()
        threading.Thread(target=cancel, daemon=True).start()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
