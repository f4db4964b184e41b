"""Every command of the README is run here, as it stands there, in a folder with the photos it speaks of."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README, re.S)
    for line in block.splitlines()
    if line.startswith("$ ")
]
BIN = Path(sys.executable).parent
PORT = 8501

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the README supposes it: photos/, products.csv, and nobody's data folder but its own."""
    folder = tmp_path_factory.mktemp("desk")
    store = ROOT / "imgsearch" / "data" / "sample_store"
    rows = (store / "manifest.csv").read_text(encoding="utf-8").splitlines()
    chosen = [row for row in rows[1:] if re.match(r"(mug|bowl|vase)-00[1-6]-", row)]
    (folder / "photos").mkdir()
    for row in chosen:
        name = row.split(",", 1)[0]
        shutil.copy(store / "images" / f"{name}.jpg", folder / "photos")
    (folder / "products.csv").write_text("\n".join([rows[0], *chosen]) + "\n", encoding="utf-8")
    return folder


def environment(desk: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "XDG_DATA_HOME": str(desk / "data"),
        "HF_HUB_OFFLINE": "1",
        "IMGSEARCH_PORT": str(PORT),
    }


def run(command: str, desk: Path) -> str:
    done = subprocess.run(
        shlex.split(command),
        cwd=desk,
        env=environment(desk),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def start(command: list[str], cwd: Path, desk: Path, url: str) -> subprocess.Popen[bytes]:
    """Start a server command and wait until it answers `url`."""
    server = subprocess.Popen(command, cwd=cwd, env=environment(desk), start_new_session=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert server.poll() is None, f"{command} ended early"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return server
        except OSError:
            time.sleep(0.3)
    stop(server)
    raise AssertionError(f"{command} did not answer {url} in time")


def stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


@pytest.fixture(scope="module")
def served(desk: Path) -> Iterator[None]:
    """The README's `index` and `serve`, running."""
    index, serve = (
        next(c for c in COMMANDS if c.startswith(f"imgsearch {name} ")) for name in ("index", "serve")
    )
    run(index, desk)
    server = start(shlex.split(serve), desk, desk, f"http://127.0.0.1:{PORT}/healthz")
    yield
    stop(server)


def test_the_readme_has_no_command_of_an_unknown_kind() -> None:
    known = ("make ", "imgsearch ", "curl ")
    assert len(COMMANDS) >= 10
    assert [command for command in COMMANDS if not command.startswith(known)] == []


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("curl ")])
def test_requests_of_the_readme_are_answered(command: str, desk: Path, served: None) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl here")
    assert '"hits"' in run(command, desk)


@pytest.mark.parametrize(
    "command",
    [c for c in COMMANDS if c.startswith("imgsearch ") and "serve" not in c and "sample_store" not in c],
)
def test_commands_of_the_readme_succeed(command: str, desk: Path) -> None:
    assert run(command, desk).strip()


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if c.startswith("imgsearch ") and "sample_store" in c]
)
def test_evaluations_of_the_readme_give_its_figures(command: str, demo: Path, desk: Path) -> None:
    done = subprocess.run(
        shlex.split(command),
        cwd=ROOT,
        env=environment(desk),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for figure in re.findall(r"`" + re.escape(command) + r"`[^|]*\|[^|]*?(0\.\d+)", README):
        assert figure in done.stdout


@pytest.fixture(scope="module")
def demo(desk: Path) -> Iterator[Path]:
    """`make demo` as the README says it, with a port of its own; gives the demo's catalog folder."""
    assert "make demo" in COMMANDS
    assert "make test" in COMMANDS  # which is what runs this
    if not (ROOT / ".venv" / ".ready").exists():
        pytest.skip("make demo would install a second environment: these tests do not run under make test")
    server = start(["make", "demo", "PORT=8507"], ROOT, desk, "http://127.0.0.1:8507/healthz")
    stop(server)
    return desk / "data" / "imgsearch" / "demo"


def test_the_demo_opens_the_sample_store(demo: Path) -> None:
    assert (demo / "catalog.duckdb").is_file()
