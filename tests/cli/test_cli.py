"""The `imgsearch` command, end to end in separate processes: output, exit codes, and files."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import run_in_process
from photos import draw_photo

from imgsearch.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "index",
    "sync",
    "search",
    "remove",
    "info",
    "verify",
    "serve",
    "demo",
    "evaluate",
    "export-judgments",
    "robustness",
    "monitor",
    "adapt",
    "duplicates",
    "tune",
    "backup",
    "restore",
    "compact",
    "compare",
    "restore-items",
)
GROUPS = ("judge-set", "experiment", "system", "reports", "events", "heads", "rules", "collection", "sources")


def run(*arguments: str | Path, code: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command, with `options` in a separate process; check the exit code and that an error is one line."""
    done = run_in_process(list(map(str, arguments))) if not options else subprocess.run(
        [sys.executable, "-m", "imgsearch", *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False, **options,
    )  # fmt: skip
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    if code == 1:
        assert done.stderr.splitlines()[-1].startswith("imgsearch: ")
    return done


def error(*arguments: str | Path, **options: Any) -> str:
    """Return the line that a failing command prints."""
    done = run(*arguments, code=1, **options)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, imgsearch.cli.main; "
        "assert not {'torch', 'streamlit', 'duckdb', 'numpy', 'PIL', 'pandas', 'uvicorn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    run("--help")


def test_every_command_has_help_with_an_example() -> None:
    listed = run("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"^│ {command}\b", listed, re.M)
        shown = run(command, "--help").stdout
        assert f"imgsearch {command}" in shown.replace("\n", " ").replace("python -m ", "")
        assert "Example:" in shown
    assert set(typer.main.get_command(app).commands) == {*COMMANDS, *GROUPS}  # type: ignore[attr-defined]
    for group in GROUPS:
        assert re.search(rf"^│ {group}\b", listed, re.M)


def test_the_version_is_printed() -> None:
    assert re.fullmatch(r"imgsearch \d+\.\d+\.\d+\n", run("--version").stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuch"],
        ["index"],
        ["search"],
        ["search", "--text"],
        ["search", "--text", "x", "-n", "0"],
        ["search", "--text", "x", "-n", "many"],
        ["remove"],
        ["evaluate"],
        ["serve", "--port", "70000"],
        ["info", "--nosuch"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: Sequence[str], tmp_path: Path) -> None:
    done = run(*arguments, code=2, cwd=tmp_path)
    assert done.stdout == ""
    assert done.stderr


# --- index ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(shared_lite_catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a catalog of the 48 photos that tests only read."""
    return Path(shutil.copytree(shared_lite_catalog, tmp_path_factory.mktemp("cli") / "catalog"))


def test_indexing_adds_photos_then_skips_unchanged_ones_then_applies_changes(
    photos: Path, metadata_csv: Path, tmp_path: Path
) -> None:
    (photos / "empty.jpg").touch()
    (photos / "no photo\nat all.jpg").write_text("text", encoding="utf-8")
    catalog = tmp_path / "catalog"
    index = ("index", photos, "--catalog", catalog, "--metadata", metadata_csv)
    first = json.loads(run(*index, "--encoder", "lite", "--json").stdout)
    assert (first["added"], first["changed"], first["unchanged"], first["removed"]) == (48, 0, 0, 0)
    assert {Path(failure["path"]).name for failure in first["failed"]} >= {"empty.jpg"}
    assert len(first["failed"]) == 2
    assert all(failure["reason"] for failure in first["failed"])
    assert first["encoder"].startswith("lite")
    assert first["seconds"]["total"] > 0

    (photos / "mug" / "red-0.jpg").unlink()
    draw_photo("ring", "blue", 9).save(photos / "mug" / "red-1.jpg")
    second = run(*index)
    assert re.search(r"^\s*1\s+changed$", second.stdout, re.M)
    assert re.search(r"^\s*46\s+unchanged$", second.stdout, re.M)
    assert "1 vanished" in " ".join(second.stdout.split())
    assert "empty.jpg: The file is empty." in second.stdout
    assert "no photo\nat all" not in second.stdout  # a newline in a name must not break the lines

    third = json.loads(run(*index, "--prune", "--json").stdout)
    assert (third["added"], third["changed"], third["unchanged"], third["removed"]) == (0, 0, 47, 1)
    assert json.loads(run("info", "--catalog", catalog, "--json").stdout)["items"] == 47
    assert "sound" in run("verify", "--catalog", catalog).stdout


@pytest.mark.parametrize("source", ["missing", "note.txt"])
def test_an_invalid_source_creates_no_catalog(tmp_path: Path, source: str) -> None:
    (tmp_path / "note.txt").write_text("x", encoding="utf-8")
    line = error("index", tmp_path / source, "--catalog", tmp_path / "catalog", "--encoder", "lite")
    assert source in line
    assert not (tmp_path / "catalog").exists()


def test_another_encoder_is_refused_by_name(shop: Path, photos: Path) -> None:
    assert "nosuch:thing" in error("index", photos, "--catalog", shop, "--encoder", "nosuch:thing")


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_committed(photos: Path, tmp_path: Path) -> None:
    for number in range(22):
        shutil.copytree(photos / "mug", photos / f"more-{number}")
    count = sum(1 for _ in photos.rglob("*.jpg"))
    command = [
        sys.executable,
        "-m",
        "imgsearch",
        "index",
        str(photos),
        "--catalog",
        str(tmp_path / "c"),
        "--encoder",
        "lite",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        # The first batch is committed once the embeddings grow for the second time.
        vectors = tmp_path / "c" / "embeddings" / "vectors.f16"
        sizes: set[int] = set()
        while process.poll() is None and len(sizes) < 2:
            sizes |= {vectors.stat().st_size} - {0} if vectors.exists() else set()
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=240)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    found = re.search(r"Stopped at (\d+) items? in the catalog", said.replace(",", ""))
    assert found, said
    assert 0 < int(found[1]) < count
    again = json.loads(run(*command[3:], "--json").stdout)
    assert again["unchanged"] == int(found[1])
    assert again["added"] + again["unchanged"] == count
    assert json.loads(run("verify", "--catalog", tmp_path / "c", "--json").stdout)["clean"] is True


# --- search -----------------------------------------------------------------------------------------------------


def test_search_prints_the_contract_s_json(shop: Path) -> None:
    found = json.loads(
        run("search", "--item", "mug/red-0.jpg", "-n", "3", "--catalog", shop, "--json").stdout
    )
    assert set(found) >= {"query", "encoder", "hits", "timing_ms"}
    assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3]
    for hit in found["hits"]:
        assert set(hit) >= {"item_id", "rank", "score", "image", "metadata"}
        assert Path(hit["image"]).is_file()
    assert found["timing_ms"]["total"] > 0


def test_results_for_unknown_words_are_labelled_as_a_guess(shop: Path) -> None:
    found = json.loads(run("search", "--text", "xqzv wvkk", "--catalog", shop, "--json").stdout)
    assert found["hits"]
    assert "xqzv wvkk" in found["notes"][0]
    assert json.loads(run("search", "--text", "red mug", "--catalog", shop, "--json").stdout)["notes"] == []


def test_a_search_result_has_a_confidence(shop: Path) -> None:
    there = json.loads(run("search", "--text", "red mug", "--catalog", shop, "--json").stdout)
    absent = json.loads(run("search", "--text", "bicycle", "--catalog", shop, "--json").stdout)
    assert (there["confidence"], absent["confidence"]) == ("strong", "weak")
    assert "Nothing quite like this here" in run("search", "--text", "bicycle", "--catalog", shop).stderr


def test_search_by_all_kinds_at_once_with_filters(shop: Path, shared_photos: Path) -> None:
    arguments = ("search", "--text", "red", "--text", "mug", "--image", shared_photos / "mug" / "red-0.jpg")
    arguments += ("--item", "mug/red-1.jpg", "--filter", "category=mug", "--filter", "price<60", "-n", "50")
    found = json.loads(run(*arguments, "--catalog", shop, "--json").stdout)
    assert [term["kind"] for term in found["query"]["terms"]] == ["text", "text", "image", "item"]
    assert found["hits"]
    assert all(
        hit["metadata"]["category"] == "mug" and hit["metadata"]["price"] < 60 for hit in found["hits"]
    )


def test_the_table_names_rank_score_id_and_title(shop: Path) -> None:
    lines = run("search", "--item", "mug/red-0.jpg", "-n", "2", "--catalog", shop).stdout.splitlines()
    assert lines[0].split() == ["rank", "score", "id", "title"]
    assert re.match(r"\s+1\s+[01]\.\d{3}\s+mug/red-1\.jpg\s+Red mug no\. 1", lines[1])
    assert len(lines) == 3


def test_searching_by_an_item_loads_no_model(shop: Path) -> None:
    done = run("search", "--item", "mug/red-0.jpg", "--catalog", shop)
    assert done.stderr == ""
    code = (
        "import sys; sys.argv = ['imgsearch', 'search', '--item', 'mug/red-0.jpg', '--catalog', sys.argv[1]]\n"
        "from imgsearch.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(shop)], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--item", "nosuch"], "nosuch"),
        (["--image", "nosuch.jpg"], "nosuch.jpg"),
        (["--image", "."], "cannot be read"),
        (["--item", "mug/red-0.jpg", "--filter", "nosuch=1"], "nosuch"),
        (["--item", "mug/red-0.jpg", "--filter", "nonsense"], "nonsense"),
        (["--text", " "], "empty"),
    ],
)
def test_an_invalid_search_prints_a_one_line_error(
    shop: Path, arguments: Sequence[str], words: str, tmp_path: Path
) -> None:
    assert words in error("search", *arguments, "--catalog", shop, cwd=tmp_path)


def test_a_non_image_prints_a_one_line_error(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_text("text", encoding="utf-8")
    line = error("search", "--image", tmp_path / "x.jpg", "--catalog", shop)
    assert "x.jpg: The file is not a readable picture" in line


def test_a_missing_catalog_is_reported_with_advice(tmp_path: Path) -> None:
    for command in (
        ["search", "--text", "x"],
        ["info"],
        ["verify"],
        ["remove", "x"],
        ["export-judgments", "x.trec"],
    ):
        line = error(*command, "--catalog", tmp_path / "none", cwd=tmp_path)
        assert "imgsearch index" in line
    assert not (tmp_path / "none").exists()


def test_the_catalog_can_come_from_the_environment(shop: Path) -> None:
    done = run("info", "--json", env={**os.environ, "IMGSEARCH_CATALOG": str(shop)})
    assert json.loads(done.stdout)["folder"] == str(shop)


def test_an_invalid_setting_names_its_variable(shop: Path) -> None:
    line = error("info", "--catalog", shop, env={**os.environ, "IMGSEARCH_PORT": "many"})
    assert "IMGSEARCH_PORT" in line


def test_a_closed_pipe_is_no_error(shop: Path) -> None:
    command = shlex.join([sys.executable, "-m", "imgsearch", "search", "--item", "mug/red-0.jpg", "-n", "47"])
    done = subprocess.run(
        ["bash", "-c", f"{command} --catalog {shlex.quote(str(shop))} | head -1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


# --- remove, info, verify ---------------------------------------------------------------------------------------


def test_removing_is_all_or_nothing(lite_catalog: Path) -> None:
    line = error("remove", "mug/red-0.jpg", "nosuch", "--catalog", lite_catalog)
    assert "nosuch" in line
    assert json.loads(run("info", "--catalog", lite_catalog, "--json").stdout)["items"] == 48
    done = run("remove", "mug/red-0.jpg", "mug/red-1.jpg", "--catalog", lite_catalog, "--json")
    assert json.loads(done.stdout) == {"removed": 2}
    found = json.loads(
        run("search", "--item", "mug/blue-0.jpg", "-n", "48", "--catalog", lite_catalog, "--json").stdout
    )
    assert len(found["hits"]) == 45
    assert "mug/red-0.jpg" not in {hit["item_id"] for hit in found["hits"]}
    assert json.loads(run("verify", "--catalog", lite_catalog, "--json").stdout)["clean"] is True


def test_info_shows_the_catalog(shop: Path) -> None:
    shown = run("info", "--catalog", shop).stdout
    for words in (str(shop), "48", "lite", "price (number)", "category (text)", "generation"):
        assert words in shown


def test_verify_finds_damage_and_repairs_it(lite_catalog: Path) -> None:
    index = next((lite_catalog / "index").glob("*/index.usearch"))
    content = bytearray(index.read_bytes())
    content[len(content) // 2] ^= 0xFF
    index.write_bytes(content)
    found = json.loads(run("verify", "--catalog", lite_catalog, "--json", code=1).stdout)
    assert found["clean"] is False
    assert found["problems"]
    assert "--repair" in run("verify", "--catalog", lite_catalog, code=1).stderr
    assert "Repaired" in run("verify", "--repair", "--catalog", lite_catalog).stdout
    assert json.loads(run("verify", "--catalog", lite_catalog, "--json").stdout)["clean"] is True


# --- serve ------------------------------------------------------------------------------------------------------


def test_a_busy_port_and_an_invalid_host_print_one_line_errors(shop: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = error("serve", "--catalog", shop, "--port", str(port))
    assert f"Port {port}" in line
    assert "in use" in line
    assert "no.such.host.invalid" in error("serve", "--catalog", shop, "--host", "no.such.host.invalid")


def test_a_served_catalog_is_locked_and_the_holder_is_named(lite_catalog: Path) -> None:
    command = [sys.executable, "-m", "imgsearch", "serve", "--catalog", str(lite_catalog), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "The app is at" not in (line := process.stderr.readline()):
            assert line, "the server did not start"
        refused = error("info", "--catalog", lite_catalog)
        assert str(process.pid) in refused
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(240) == 0, said
    assert said.strip().endswith("Stopped.")
    assert "Traceback" not in said
    run("info", "--catalog", lite_catalog)


# --- evaluate, export-judgments ---------------------------------------------------------------------------------


def test_evaluate_reads_qrels_and_topics_and_prints_measures(shop: Path, tmp_path: Path) -> None:
    lines = [f"mug/red-0.jpg 0 {shape}/red-{n}.jpg 1" for shape in ("mug", "lamp") for n in (0, 1)]
    (tmp_path / "a.trec").write_text("\n".join(lines), encoding="utf-8")
    done = run(
        "evaluate", "--qrels", tmp_path / "a.trec", "--catalog", shop, "--measures", "R@47 P@3", "--json"
    )
    report = json.loads(done.stdout)
    assert report["measures"]["R@47"] == {"mean": 1.0, "low": 1.0, "high": 1.0, "queries": 1}
    assert "Warning" in done.stderr  # few hits are judged
    table = run("evaluate", "--qrels", tmp_path / "a.trec", "--catalog", shop).stdout
    assert re.search(r"^nDCG@10\s+[01]\.\d{4}\s+[01]\.\d{4} to [01]\.\d{4}\s+1$", table, re.M)
    # Topics next to the qrels are found by file name.
    (tmp_path / "a.topics.tsv").write_text("mug/red-0.jpg\ttext\tred mug\n", encoding="utf-8")
    by_text = json.loads(run("evaluate", "--qrels", tmp_path / "a.trec", "--catalog", shop, "--json").stdout)
    assert by_text["per_query"]["mug/red-0.jpg"]
    (tmp_path / "other.tsv").write_text("nothing\ttext\tred mug\n", encoding="utf-8")
    line = error(
        "evaluate", "--qrels", tmp_path / "a.trec", "--topics", tmp_path / "other.tsv", "--catalog", shop
    )
    assert "no topic" in line


def test_evaluate_reports_the_error(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.trec").write_text("q 0 a\n", encoding="utf-8")
    (tmp_path / "301.trec").write_text("301 0 mug/red-0.jpg 1\n", encoding="utf-8")
    assert "Line 1" in error("evaluate", "--qrels", tmp_path / "bad.trec", "--catalog", shop)
    assert "--topics" in error("evaluate", "--qrels", tmp_path / "301.trec", "--catalog", shop)
    assert "missing" in error("evaluate", "--qrels", tmp_path / "missing.trec", "--catalog", shop)
    assert "MAPP" in error(
        "evaluate", "--qrels", tmp_path / "301.trec", "--measures", "MAPP", "--catalog", shop
    )


def test_judgments_are_exported_and_can_be_evaluated(lite_catalog: Path, tmp_path: Path) -> None:
    from imgsearch.core.records import Judgment
    from imgsearch.store.catalog import CatalogStore
    from imgsearch.store.feedback import FeedbackLog

    assert "no good or bad" in error("export-judgments", tmp_path / "x.trec", "--catalog", lite_catalog)
    with CatalogStore.open(lite_catalog) as catalog:
        log = FeedbackLog(catalog.database)
        for item_id, verdict in (
            ("mug/red-1.jpg", "bad"),
            ("mug/red-1.jpg", "good"),
            ("lamp/red-0.jpg", "bad"),
        ):
            log.record_judgment(Judgment("item=mug%2Fred-0.jpg", item_id, verdict, "l"))  # type: ignore[arg-type]
        log.close()
    done = run("export-judgments", tmp_path / "x.trec", "--catalog", lite_catalog, "--json")
    report = json.loads(done.stdout)
    assert (report["queries"], report["judgments"]) == (1, 2)
    assert (
        "2 judgments of 1 query"
        in run("export-judgments", tmp_path / "x.trec", "--catalog", lite_catalog).stdout
    )
    measured = json.loads(
        run("evaluate", "--qrels", tmp_path / "x.trec", "--catalog", lite_catalog, "--json").stdout
    )
    assert measured["measures"]["R@10"]["mean"] == 1.0


# --- the documentation ------------------------------------------------------------------------------------------


def documented_commands() -> list[tuple[str, list[str]]]:
    """Return every `imgsearch ...` line of the code blocks in README and docs, without comments and redirections."""
    found = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        if not page.is_file():
            continue
        for block in re.findall(
            r"^```(?:bash|sh|console)?\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S
        ):
            for line in block.replace("\\\n", " ").splitlines():
                words = line.strip().removeprefix("$ ")
                if words.startswith("imgsearch "):
                    arguments = shlex.split(words, comments=True)
                    found.append((f"{page.name}: {words}", [word for word in arguments[1:] if word != "&"]))
    return found


@pytest.mark.parametrize("command", documented_commands(), ids=lambda command: command[0])
def test_documented_commands_exist_with_their_options(command: tuple[str, list[str]]) -> None:
    _, arguments = command
    name = arguments[0]
    if name.startswith("-"):
        return
    assert name in COMMANDS + GROUPS
    spoken = arguments[: 2 if name in GROUPS else 1]
    # Wide output, to keep every option on one line.
    shown = run(*spoken, "--help", env={**os.environ, "COLUMNS": "200"}).stdout
    for word in arguments[len(spoken) :]:
        if re.match(r"--?[a-z]", word):
            assert re.search(rf"(^|\s){re.escape(word.partition('=')[0])}\b", shown), word
