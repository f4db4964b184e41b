"""A server that is killed at any moment: a request with an Idempotency-Key is done once, however often it is sent."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from imgsearch.app.api.routes import create_api
from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings

pytestmark = pytest.mark.slow

KILLS = 2
WRITER = """
import os, sys, threading
from pathlib import Path
from starlette.testclient import TestClient
from imgsearch.app.api.routes import create_api
from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings

settings = Settings.load({}, catalog=Path(sys.argv[1]), local_only=True)
service = SearchService.open(settings)
api = create_api(lambda: service, settings)

def write(thread):
    client = TestClient(api, base_url="http://localhost", client=("127.0.0.1", 5000))
    for number in range(100_000):
        key = f"{sys.argv[2]}-{thread}-{number}"
        headers = {"Idempotency-Key": key}
        body = {"metadata": {"note": key}}
        item = f"mug/{['red', 'blue', 'green'][thread]}-{number % 2}.jpg"
        os.write(1, f"sent {key} {item}\\n".encode())
        answer = client.patch(f"/api/v1/items/{item}", json=body, headers=headers)
        os.write(1, f"answered {key} {answer.json()['change_id']}\\n".encode())

for thread in range(3):
    threading.Thread(target=write, args=(thread,)).start()
"""


def written_until_killed(catalog: Path, name: str, lines: int) -> tuple[dict[str, str], dict[str, int]]:
    """Kill a writing process after some lines; return the items of the keys that it sent, and the answers."""
    sent: dict[str, str] = {}
    answered: dict[str, int] = {}
    command = [sys.executable, "-c", WRITER, str(catalog), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for count, line in enumerate(process.stdout):
            kind, key, value = line.split()
            if kind == "sent":
                sent[key] = value
            else:
                answered[key] = int(value)
            if count == lines:
                process.kill()
    return sent, answered


@contextlib.contextmanager
def client_of(catalog: Path) -> Iterator[TestClient]:
    settings = Settings.load({}, catalog=catalog, local_only=True)
    with contextlib.closing(SearchService.open(settings)) as service:
        api = create_api(lambda: service, settings)
        yield TestClient(api, base_url="http://localhost", client=("127.0.0.1", 5000))


def changes_of(client: TestClient, items: set[str]) -> list[dict[str, Any]]:
    histories = [client.get("/api/v1/changes", params={"item": item, "limit": 500}) for item in items]
    return [change for history in histories for change in history.json()["changes"]]


def test_a_retry_after_a_kill_does_nothing_twice(colour_catalog: Path) -> None:
    for kill in range(KILLS):
        sent, answered = written_until_killed(
            colour_catalog, f"run{kill}", random.Random(kill).randrange(30, 90)
        )
        assert answered
        with client_of(colour_catalog) as client:
            for key, item in sent.items():
                body, headers = {"metadata": {"note": key}}, {"Idempotency-Key": key}
                answer = client.patch(f"/api/v1/items/{item}", json=body, headers=headers)
                assert answer.status_code == 200
                assert answer.json()["change_id"] == answered.get(key, answer.json()["change_id"])
            changes = changes_of(client, set(sent.values()))
            notes = [(change["after"] or {}).get("note", "") for change in changes]
            made = [note for note in notes if note.startswith(f"run{kill}-")]
            assert sorted(made) == sorted(sent), json.dumps(sorted(made))
