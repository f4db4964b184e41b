"""How much memory this process may still take, of the machine and of its container."""

from __future__ import annotations

from pathlib import Path

__all__ = ["available_bytes"]

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def available_bytes(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> int | None:
    """Return the bytes that are free in the machine and in the container (cgroup v2), the lesser of both.

    None where the system has neither file, as on macOS and Windows.
    """
    known = [figure for figure in (_of_machine(meminfo), _of_container(cgroup)) if figure is not None]
    return min(known) if known else None


def _of_machine(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    words = fields.get("MemAvailable", "").split()
    return int(words[0]) * 1024 if words and words[0].isdigit() else None


def _of_container(cgroup: Path) -> int | None:
    try:
        limit = (cgroup / "memory.max").read_text(encoding="ascii").strip()
        used = (cgroup / "memory.current").read_text(encoding="ascii").strip()
    except OSError:
        return None
    if not (limit.isdigit() and used.isdigit()):  # "max": no limit
        return None
    return max(0, int(limit) - int(used))
