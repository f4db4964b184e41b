"""Run the app in a separate process and find a Chromium, for browser tests and screenshots."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 240.0
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_APP = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
CHROMIUM_FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


def find_chromium() -> str | None:
    """Return the path of an installed Chromium or Chrome, or None."""
    for name in CHROMIUM_NAMES:
        path = shutil.which(name)
        if path:
            return path
    return str(CHROMIUM_APP) if CHROMIUM_APP.exists() else None


def chromium_flags() -> list[str]:
    """Return the flags of a headless Chromium; as root, without the sandbox, which cannot start."""
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [*CHROMIUM_FLAGS, *(["--no-sandbox"] if as_root else [])]


def free_port() -> int:
    """Return an unused port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_app(catalog: Path, *, log: Path) -> Iterator[str]:
    """Serve the catalog by `uvicorn app:app` and return its address; on exit, stop it and wait.

    Raises `RuntimeError` with the end of its log if it does not start, or exits early.
    """
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "app:app",
        "--no-access-log",
        "--port",
        str(port),
        "--timeout-graceful-shutdown",
        "3",
    ]
    # On a crash inside a library, every thread's stack is logged.
    environment = {**os.environ, "IMGSEARCH_CATALOG": str(catalog), "PYTHONFAULTHANDLER": "1"}
    environment.setdefault("IMGSEARCH_LOCAL_ONLY", "true")  # uvicorn listens at 127.0.0.1
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_ready(process, address, log)
            yield address
        finally:
            ended_with = process.poll()
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if ended_with is not None:
                raise RuntimeError(f"The app exited by itself with code {ended_with}:\n{_end_of(log)}")


def _wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"The app did not start (code {process.poll()}):\n{_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-8000:]
