"""The contracts of version 0.1.0: its catalog opens, and CLI, Python and HTTP results are compatible.

`recorded/` was written by `scripts/record_contracts.py` from a checkout of that version. New commands, options,
paths, fields and metrics are free; what was there stays.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
RECORDED = Path(__file__).parent / "recorded"
sys.path[:0] = [str(Path(__file__).parent), str(REPOSITORY / "scripts")]

import observe
from photos import write_photos
from record_contracts import served

pytestmark = pytest.mark.slow

NEVER_TRUE = {
    "answer.pairs[].act",
    "answer.pairs[].took_ms",
    "body.colors[].region",
    "body.text[].region",
}
"""Fields that the document of version 0.1.0 listed, but that its server neither returned nor accepted."""

NOW_POSSIBLE = {"/api/v1/items"}
"""Requests that version 0.1.0 refused as incomplete, and that are answered now."""
SCORE_TOLERANCE = 0.003
"""Processors round sums of float32 differently."""


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a catalog that version 0.1.0 wrote."""
    write_photos(observe.PHOTOS)
    folder = tmp_path_factory.mktemp("contract") / "catalog"
    shutil.unpack_archive(RECORDED / "catalog.zip", folder)
    return folder


@pytest.fixture(scope="module")
def server(catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    copy = tmp_path_factory.mktemp("served") / "catalog"
    shutil.copytree(catalog, copy)
    with served(REPOSITORY, copy) as address:
        yield address


def missing(old: Any, new: Any, path: str = "") -> list[str]:
    """Return the parts of a recorded shape that the new one lacks; recorded nulls match anything."""
    if old == "NoneType" or new == "NoneType":
        return []
    if isinstance(old, dict):
        if not isinstance(new, dict):
            return [f"{path}: was an object, is {new}"]
        return [
            problem
            for name in old
            for problem in (
                missing(old[name], new[name], f"{path}.{name}")
                if name in new
                else [f"{path}.{name}: is gone"]
            )
        ]
    if isinstance(old, list):
        if not isinstance(new, list):
            return [f"{path}: was a list, is {new}"]
        return missing(old[0], new[0], f"{path}[]") if old and new else []
    return [] if old == new else [f"{path}: was {old}, is {new}"]


# --- the catalog ------------------------------------------------------------------------------------------------


def test_a_catalog_of_version_0_1_0_is_sound_and_nothing_is_encoded_again(
    catalog: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(catalog, tmp_path / "catalog"))
    verified = observe.run(REPOSITORY, copy, "-m", "imgsearch", "verify", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    index = [
        "index",
        str(observe.PHOTOS),
        "--metadata",
        str(observe.PHOTOS.parent / "metadata.csv"),
        "--json",
    ]
    indexed = observe.run(REPOSITORY, copy, "-m", "imgsearch", *index)
    report = json.loads(indexed.stdout)
    assert {name: report[name] for name in ("added", "changed", "unchanged", "failed")} == {
        "added": 0, "changed": 0, "unchanged": 48, "failed": [],
    }  # fmt: skip


# --- the command line -------------------------------------------------------------------------------------------


def test_every_command_keeps_its_options(catalog: Path) -> None:
    now = observe.cli_options(REPOSITORY, catalog)
    changed = []
    for command, options in recorded("cli").items():
        for option, old in options.items():
            new = now.get(command, {}).get(option)
            if new is None:
                changed.append(f"{command} {option} is gone")
            elif {**old, "names": set(old["names"]) & set(new["names"])} != {
                **new,
                "names": set(old["names"]),
            }:
                changed.append(f"{command} {option}: was {old}, is {new}")
        required = {option for option, new in now.get(command, {}).items() if new["required"]} - set(options)
        changed += [f"{command} {option} is newly required" for option in required]
    assert changed == []


def test_every_command_produces_the_recorded_output(catalog: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(catalog, tmp_path / "catalog"))
    old = recorded("cli_answers")
    now = observe.cli_answers(REPOSITORY, copy, observe.CLI_COMMANDS)
    for command, answer in old.items():
        assert now[command]["exit"] == answer["exit"], command
        assert now[command]["ids"] == answer["ids"], command
        assert missing(answer["shape"], now[command]["shape"]) == [], command
        if answer["exit"] == 1:
            assert now[command]["error_lines"] == 1, command


# --- Python -----------------------------------------------------------------------------------------------------


def test_the_python_library_keeps_its_signatures(catalog: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(catalog, tmp_path / "catalog"))
    old, now = recorded("python"), observe.python_contract(REPOSITORY, copy)
    for name, parameters in [*old["Catalog"].items(), ("load_encoder", old["load_encoder"])]:
        new = {each["name"]: each for each in (now if name == "load_encoder" else now["Catalog"])[name]}
        for parameter in parameters:
            assert new.get(parameter["name"]) == parameter, name
        added = [each for each in new.values() if each["name"] not in {one["name"] for one in parameters}]
        assert all(each["default"] is not None or each["kind"].startswith("VAR_") for each in added), name
    for name in ("Encoder", "results", "hit", "columns", "metadata"):
        assert set(old[name]) <= set(now[name]), name
    assert (now["ids"], now["vectors"]) == (old["ids"], old["vectors"])


# --- HTTP -------------------------------------------------------------------------------------------------------


def test_the_http_api_returns_the_recorded_responses(server: str) -> None:
    problems = []
    for old, new in zip(recorded("http"), observe.http_answers(server), strict=True):
        assert old["request"] == new["request"], "observe.requests() changed: record again"
        if old["request"]["url"] in NOW_POSSIBLE:
            assert (old["status"], new["status"]) == (400, 200)
            continue
        said = f"{old['request']['method']} {old['request']['url']} {old['request'].get('json', '')}"
        for name in ("status", "type", "cache", "error"):
            if old.get(name) != new.get(name):
                problems.append(f"{said}: {name} was {old.get(name)!r}, is {new.get(name)!r}")
        problems += [f"{said}: {problem}" for problem in missing(old.get("shape"), new.get("shape"))]
        problems += [f"{said}: {problem}" for problem in missing(old.get("query"), new.get("query"))]
        problems += [
            f"{said}: metric {name} is gone"
            for name in set(old.get("metrics", ())) - set(new.get("metrics", ()))
        ]
        if old["request"].get("picture"):
            continue  # Version 0.1.0 encoded a smaller copy of an upload.
        if old.get("ids") != new.get("ids"):
            problems.append(f"{said}: hits were {old.get('ids')}, are {new.get('ids')}")
        elif any(
            abs(a - b) > SCORE_TOLERANCE
            for a, b in zip(old.get("scores", ()), new.get("scores", ()), strict=True)
        ):
            problems.append(f"{said}: scores were {old['scores']}, are {new['scores']}")
    assert problems == []


def test_the_published_description_keeps_its_paths_parameters_and_fields(server: str) -> None:
    old, new = recorded("openapi"), observe.openapi(server)
    problems = []
    for path, operations in old["paths"].items():
        for method, operation in operations.items():
            now = new["paths"].get(path, {}).get(method)
            if now is None:
                problems.append(f"{method} {path} is gone")
                continue
            before, after = parameters(old, operation), parameters(new, now)
            problems += [
                f"{method} {path}: parameter {name} is gone" for name in before.keys() - after.keys()
            ]
            problems += [
                f"{method} {path}: parameter {name} is newly required"
                for name in after.keys() - before.keys()
                if after[name].get("required")
            ]
            gone = set(operation["responses"]) - set(now["responses"])
            problems += [f"{method} {path}: answer {status} is gone" for status in gone]
            lost = json_fields(old, operation) - json_fields(new, now) - NEVER_TRUE
            problems += [f"{method} {path}: field {field} is gone" for field in sorted(lost)]
    assert problems == []


def resolved(document: dict[str, Any], node: Any) -> Any:
    """Return a node of an OpenAPI document with its own `$ref` replaced."""
    while isinstance(node, dict) and "$ref" in node:
        target: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def parameters(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of an operation by name."""
    listed = [resolved(document, each) for each in operation.get("parameters", [])]
    return {each["name"]: each for each in listed}


def json_fields(document: dict[str, Any], operation: dict[str, Any]) -> set[str]:
    """Return the dotted names of all fields of an operation's JSON answer 200 or 201, and of its JSON body."""
    found: set[str] = set()

    def walk(schema: Any, path: str, depth: int) -> None:
        schema = resolved(document, schema)
        if not isinstance(schema, dict) or depth > 6:
            return
        for part in [*schema.get("allOf", []), *schema.get("anyOf", []), *schema.get("oneOf", [])]:
            walk(part, path, depth + 1)
        for name, child in schema.get("properties", {}).items():
            found.add(f"{path}.{name}")
            walk(child, f"{path}.{name}", depth + 1)
        walk(schema.get("items"), f"{path}[]", depth + 1)

    for status in ("200", "201"):
        content = resolved(document, operation["responses"].get(status, {})).get("content", {})
        walk(content.get("application/json", {}).get("schema"), "answer", 0)
    body = resolved(document, operation.get("requestBody", {})).get("content", {})
    walk(body.get("application/json", {}).get("schema"), "body", 0)
    return found
