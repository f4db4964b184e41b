"""Commands on a catalog that a server has open: they run in the server, with the output of their own process."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from commands import run_in_process
from photos import draw_photo

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 90.0


def start(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    command = [sys.executable, "-m", "imgsearch", *map(str, arguments)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env=environ, **pipes, **options)  # type: ignore[call-overload]


def run(*arguments: str | Path, code: int = 0, **options: Any) -> tuple[str, str]:
    """Run a command in a process of its own and return its output and its errors."""
    process = start(*arguments, **options)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == code, f"exit {process.returncode}\n{output}\n{errors}"
    assert "Traceback" not in errors
    return output, errors


def serve(catalog: Path) -> subprocess.Popen[str]:
    """Serve a catalog and return the process once it answers."""
    server = start("serve", "--catalog", catalog, "--port", "0", "--host", "127.0.0.1")
    until = time.monotonic() + START_TIMEOUT_S
    while not holder(catalog).get("address"):
        assert server.poll() is None, server.communicate()
        assert time.monotonic() < until, "the server does not start"
        time.sleep(0.05)
    return server


def holder(catalog: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((catalog / "writer.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def items_served(catalog: Path) -> int:
    with urllib.request.urlopen(f"{holder(catalog)['address']}/healthz") as answer:
        return int(json.load(answer)["items"])


@pytest.fixture(scope="module")
def served(shared_lite_catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a catalog of the 48 photos that a server has open; a test leaves it as it was."""
    catalog = Path(shutil.copytree(shared_lite_catalog, tmp_path_factory.mktemp("served") / "catalog"))
    server = serve(catalog)
    yield catalog
    server.send_signal(signal.SIGINT)
    _, errors = server.communicate(timeout=60)
    assert "Traceback" not in errors


READING = [
    ["info", "--json"],
    ["search", "--item", "mug/red-0.jpg", "-n", "3"],
    ["search", "--text", "red mug", "-n", "3"],
    ["duplicates"],
    ["verify"],
    ["rules", "list", "--json"],
    ["system", "list"],
    ["experiment", "list"],
    ["tune"],
    ["rules", "off", "7"],
    ["info", "--nosuch"],
]


@pytest.mark.slow
def test_commands_print_the_same_whether_a_server_has_the_catalog_or_not(
    served: Path, shared_lite_catalog: Path
) -> None:
    def outcome(arguments: list[str], catalog: Path) -> tuple[str, str, int]:
        process = start(*arguments, "--catalog", catalog)
        output, errors = process.communicate(timeout=120)
        shown = [text.replace(str(catalog), "CATALOG") for text in (output, errors)]
        return shown[0], shown[1], process.returncode

    with ThreadPoolExecutor(2) as pool:  # several at once: their outputs must not mix
        there = list(pool.map(lambda arguments: outcome(arguments, served), READING))
    copy = Path(shutil.copytree(shared_lite_catalog, served.parent / "alone", dirs_exist_ok=True))
    for arguments, (output, errors, code) in zip(READING, there, strict=True):
        alone = run_in_process([*arguments, "--catalog", str(copy)])
        told = [text.replace(str(copy), "CATALOG") for text in (alone.stdout, alone.stderr)]
        expected = (*told, alone.returncode)
        if arguments[0] == "info" and code == 0:  # sizes and generations differ
            found, wanted = json.loads(output), json.loads(expected[0])
            assert (found["items"], found["columns"]) == (wanted["items"], wanted["columns"])
        else:
            assert (output, errors, code) == expected, arguments


@pytest.mark.slow
def test_changes_of_commands_are_found_by_the_next_search_of_the_server(served: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    draw_photo("ring", "blue", 9).save(tmp_path / "more" / "ring.jpg")
    (tmp_path / "rows.csv").write_text("image,title\nring.jpg,Blue ring\n", encoding="utf-8")
    relative = ("index", "more", "--metadata", "rows.csv", "--catalog", served, "--json")
    output, _ = run(*relative, cwd=tmp_path)
    assert json.loads(output)["added"] == 1
    assert items_served(served) == 49
    assert json.loads(run(*relative, cwd=tmp_path)[0])["unchanged"] == 1
    found, _ = run("search", "--item", "ring.jpg", "--catalog", served, "-n", "1", "--json")
    assert json.loads(found)["hits"]
    run("rules", "hide", "--item", "mug/red-0.jpg", "--catalog", served)
    with urllib.request.urlopen(
        f"{holder(served)['address']}/api/v1/search?item=mug/red-1.jpg&n=48"
    ) as answer:
        assert "mug/red-0.jpg" not in {hit["item_id"] for hit in json.load(answer)["hits"]}
    run("rules", "undo", "1", "--catalog", served)
    assert run("remove", "ring.jpg", "--catalog", served)[0] == "Removed 1 item.\n"
    assert items_served(served) == 48
    _, errors = run("verify", "--repair", "--catalog", served, code=1)
    assert "needs the catalog to itself" in errors
    _, errors = run("serve", "--catalog", served, "--port", "0", code=1)
    assert "in use by process" in errors


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_killed_or_interrupted_client_stops_its_command_between_batches(
    served: Path, tmp_path: Path, number: int, code: int
) -> None:
    data = io.BytesIO()
    draw_photo("ring", "blue", 0, 1200).save(data, "JPEG")
    ids = [f"{place:03d}.jpg" for place in range(300)]
    for item_id in ids:  # what follows the picture changes its bytes only
        (tmp_path / item_id).write_bytes(data.getvalue() + f"{item_id}{number}".encode())
    client = start("index", tmp_path, "--catalog", served)
    try:
        until = time.monotonic() + 60
        while items_served(served) == 48 and time.monotonic() < until:
            time.sleep(0.02)
        client.send_signal(number)
        _, errors = client.communicate(timeout=60)
        assert client.returncode == code
        assert (number == signal.SIGKILL) or "the same command continues from there" in errors
        while json.loads(_get(served, "commands"))["running"] and time.monotonic() < until:
            time.sleep(0.05)
        assert 48 < items_served(served) < 348
        assert "sound" in run("verify", "--catalog", served)[0]
    finally:
        client.kill()
        run("remove", *[item_id for item_id in ids if _is_known(served, item_id)], "--catalog", served)
    assert items_served(served) == 48


def _get(catalog: Path, path: str) -> str:
    writer = holder(catalog)
    request = urllib.request.Request(
        f"{writer['address']}/api/v1/{path}", headers={"Authorization": f"Bearer {writer['token']}"}
    )
    with urllib.request.urlopen(request) as answer:
        return str(answer.read().decode())


def _is_known(catalog: Path, item_id: str) -> bool:
    try:
        urllib.request.urlopen(f"{holder(catalog)['address']}/api/v1/items/{item_id}").close()
    except urllib.error.HTTPError:
        return False
    return True


@pytest.mark.slow
def test_only_the_owner_of_the_catalog_runs_commands(served: Path) -> None:
    assert stat.S_IMODE((served / "writer.json").stat().st_mode) == 0o600
    writer = holder(served)
    body = {"version": "x", "catalog": str(served), "arguments": ["info"], "folder": "/"}
    for headers, status in (({}, 403), ({"Authorization": "Bearer wrong"}, 401)):
        request = urllib.request.Request(
            f"{writer['address']}/api/v1/commands",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", **headers},
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code == status
    with urllib.request.urlopen(f"{writer['address']}/api/openapi.json") as answer:
        assert not [path for path in json.load(answer)["paths"] if "commands" in path]


@pytest.mark.slow
def test_programs_of_this_machine_change_items_without_a_token(served: Path) -> None:
    def sent(
        path: str, method: str, body: object, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{holder(served)['address']}/api/v1/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", **(headers or {})},
            method=method,
        )
        with urllib.request.urlopen(request) as answer:
            return dict(json.load(answer))

    changed = sent("items/mug/red-0.jpg", "PATCH", {"metadata": {"price": 1234}})
    assert changed["status"] == "updated"
    for headers in ({"X-Forwarded-For": "192.0.2.7"}, {"Origin": "https://evil.example"}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            sent("items/mug/red-0.jpg", "PATCH", {"metadata": {"price": 1}}, headers)
        assert refused.value.code in (401, 403)
    (undone,) = sent("changes/undo", "POST", {"changes": [changed["change_id"]]})["outcomes"]
    assert undone["status"] == "updated"


def test_a_server_that_hangs_or_is_dead_is_told_in_one_sentence(
    shared_lite_catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Path(shutil.copytree(shared_lite_catalog, tmp_path / "catalog"))
    note = {
        "pid": 1,
        "host": socket.gethostname(),
        "command": "imgsearch serve",
        "since": "today",
        "token": "t",
    }
    with socket.create_server(("127.0.0.1", 0)) as silent:
        note["address"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        (catalog / "writer.json").write_text(json.dumps(note))
        code = (
            "import sys; from imgsearch.cli import remote, main; remote.SILENCE_TIMEOUT_S = 0.5; "
            f"sys.argv = ['imgsearch', 'info', '--catalog', {str(catalog)!r}]; main.main()"
        )
        hung = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert hung.returncode == 1
    assert len(hung.stderr.splitlines()) == 1
    assert "does not answer" in hung.stderr
    # The port is closed now, as that of a killed server: the catalog is opened here.
    assert "Items" in run("info", "--catalog", catalog)[0]


@pytest.mark.slow
def test_a_copy_of_a_served_catalog_is_not_changed_through_its_server(served: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(served, tmp_path / "copy"))
    assert run("remove", "mug/red-0.jpg", "--catalog", copy)[0] == "Removed 1 item.\n"
    assert items_served(served) == 48
