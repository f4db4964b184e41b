"""Which process has a catalog open, and where its server answers: the file `writer.json` of the catalog's folder."""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

FILE_NAME = "writer.json"


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that has a catalog open.

    `address` is the URL at which its server answers processes of this machine, and `token` the secret with which they
    may change the catalog; both are "" while it serves nothing.
    """

    pid: int
    host: str
    command: str
    since: str
    token: str = field(default="", repr=False)
    address: str = ""

    @classmethod
    def this_process(cls) -> Holder:
        """Return this process."""
        command = " ".join([Path(sys.argv[0]).name or "python", *sys.argv[1:3]])
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(os.getpid(), socket.gethostname(), command[:120], since)

    @classmethod
    def read(cls, folder: Path) -> Holder | None:
        """Return the holder that is written in a catalog's folder; None where there is none, or an unreadable one.

        The process may have been killed since. Raises PermissionError where the file is another user's.
        """
        try:
            values = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
            return cls(**{each.name: values[each.name] for each in fields(cls) if each.name in values})
        except PermissionError:
            raise
        except (OSError, ValueError, TypeError):
            return None

    def write(self, folder: Path) -> None:
        """Replace the file in a catalog's folder; only the owner can read it, at any moment."""
        part = folder / f"{FILE_NAME}.part"
        part.unlink(missing_ok=True)  # its mode may be another one
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(self), file)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        part.replace(folder / FILE_NAME)

    @property
    def serves_here(self) -> bool:
        """Whether the process said that it serves, on this machine; it may have been killed since."""
        return bool(self.address) and self.host == socket.gethostname()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.command}, since {self.since})"
