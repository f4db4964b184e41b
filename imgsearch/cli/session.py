"""A command that runs inside the serving process: its output, progress and working folder are those of its client.

`sys.stdout` and `sys.stderr` of the process are replaced by streams that know in which command a thread is.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

from imgsearch.core.background import GiveWay

if TYPE_CHECKING:
    from imgsearch.app.commands import CommandRun
    from imgsearch.app.service import SearchService

PROGRESS_EVERY_S = 0.1
MAX_BUFFERED_CHARS = 64 * 1024

Program = Callable[[Sequence[str]], int]
"""Runs a command line and returns its exit code."""

_program: Program | None = None
_anywhere: Program | None = None
_session: ContextVar[ClientSession | None] = ContextVar("session", default=None)


class ClientStream(io.TextIOBase):
    """A stream to the terminal of a command's client; lines are sent whole."""

    def __init__(self, run: CommandRun, name: Literal["stdout", "stderr"]) -> None:
        self._run = run
        self._name = name
        self._waiting: list[str] = []
        self._chars = 0

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """What the client's stream takes."""
        return self._run.call.encoding

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return whether the client's stdout is a terminal; stderr has no width here, so it counts as none."""
        return self._name == "stdout" and self._run.call.columns > 0

    def write(self, text: str) -> int:
        """Send the text once a line is complete."""
        self._waiting.append(text)
        self._chars += len(text)
        if "\n" in text or self._chars > MAX_BUFFERED_CHARS:
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Send what was written."""
        text, self._waiting, self._chars = "".join(self._waiting), [], 0
        if text:
            self._run.send({"event": self._name, "text": text})


@dataclass(frozen=True, slots=True)
class ClientSession:
    """A command of a client in this process, which serves `service`."""

    service: SearchService
    run: CommandRun
    stdout: ClientStream
    stderr: ClientStream

    def check(self) -> None:
        """Raise KeyboardInterrupt once the client has pressed Ctrl-C, or has gone."""
        if self.run.cancelled:
            raise KeyboardInterrupt

    @contextmanager
    def progress(self, what: str) -> Iterator[ClientProgress]:
        """Yield a function of (done, total) that shows progress at the client."""
        shown = ClientProgress(self, what)
        try:
            yield shown
        finally:
            shown.end()


class ClientProgress:
    """Sends progress to a client, at most ten times a second."""

    def __init__(self, session: ClientSession, what: str) -> None:
        self._session = session
        self._what = what
        self._sent_at = 0.0
        self._give_way = GiveWay(lambda: session.service.searched_at)
        self._unsent: tuple[int, int | None] | None = None

    def __call__(self, done: int, total: int | None) -> None:
        """Show how far the work is; raises KeyboardInterrupt once the client has stopped it."""
        self._unsent = done, total
        if time.monotonic() - self._sent_at >= PROGRESS_EVERY_S:
            self._send()
        self._session.check()
        self._give_way.rest()

    def end(self) -> None:
        """Remove the progress bar."""
        self._send()
        self._session.run.send({"event": "progress_end", "what": self._what})

    def _send(self) -> None:
        if self._unsent is not None:
            done, total = self._unsent
            self._session.run.send(
                {"event": "progress", "what": self._what, "done": int(done), "total": total and int(total)}
            )
            self._sent_at, self._unsent = time.monotonic(), None


def session() -> ClientSession | None:
    """Return the session of this thread's command; None in a command that has a process of its own."""
    return _session.get()


@contextmanager
def running(service: SearchService, run: CommandRun) -> Iterator[ClientSession]:
    """Let this thread be the command `run`: what it prints goes to its client."""
    entered = ClientSession(service, run, ClientStream(run, "stdout"), ClientStream(run, "stderr"))
    token = _session.set(entered)
    try:
        yield entered
    finally:
        entered.stdout.flush()
        entered.stderr.flush()
        _session.reset(token)


def set_program(program: Program, anywhere: Program) -> None:
    """Set what runs a command line in this thread, and what runs one in the server of its catalog, else here."""
    global _program, _anywhere
    _program, _anywhere = program, anywhere


def run_anywhere(arguments: Sequence[str]) -> int:
    """Run a command line as a command of its own would run, and return its exit code."""
    assert _anywhere is not None
    return _anywhere(arguments)


def run_command(service: SearchService, run: CommandRun) -> int:
    """Run a client's command in this thread, inside the process that serves `service`; return its exit code."""
    assert _program is not None
    with running(service, run):
        return _program(run.call.arguments)


def in_clients_folder(path: str) -> str:
    """Return a path of the command line as the client means it: relative ones are of its working folder."""
    entered = session()
    if entered is None or path.startswith("~"):
        return path
    return str(Path(entered.run.call.folder) / path)


def client_path(value: Path) -> Path:
    """Return `in_clients_folder` of a `Path`."""
    return Path(in_clients_folder(str(value)))


class _DividedStream(io.TextIOBase):
    """Stands for a stream of the process: in the thread of a command it is that of the client."""

    def __init__(self, own: TextIO, name: Literal["stdout", "stderr"]) -> None:
        self._own = own
        self._name = name

    def _now(self) -> TextIO | ClientStream:
        entered = session()
        if entered is None:
            return self._own
        return entered.stdout if self._name == "stdout" else entered.stderr

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._now().encoding or "utf-8"

    @property
    def buffer(self) -> object:
        return self._own.buffer

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._now().isatty()

    def fileno(self) -> int:
        return self._own.fileno()

    def write(self, text: str) -> int:
        return self._now().write(text)

    def flush(self) -> None:
        self._now().flush()


def divide_streams() -> None:
    """Replace `sys.stdout` and `sys.stderr` by streams that send the output of a command to its client."""
    for name in ("stdout", "stderr"):
        own = getattr(sys, name)
        if own is not None and not isinstance(own, _DividedStream):
            setattr(sys, name, _DividedStream(own, name))
