"""Observe the public contracts of an imgsearch checkout from outside: CLI, Python and HTTP.

The same functions run on the checkout that the recordings were made from and on this one. They therefore use
subprocesses and HTTP only, and import nothing of imgsearch.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx2
from photos import draw_photo

PHOTOS = Path(tempfile.gettempdir()) / "imgsearch-contract" / "photos"
"""Where the photos of the recorded catalog are: the same place on every machine, since the catalog names it."""
ITEM = "mug/red-0.jpg"
MAX_UPLOAD_BYTES = 200_000
SETTINGS = {"IMGSEARCH_MAX_UPLOAD_BYTES": str(MAX_UPLOAD_BYTES), "IMGSEARCH_MAX_RESULTS": "60"}

CLI_COMMANDS = [
    ["info", "--json"], ["verify", "--json"], ["search", "--item", ITEM, "-n", "5", "--json"],
    ["search", "--text", "red mug", "-n", "5", "--filter", "price<50", "--json"],
    ["search", "--item", "no-such-item", "--json"], ["search", "--json"],
    ["search", "--item", ITEM, "--filter", "nonsense", "--json"],
    ["compare", "--item", ITEM, "--right", "live,diversity:0.4", "-n", "5", "--json"],
    ["duplicates", "--json"], ["rules", "list", "--json"], ["collection", "list", "--json"],
    ["judge-set", "list", "--json"], ["judge-set", "progress", "mugs", "--json"],
    ["system", "list", "--json"], ["experiment", "list", "--json"], ["heads", "list", "--json"],
    ["reports", "list", "--json"], ["monitor", "--json"], ["robustness", "-n", "6", "--json"],
    ["remove", "no-such-item", "--json"], ["evaluate", "--qrels", "no-such-file.trec", "--json"],
    ["no-such-command"], ["search", "--no-such-option"],
]  # fmt: skip

_CLI = """
import json, typer
try:
    from imgsearch.cli.main import app
except ImportError:
    from imgsearch.cli import app

def commands(command, path):
    if hasattr(command, "commands"):
        for name, child in sorted(command.commands.items()):
            yield from commands(child, [*path, name])
        return
    yield " ".join(path), {
        (max(parameter.opts, key=len) if parameter.param_type_name == "option" else "argument"): {
            "kind": parameter.param_type_name,
            "names": sorted([*parameter.opts, *parameter.secondary_opts])
            if parameter.param_type_name == "option" else [],
            "range": [parameter.min, parameter.max],
            "default": repr(parameter.default),
            "required": parameter.required,
            "multiple": bool(getattr(parameter, "multiple", False) or parameter.nargs == -1),
            "is_flag": bool(getattr(parameter, "is_flag", False)),
        }
        for parameter in command.params
    }

print(json.dumps(dict(commands(typer.main.get_command(app), []))))
"""

_CLI_RUN = """
import contextlib, io, json, sys
try:
    from imgsearch.cli.main import main
except ImportError:
    from imgsearch.cli import main

answers = []
for command in json.loads(sys.argv[1]):
    output, errors, code = io.StringIO(), io.StringIO(), 0
    sys.argv = ["imgsearch", *command]
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    answers.append((command, code, output.getvalue(), errors.getvalue()))
print(json.dumps(answers))
"""

_PYTHON = """
import inspect, json
from imgsearch import Catalog
from imgsearch.encoders import Encoder, load_encoder

def signature(function):
    return [
        {"name": p.name, "kind": p.kind.name, "default": None if p.default is p.empty else repr(p.default)}
        for p in inspect.signature(function).parameters.values()
    ]

names = [name for name in dir(Catalog) if not name.startswith("_") and callable(getattr(Catalog, name))]
catalog = {name: signature(getattr(Catalog, name)) for name in names}
with Catalog.open() as opened:
    results = opened.search(item="mug/red-0.jpg", n=3)
    report = opened.evaluate
    print(json.dumps({
        "Catalog": catalog,
        "load_encoder": signature(load_encoder),
        "Encoder": sorted(name for name in dir(Encoder) if not name.startswith("_")),
        "results": [name for name in dir(results) if not name.startswith("_")],
        "hit": [name for name in dir(results[0]) if not name.startswith("_")],
        "columns": list(results.to_pandas().columns),
        "metadata": list(opened.metadata().columns),
        "vectors": list(opened.vectors().shape),
        "ids": [hit.item_id for hit in results],
    }))
"""


def environment(root: Path, catalog: Path) -> dict[str, str]:
    """Return the environment in which the checkout at `root` runs on `catalog`."""
    return {
        **os.environ, **SETTINGS,
        "PYTHONPATH": str(root), "IMGSEARCH_CATALOG": str(catalog), "PYTHONIOENCODING": "utf-8",
    }  # fmt: skip


def run(root: Path, catalog: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the checkout at `root` on `catalog`."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env=environment(root, catalog),
        capture_output=True,
        text=True,
        timeout=300,
    )


def cli_options(root: Path, catalog: Path) -> dict[str, Any]:
    """Return every command with its options and arguments."""
    done = run(root, catalog, "-c", _CLI)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def cli_answers(root: Path, catalog: Path, commands: list[list[str]]) -> dict[str, Any]:
    """Return exit code, shape of the JSON output and length of the error of each command line, all in one process."""
    done = run(root, catalog, "-c", _CLI_RUN, json.dumps(commands))
    assert done.returncode == 0, done.stderr
    answers = {}
    for command, code, output, errors in json.loads(done.stdout.splitlines()[-1]):
        document = json.loads(output) if output.strip() else None
        answers[" ".join(command)] = {
            "exit": code,
            "shape": shape(document),
            "ids": hit_ids(document),
            "error_lines": len(errors.strip().splitlines()) if code else 0,
        }
    return answers


def python_contract(root: Path, catalog: Path) -> dict[str, Any]:
    """Return signatures and results of the Python library."""
    done = run(root, catalog, "-c", _PYTHON)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def shape(document: Any) -> Any:
    """Return a JSON document with its values replaced by their types; a list by the shape of its first entry."""
    if isinstance(document, dict):
        return {name: shape(value) for name, value in document.items()}
    if isinstance(document, list):
        return [shape(document[0])] if document else []
    if isinstance(document, bool) or document is None:
        return type(document).__name__
    return "number" if isinstance(document, int | float) else type(document).__name__


def hit_ids(document: Any) -> list[str]:
    """Return the item ids of the hits of a search result; empty for any other document."""
    return (
        [hit["item_id"] for hit in document["hits"]]
        if isinstance(document, dict) and "hits" in document
        else []
    )


def picture() -> bytes:
    """Return a PNG of a red mug that is not in the catalog."""
    buffer = io.BytesIO()
    draw_photo("mug", "red", variant=9).save(buffer, "PNG")
    return buffer.getvalue()


def requests() -> list[dict[str, Any]]:
    """Return the recorded requests, in sending order."""
    search = "/api/v1/search"
    gets = [
        f"{search}?text=red+mug&n=5", f"{search}?item={ITEM}&n=5", f"{search}?item={ITEM}&n=3&offset=2",
        f"{search}?item={ITEM}&n=5&filter=category%3Dmug", f"{search}?item={ITEM}&n=5&filter=price%3C40",
        f"{search}?item={ITEM}&n=5&filter=price%3D10..40&filter=colour+in+red%7Cblue",
        f"{search}?item={ITEM}&n=5&filter=title~lamp", f"{search}?color=c81e28&n=4",
        f"{search}?item={ITEM}&more=lamp/red-0.jpg&less=mug/blue-0.jpg&n=5",
        f"{search}?part=0.5:item@0,0,0.6,1:{ITEM}&part=-0.3:text:lamp&n=5",
        f"{search}?item={ITEM}&emphasis=color:0.5,shape:0.2&n=5", f"{search}?item={ITEM}&same=color&n=4",
        f"{search}?item={ITEM}&duplicates=collapse&n=5", f"{search}?item={ITEM}&diversity=0.5&n=5",
        f"{search}?text=red+mgu&n=3", f"{search}?text=red+mgu&spelling=keep&n=3",
        f"{search}?text=blue+under+50&n=3", f"/api/v1/items/{ITEM}", f"/api/v1/items?id={ITEM}",
        f"/api/v1/items/{ITEM}/similar?n=4", f"/api/v1/regions?item={ITEM}",
        f"/thumbnails/{ITEM}", f"/thumbnails/{ITEM}?size=96", f"/thumbnails?id={ITEM}",
        "/api/v1/collections?visitor=0123456789abcdef0123456789abcdef", "/healthz", "/metrics", "/api/docs",
        "/api/v1/map?projection=pca&dimensions=2", "/api/v1/map/photos?key=1&key=2",
        # Refusals.
        search, f"{search}?text=+", f"{search}?txt=red", f"{search}?text=red&n=0", f"{search}?text=red&n=61",
        f"{search}?text=red&n=ten", f"{search}?text=red&offset=-1", f"{search}?item=no-such-item",
        f"{search}?item={ITEM}&filter=nonsense", f"{search}?item={ITEM}&filter=nocolumn%3D1",
        f"{search}?item={ITEM}&filter=price%3Dcheap", f"{search}?color=red", f"{search}?upload=xyz",
        f"{search}?upload={'0' * 32}", f"{search}?part=1:what:x", f"{search}?part=0:text:x",
        f"{search}?part=1:item@0,0,2,1:{ITEM}", f"{search}?item={ITEM}&emphasis=size:1",
        f"{search}?item={ITEM}&diversity=2", f"{search}?item={ITEM}&duplicates=hide",
        f"{search}?item={ITEM}&same=shape", f"{search}?text=red&spelling=maybe",
        "/api/v1/items/no-such-item", "/api/v1/items", "/api/v1/items/no-such-item/similar",
        "/api/v1/regions", "/api/v1/regions?item=no-such-item", f"/api/v1/regions?upload={'0' * 32}",
        "/thumbnails/no-such-item", f"/thumbnails/{ITEM}?size=big", f"/uploads/{'0' * 32}",
        "/api/v1/collections", "/api/v1/collections?visitor=me", "/api/v1/collections/none",
        "/api/v1/collections/none.csv", "/api/v1/map/photos", "/api/v1/map?projection=tsne", "/api/nothing",
    ]  # fmt: skip
    posts: list[tuple[str, Any]] = [
        (search, {"text": "red mug", "n": 5}),
        (search, {"items": [ITEM], "n": 5, "filter": ["price<40"]}),
        (search, {"items": [{"value": ITEM, "weight": 0.5, "region": [0, 0, 0.6, 1]}], "n": 5}),
        (search, {"more": ["lamp/red-0.jpg"], "less": [ITEM], "text": ["red"], "n": 4}),
        (search, {"items": [ITEM], "emphasis": {"color": 0.5}, "same_color": True, "n": 4}),
        (search, {"items": [ITEM], "diversity": 0.5, "duplicates": "collapse", "spelling": "keep", "n": 4}),
        (search, {"colors": ["#c81e28"], "n": 4}),
        (search, {}), (search, {"txt": "red"}), (search, {"text": 1}), (search, {"text": "red", "n": "5"}),
        (search, {"text": "red", "n": 5.5}), (search, {"items": [{"value": ITEM, "weight": 0}]}),
        (search, {"items": [ITEM], "emphasis": [1]}), (search, {"image": "not base64"}),
        (search, {"items": [ITEM], "same_color": "yes"}), (search, []), (search, {"uploads": ["xyz"]}),
        ("/api/v1/feedback", {"kind": "click", "search_id": "s-1", "item_id": ITEM, "rank": 1, "visitor": "v"}),
        ("/api/v1/feedback",
         {"kind": "judgment", "query": "text=red+mug", "item_id": ITEM, "verdict": "good", "labeler": "kim"}),
        ("/api/v1/feedback", {"kind": "other"}), ("/api/v1/feedback", {"kind": "click"}),
        ("/api/v1/feedback",
         {"kind": "judgment", "query": "text=red", "item_id": ITEM, "verdict": "fine", "labeler": "kim"}),
        ("/api/v1/judging", {}), ("/api/v1/replica-feedback", {}),
    ]  # fmt: skip
    listed: list[dict[str, Any]] = [{"method": "GET", "url": url} for url in gets]
    listed += [{"method": "POST", "url": url, "json": body} for url, body in posts]
    listed += [
        {"method": "POST", "url": search, "text": "{", "type": "application/json"},
        {"method": "POST", "url": search, "text": "text=red", "type": "text/plain"},
        {"method": "POST", "url": search, "picture": True, "fields": {"n": "5"}},
        {"method": "POST", "url": search, "file": "no picture", "fields": {"n": "5"}},
        {"method": "DELETE", "url": search},
        {"method": "POST", "url": "/healthz"},
    ]
    return listed


def send(client: httpx2.Client, request: dict[str, Any]) -> httpx2.Response:
    """Send one of `requests()`."""
    options: dict[str, Any] = {}
    if "json" in request:
        options["json"] = request["json"]
    elif "text" in request:
        options = {"content": request["text"], "headers": {"Content-Type": request["type"]}}
    elif request.get("picture") or "file" in request:
        data = picture() if request.get("picture") else request["file"].encode()
        options = {"data": request["fields"], "files": {"image": ("photo.png", data, "image/png")}}
    return client.request(request["method"], request["url"], **options)


def http_answer(client: httpx2.Client, request: dict[str, Any]) -> dict[str, Any]:
    """Return the contract part of a response."""
    response = send(client, request)
    kind = response.headers.get("content-type", "").partition(";")[0]
    document = response.json() if kind == "application/json" else None
    answer: dict[str, Any] = {
        "request": request,
        "status": response.status_code,
        "type": kind,
        "cache": response.headers.get("cache-control", ""),
    }
    if isinstance(document, dict) and "error" in document and response.status_code >= 400:
        answer["error"] = document["error"].get("code") if isinstance(document["error"], dict) else "?"
    elif document is not None:
        answer["shape"] = shape(document)
        answer["ids"] = hit_ids(document)
        if answer["ids"]:
            answer["scores"] = [round(hit["score"], 4) for hit in document["hits"]]
            answer["query"] = document["query"]
    if request["url"] == "/metrics":
        answer["metrics"] = sorted(
            {line.split()[2] for line in response.text.splitlines() if line.startswith("# TYPE ")}
        )
    return answer


def http_answers(address: str) -> list[dict[str, Any]]:
    """Return the responses of the server at `address` to all of `requests()`."""
    with httpx2.Client(base_url=address, timeout=60) as client:
        return [http_answer(client, request) for request in requests()]


def openapi(address: str) -> dict[str, Any]:
    """Return the published description of the HTTP API."""
    return dict(httpx2.get(f"{address}/api/openapi.json", timeout=60).json())
