"""Commands of the command line that run in this process, because it has the catalog open.

`cli/serve.py` provides what runs them. Each has a thread of its own; what it prints goes to its client as events.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from imgsearch.core.errors import JobRunning

MAX_COMMANDS = 16
STOP_TIMEOUT_S = 20.0

Send = Callable[[Mapping[str, Any] | None], None]
"""Takes an event of a command, from any thread; None after the last one."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommandCall:
    """What a client asks to run: the words after `imgsearch`, its working folder, and what its terminal is like.

    `columns` is the width of the client's terminal, 0 where its stdout is none.
    """

    arguments: tuple[str, ...]
    folder: str
    columns: int = 0
    encoding: str = "utf-8"
    progress: bool = True


class CommandRun:
    """A command that runs: its events go to `send`; safe to use from any thread."""

    def __init__(self, call: CommandCall, send: Send) -> None:
        self.id = uuid.uuid4().hex
        self.call = call
        self.send = send
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether the client has stopped it, or has gone."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Let the command end at its next step."""
        self._cancelled.set()


class RunsCommands(Protocol):
    """Runs a command and returns its exit code; raises nothing that the client should see."""

    def __call__(self, run: CommandRun) -> int:
        """Run the command in this thread."""


class Commands:
    """The commands of clients that run in this process; safe to use from any thread."""

    def __init__(self) -> None:
        self.runner: RunsCommands | None = None
        """What runs a command; None where this process cannot."""
        self._running: dict[str, tuple[CommandRun, threading.Thread]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def start(self, call: CommandCall, send: Send) -> CommandRun:
        """Run a command in a new thread; raises `JobRunning` while too many run, or the process ends."""
        run = CommandRun(call, send)
        thread = threading.Thread(target=self._run, args=(run,), name="command", daemon=True)
        with self._lock:
            if self._closed or len(self._running) >= MAX_COMMANDS:
                raise JobRunning(
                    "The server runs too many commands already, or is stopping; try again later."
                )
            thread.start()
            self._running[run.id] = run, thread
        return run

    def count(self) -> int:
        """Return how many commands run."""
        return len(self._running)

    def cancel(self, run_id: str) -> bool:
        """Let a command end at its next step; return False where none of that id runs."""
        with self._lock:
            found = self._running.get(run_id)
        if found is not None:
            found[0].cancel()
        return found is not None

    def close(self) -> None:
        """Cancel all commands and wait until they have ended, at most `STOP_TIMEOUT_S`."""
        with self._lock:
            self._closed = True
            running = list(self._running.values())
        for run, _ in running:
            run.cancel()
        for _, thread in running:
            thread.join(STOP_TIMEOUT_S)

    def _run(self, run: CommandRun) -> None:
        code = 1
        try:
            assert self.runner is not None
            run.send({"event": "started", "id": run.id})
            code = self.runner(run)
        except Exception as error:
            _log.exception("a command failed")
            text = f"imgsearch: The command failed ({type(error).__name__}); the server's log says why.\n"
            run.send({"event": "stderr", "text": text})
        finally:
            with self._lock:
                self._running.pop(run.id, None)
            run.send({"event": "exit", "code": code})
            run.send(None)
