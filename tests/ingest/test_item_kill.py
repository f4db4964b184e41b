"""A process that changes items is killed with SIGKILL: what it acknowledged is there, nothing is half there."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from imgsearch.index.opening import open_live_index
from imgsearch.ingest.verification import verify_catalog
from imgsearch.store.catalog import CatalogStore

ROUNDS = 3
WRITERS = 3

CHANGE = """
import io, json, random, sys, threading
from colour_encoder import ColourEncoder
from photos import COLOURS, SHAPES, draw_photo
from imgsearch.core.config import Settings
from imgsearch.ingest.item_changes import ItemChange
from imgsearch.ingest.item_editor import ItemEditor
from imgsearch.search.engine import SearchEngine

folder, seed = sys.argv[1:]
engine = SearchEngine(Settings.load({}, catalog=folder), encoder=ColourEncoder(), serving=True)
editor = ItemEditor(engine.catalog, engine.indexes, engine.encoder.get, engine.originals)
printing = threading.Lock()

def say(*parts):
    with printing:
        print(json.dumps(parts), flush=True)

def write(number):
    rng, known = random.Random(f"{seed} {number}"), []
    for turn in range(10_000):
        token = f"{seed}-{number}-{turn}"
        kind = rng.choice(["put", "patch", "patch", "delete"]) if len(known) > 3 else "put"
        item_id = f"live/{token}" if kind == "put" else rng.choice(known)
        picture = io.BytesIO()
        draw_photo(rng.choice(SHAPES), rng.choice(list(COLOURS)), turn).save(picture, "JPEG")
        metadata = None if kind == "delete" else {"token": token, "check": token[::-1]}
        data = picture.getvalue() if kind == "put" else None
        say("try", number, item_id, None if kind == "delete" else token)
        (outcome,) = editor.apply([ItemChange(kind, item_id, metadata, data)], actor="test")
        assert outcome.status != "failed", outcome
        (known.remove if kind == "delete" else known.append)(item_id) if kind != "patch" else None
        say("done", number, item_id, None if kind == "delete" else token)

threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
[thread.start() for thread in threads]
"""


def killed_run(folder: Path, seed: int, seconds: float) -> list[list[Any]]:
    """Change items in a process, kill it some seconds after the first change, and return what it said."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHANGE, str(folder), str(seed)],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[1],
    )  # fmt: skip
    assert process.stdout is not None
    said = [process.stdout.readline()]
    while said[-1] and '"done"' not in said[-1]:
        said.append(process.stdout.readline())
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    said += process.stdout.read().splitlines()
    process.wait()
    return [json.loads(line) for line in said if line.strip().endswith("]")]


@pytest.mark.slow
def test_acknowledged_changes_survive_a_kill_and_none_is_half_there(colour_catalog: Path) -> None:
    chance = random.Random(0)
    known: dict[str, str | None] = {}
    acknowledged = 0
    for turn in range(ROUNDS):
        said = killed_run(colour_catalog, turn, chance.uniform(0.3, 1.5))
        in_flight: dict[int, tuple[str, str | None]] = {}
        for what, number, item_id, token in said:
            if what == "try":
                in_flight[number] = item_id, token
            else:
                del in_flight[number]
                known[item_id] = token
                acknowledged += 1
        with CatalogStore.open(colour_catalog) as catalog:
            open_live_index(catalog)
            assert verify_catalog(catalog).problems == ()
            rows = {item.item_id: item.metadata for item in catalog.iter_items()}
        pending = dict(in_flight.values())
        for item_id in {*known, *pending, *(each for each in rows if each.startswith("live/"))}:
            row = rows.get(item_id)
            allowed = {known.get(item_id), pending.get(item_id, known.get(item_id))}
            assert (row["token"] if row else None) in allowed, item_id
            assert row is None or row["check"] == str(row["token"])[::-1]
            known[item_id] = row["token"] if row else None
    assert acknowledged >= ROUNDS
