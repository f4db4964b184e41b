"""Run every command of the README and its guides verbatim, in a folder with the photos."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from running_app import free_port

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = ("your-own-photos", "judge-and-measure", "run-experiments", "adapt")


def commands_of(text: str) -> list[str]:
    """Return the commands of a page's console blocks."""
    return [
        line.removeprefix("$ ")
        for block in re.findall(r"```console\n(.*?)```", text, re.S)
        for line in block.splitlines()
        if line.startswith("$ ")
    ]


COMMANDS = commands_of(README)
INDEXING = [command for command in COMMANDS if command.startswith("imgsearch index ")]
BIN = Path(sys.executable).parent
PORT = 8501
"""The port of the README's commands. The tests take a free one, for somebody may use the app meanwhile."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the README assumes: photos/, products.csv, and a separate data folder."""
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
        "HOME": str(desk),
        "XDG_DATA_HOME": "",
        "HF_HUB_OFFLINE": "1",
    }


def run(command: str, desk: Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        shlex.split(command),
        cwd=cwd or desk,
        env=environment(desk),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


RUN_ALL = """
import contextlib, json, shlex, sys
from imgsearch.cli.main import main

for command in json.loads(sys.argv[1]):
    sys.argv = shlex.split(command)
    try:
        main()
    except SystemExit as end:
        if end.code:
            sys.exit(f"{command} ended with {end.code}")
"""


def run_all(commands: list[str], desk: Path) -> None:
    """Run `imgsearch` commands sequentially in one process, which imports and loads models once."""
    assert all(command.startswith("imgsearch ") for command in commands), commands
    run(shlex.join([sys.executable, "-c", RUN_ALL, json.dumps(commands)]), desk)


def start(command: list[str], port: int, cwd: Path, desk: Path) -> subprocess.Popen[bytes]:
    """Start a server command and wait until it has loaded its encoder."""
    server = subprocess.Popen(command, cwd=cwd, env=environment(desk), start_new_session=True)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert server.poll() is None, f"{command} ended early"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                if json.load(answer)["status"] == "ready":
                    return server
        except OSError:
            pass
        time.sleep(0.3)
    stop(server)
    raise AssertionError(f"{command} was not ready in time")


def stop(server: subprocess.Popen[bytes]) -> None:
    """Terminate a server and its children and wait for them, as they lock the catalog."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
        for _ in range(300):
            server.poll()
            os.killpg(server.pid, 0)
            time.sleep(0.1)
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def test_the_readme_has_no_command_of_an_unknown_kind() -> None:
    known = ("make ", "imgsearch ", "curl ")
    assert len(COMMANDS) >= 10
    assert [command for command in COMMANDS if not command.startswith(known)] == []


def test_commands_of_the_readme_succeed(desk: Path) -> None:
    for command in COMMANDS:
        if command.startswith("imgsearch ") and " serve " not in command and "sample_store" not in command:
            assert run(command, desk).strip(), command


@pytest.mark.parametrize("guide", GUIDES)
def test_commands_of_a_guide_succeed_on_the_shop_of_the_readme(desk: Path, guide: str) -> None:
    commands = commands_of((ROOT / "docs" / f"{guide}.md").read_text(encoding="utf-8"))
    assert commands
    run_all([*INDEXING, *(command for command in commands if " serve " not in command)], desk)


def test_requests_of_the_readme_are_answered(desk: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl here")
    run_all(INDEXING, desk)
    serve = next(command for command in COMMANDS if command.startswith("imgsearch serve "))
    port = free_port()
    server = start([*shlex.split(serve), "--port", str(port)], port, desk, desk)
    try:
        for command in COMMANDS:
            if command.startswith("curl "):
                assert f"127.0.0.1:{PORT}/" in command
                expected = '"etag"' if " PATCH " in command else '"hits"'
                assert expected in run(command.replace(f":{PORT}/", f":{port}/"), desk), command
    finally:
        stop(server)


@pytest.fixture(scope="module")
def demo(desk: Path) -> Path:
    """`make demo` as the README says it, with a separate port; yields the demo's catalog folder."""
    assert "make demo" in COMMANDS
    assert "make test" in COMMANDS  # the command that runs this test
    if not (ROOT / ".venv" / ".ready").exists():
        pytest.skip("make demo would install a second environment: these tests do not run under make test")
    port = free_port()
    stop(start(["make", "demo", f"PORT={port}"], port, ROOT, desk))
    return desk / ".local" / "share" / "imgsearch" / "demo"


def test_the_demo_opens_the_sample_store(demo: Path) -> None:
    assert (demo / "catalog.duckdb").is_file()


def test_evaluations_of_the_readme_reproduce_its_figures(demo: Path, desk: Path) -> None:
    promised = {name: float(figure) for name, figure in re.findall(r"\| `(\S+@\d+)` \| ([\d.]+) \|", README)}
    found = {}
    for command in COMMANDS:
        if "sample_store" in command:
            done = run(command, desk, cwd=ROOT)
            found |= {name: float(mean) for name, mean in re.findall(r"^(\S+@\d+)\s+([\d.]+)", done, re.M)}
    assert promised
    assert {name: found[name] for name in promised} == pytest.approx(promised, abs=0.011)
