"""Record the public contracts of a checkout, the reference for tests/contract.

    python scripts/record_contracts.py --checkout ../imgsearch-0.1.0

The checkout creates a small catalog of generated photos (`catalog.zip`, with feedback, a collection, a rule and a
judging set); its CLI, Python and HTTP contracts are written next to it as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "tests"), str(REPOSITORY / "tests" / "contract")]

import httpx2
import observe
from photos import write_photos
from running_app import free_port

SETUP = [
    ["index", "photos", "--metadata", "metadata.csv", "--encoder", "lite"],
    ["judge-set", "create", "mugs", "--random", "4", "--depth", "3"],
    ["collection", "create", "reds", "mug/red-0.jpg", "lamp/red-0.jpg"],
    ["rules", "hide", "--item", "ring/black-1.jpg"],
]


def main() -> None:
    """Write the recordings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, required=True, help="the checkout to observe")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "tests" / "contract" / "recorded")
    args = parser.parse_args()
    root, out = args.checkout.resolve(), args.out
    out.mkdir(parents=True, exist_ok=True)
    write_photos(observe.PHOTOS)
    with tempfile.TemporaryDirectory() as temporary:
        work, catalog = observe.PHOTOS.parent, Path(temporary) / "catalog"
        for command in SETUP:
            done = subprocess.run(
                [sys.executable, "-m", "imgsearch", *command, "--catalog", str(catalog)],
                cwd=work, env=observe.environment(root, catalog),
            )  # fmt: skip
            assert done.returncode == 0, command
        write(out / "cli.json", observe.cli_options(root, catalog))
        write(out / "cli_answers.json", observe.cli_answers(root, catalog, observe.CLI_COMMANDS))
        write(out / "python.json", observe.python_contract(root, catalog))
        with served(root, catalog) as address:
            write(out / "openapi.json", observe.openapi(address))
            write(out / "http.json", observe.http_answers(address))
        for name in ("thumbnails", "uploads"):
            shutil.rmtree(catalog / name, ignore_errors=True)
        shutil.make_archive(str(out / "catalog"), "zip", catalog)


def write(path: Path, document: object) -> None:
    """Write a document as JSON that diffs well by line."""
    path.write_text(
        json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8"
    )


class served:  # noqa: N801  (used as a function)
    """Serve a catalog with the checkout at `root` during the block; yields the address once the encoder is loaded."""

    def __init__(self, root: Path, catalog: Path) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "app:app", "--port", str(self.port)],
            cwd=root, env={**observe.environment(root, catalog), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def __enter__(self) -> str:
        address = f"http://127.0.0.1:{self.port}"
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            try:
                if httpx2.get(f"{address}/healthz", timeout=5).json().get("status") == "ready":
                    return address
            except (httpx2.HTTPError, ValueError):
                pass
            time.sleep(0.3)
        raise RuntimeError("the server did not become ready")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)


if __name__ == "__main__":
    os.environ.pop("IMGSEARCH_CATALOG", None)
    main()
