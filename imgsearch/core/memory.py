"""How much memory this process may still take, of the machine and of its container."""

from __future__ import annotations

import re
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def available_bytes(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> int | None:
    """Return the bytes that are free in the machine and in the container (cgroup v2), the lesser of both.

    None where the system has neither file, as on macOS and Windows.
    """
    free = re.search(r"^MemAvailable:\s*(\d+)", _read(meminfo), re.MULTILINE)
    known = [int(free[1]) * 1024] if free else []
    limit, used = _read(cgroup / "memory.max").strip(), _read(cgroup / "memory.current").strip()
    if limit.isdigit() and used.isdigit():  # else there is no limit ("max")
        known.append(max(0, int(limit) - int(used)))
    return min(known, default=None)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
