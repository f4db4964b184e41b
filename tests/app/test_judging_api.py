"""Judging over HTTP, on the command line and in the rendered pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

import imgsearch.ui.main
from imgsearch.app.api.routes import create_api
from imgsearch.app.service import SearchService
from imgsearch.cli.main import app as command_line
from imgsearch.core.errors import JudgingError
from imgsearch.improve.judging.calls import JudgingCall
from imgsearch.improve.judging.pools import pool_of
from imgsearch.improve.judging.records import JudgingSet

QUOTED = 'Ann "O\'Hara" <script>alert(1)</script>'


@pytest.fixture
def judging_set(service: SearchService) -> JudgingSet:
    ids = [item.item_id for item in service.catalog.iter_items()]
    pairs = [("item=mug%2Fred-0.jpg", item_id) for item_id in ids[:6]] + [
        ("text=a+%3Cb%3Elamp", item_id) for item_id in ids[6:9]
    ]
    return service.judging.create("lamps & <i>co</i>", pool_of(pairs), source="the test", raters=2)


@pytest.fixture
def client(service: SearchService) -> Iterator[TestClient]:
    with TestClient(create_api(lambda: service, service.settings), raise_server_exceptions=False) as opened:
        yield opened


def body(judging_set: JudgingSet, **fields: Any) -> dict[str, Any]:
    return {"set": judging_set.name, "labeler": QUOTED, "client": "client-0001", **fields}


# --- HTTP ---------------------------------------------------------------------------------------------------------


def test_a_call_records_acts_and_responds_as_described(
    client: TestClient, judging_set: JudgingSet, service: SearchService
) -> None:
    document = client.get("/api/openapi.json").json()
    described = {"$ref": "#/components/schemas/JudgingReply", "components": document["components"]}
    first = client.post("/api/v1/judging", json=body(judging_set))
    assert first.status_code == 200
    assert first.headers["cache-control"] == "no-store"
    pair = first.json()["pairs"][0]
    act = {"id": "act-00000001", "pair": pair["pair"], "act": "good", "took_ms": 812.5}
    for _ in range(2):
        answer = client.post("/api/v1/judging", json=body(judging_set, acts=[act], history=True))
        jsonschema.validate(answer.json(), described)
        assert answer.json()["handled"] == ["act-00000001"]
        assert answer.json()["judged"] == 1
    assert client.get(pair["image"]).status_code == 200
    assert list(service.feedback.latest_judgments()["labeler"]) == [QUOTED]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"set": "nowhere"}, 400),
        ({"labeler": ""}, 400),
        ({"acts": [{"id": "act-00000001", "pair": 1, "act": "delete"}]}, 400),
        ({"acts": [{"id": "x" * 64, "pair": 1, "act": "good"}] * 1000}, 413),
    ],
)
def test_an_invalid_call_is_refused_in_one_sentence(
    client: TestClient, judging_set: JudgingSet, change: dict[str, Any], status: int
) -> None:
    answer = client.post("/api/v1/judging", json=body(judging_set, **change))
    assert answer.status_code == status
    assert answer.json()["error"]["message"].endswith(".")


def test_a_form_of_another_site_cannot_judge(client: TestClient, judging_set: JudgingSet) -> None:
    answer = client.post(
        "/api/v1/judging", content=json.dumps(body(judging_set)), headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 415


# --- pages --------------------------------------------------------------------------------------------------------


def page(**params: str) -> AppTest:
    script = "import streamlit as st\nfrom imgsearch.ui.views import judge\njudge.draw()\n"
    app = AppTest.from_string(script, default_timeout=60)
    for name, value in params.items():
        app.query_params[name] = value
    return app.run()


def texts(app: AppTest) -> str:
    return " ".join(str(block.proto.body) for block in app.get("html"))


def test_without_a_set_the_page_explains_the_first_step(service: SearchService) -> None:
    app = page()
    assert not app.exception
    assert "No judging set yet" in texts(app)
    assert [button.label for button in app.button] == ["New judging set"]


def test_a_set_shows_progress_agreement_and_disagreements_with_hostile_names_as_text(
    service: SearchService, judging_set: JudgingSet
) -> None:
    for labeler, verdict in ((QUOTED, "good"), ("ben", "bad")):
        call = JudgingCall.parse(body(judging_set, labeler=labeler, client=f"client-of-{verdict}"))
        reply = service.judging.sync(call)
        acts = [
            {"id": f"act-{verdict}-{pair.pair:06d}", "pair": pair.pair, "act": verdict}
            for pair in reply.pairs
        ]
        service.judging.sync(
            JudgingCall.parse(body(judging_set, labeler=labeler, client=f"client-of-{verdict}", acts=acts))
        )
    app = page(set=judging_set.name)
    assert not app.exception
    shown = texts(app)
    assert "lamps &amp; &lt;i&gt;co&lt;/i&gt;" in shown
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "Disagreements (9)" in shown
    assert "Cohen" in shown
    assert "Decide 9" in [button.label for button in app.button]
    assert not page().exception
    assert "lamps &amp; &lt;i&gt;co" in texts(page())


@pytest.mark.parametrize("params", [{"set": "nowhere"}, {"set": "lamps & <i>co</i>", "labeler": "\x07"}])
def test_an_invalid_link_is_explained(
    service: SearchService, judging_set: JudgingSet, params: dict[str, str]
) -> None:
    app = page(**params)
    assert not app.exception
    assert "That did not work" in texts(app)


def test_the_guideline_is_edited_on_the_page(service: SearchService, judging_set: JudgingSet) -> None:
    app = page(set=judging_set.name)
    app.text_area[0].set_value("Only <b>lamps</b>.")
    next(button for button in app.button if button.label == "Save guideline").click()
    app.run()
    assert not app.exception
    assert service.judging.guideline(judging_set).text == "Only <b>lamps</b>."


def test_the_labeler_name_is_requested_once_and_kept_in_the_address(
    service: SearchService, judging_set: JudgingSet
) -> None:
    app = page(set=judging_set.name)
    app.text_input[0].set_value(f"  {QUOTED} ")
    next(button for button in app.button if button.label == "Judge").click()
    app.run()
    assert not app.exception
    assert app.query_params["labeler"] == QUOTED


def test_the_judge_page_is_in_the_navigation() -> None:
    assert "judge.draw" in Path(imgsearch.ui.main.__file__).read_text(encoding="utf-8")


# --- the command line ---------------------------------------------------------------------------------------------


def run(folder: Path, *arguments: str | Path) -> Any:
    done = CliRunner().invoke(
        command_line, ["judge-set", *map(str, arguments), "--catalog", str(folder), "--json"]
    )
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_sets_are_created_listed_exported_and_imported(colour_catalog: Path, tmp_path: Path) -> None:
    (tmp_path / "queries.txt").write_text("mug/red-0.jpg\nlamp/blue-1.jpg\n", encoding="utf-8")
    made = run(colour_catalog, "create", "two", "--list", tmp_path / "queries.txt", "--depth", 5)
    assert (made["queries"], made["pairs"], made["skipped"]) == (2, 10, {})
    (tmp_path / "judged.csv").write_text(
        'query,item_id,verdict,labeler\nmug/red-0.jpg,mug/red-1.jpg,good,"Ann ""O\'Hara"""\n'
        "mug/red-0.jpg,mug/red-1.jpg,bad,ben\n",
        encoding="utf-8",
    )
    assert run(colour_catalog, "import", "judged", tmp_path / "judged.csv")["judgments"] == 2
    assert [each["name"] for each in run(colour_catalog, "list")] == ["judged", "two"]
    progress = run(colour_catalog, "progress", "judged")
    assert (progress["judged"], progress["divided"]) == (2, 1)
    agreement = run(colour_catalog, "agreement", "judged")
    assert agreement["disagreements"][0]["verdicts"] == {'Ann "O\'Hara"': "good", "ben": "bad"}
    assert run(colour_catalog, "export", "judged", tmp_path / "out.csv")["judgments"] == 2
    assert '"Ann ""O\'Hara"""' in (tmp_path / "out.csv").read_text(encoding="utf-8")
    assert run(colour_catalog, "export", "judged", tmp_path / "out.trec")["judgments"] == 1
    with pytest.raises(JudgingError, match="already"):
        run(colour_catalog, "create", "two", "--random", 3)


@pytest.mark.parametrize("sources", [[], ["--random", "3", "--most-searched", "3"]])
def test_exactly_one_query_set_is_required(colour_catalog: Path, sources: list[str]) -> None:
    done = CliRunner().invoke(
        command_line, ["judge-set", "create", "x", *sources, "--catalog", str(colour_catalog)]
    )
    assert done.exit_code == 2
