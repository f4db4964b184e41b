"""Index tuning: the engine is chosen by measurements on the catalog's own vectors, and the choice persists."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from samples import clustered

from imgsearch.cli import catalog as commands
from imgsearch.core.errors import CatalogError
from imgsearch.index.engines import is_installed
from imgsearch.index.opening import check_index, open_live_index
from imgsearch.index.tuning import Trial, best, tune
from imgsearch.store.catalog import CatalogStore

MakeCatalog = Callable[..., CatalogStore]

LISTS_HERE = ["lists"] if is_installed({"engine": "lists"}) else []
TRIAL = Trial({"engine": "usearch"}, 1.0, 1000, 64, 0.995, 0.10, reached=True)


@pytest.mark.parametrize(
    ("trials", "chosen"),
    [
        ([TRIAL, replace(TRIAL, milliseconds=0.05)], 1),
        ([TRIAL, replace(TRIAL, milliseconds=0.05, reached=False)], 0),
        ([TRIAL, replace(TRIAL, milliseconds=0.115, index_bytes=500)], 1),
        ([TRIAL, replace(TRIAL, milliseconds=0.13, index_bytes=500)], 0),
        ([replace(TRIAL, reached=False), replace(TRIAL, ann_recall_at_10=0.997, reached=False)], 1),
    ],
    ids=[
        "the fastest",
        "that reaches the recall",
        "or smaller and nearly as fast",
        "not slower",
        "else the nearest",
    ],
)
def test_the_choice_is_the_fastest_that_reaches_the_recall_or_a_smaller_one_nearly_as_fast(
    trials: list[Trial], chosen: int
) -> None:
    assert best(trials) is trials[chosen]


def test_the_tuned_engine_is_active_with_its_recall_and_survives_rebuilds(
    make_catalog: MakeCatalog,
) -> None:
    catalog = make_catalog(clustered(1500, 64))
    index = open_live_index(catalog)
    tuning = tune(index, recall=0.97)
    assert [trial.name for trial in tuning.trials] == [
        "usearch",
        "codes, bytes 64",
        "codes, signs 512",
        *LISTS_HERE,
    ]
    assert (tuning.items, tuning.queries) == (1350, 150)
    assert tuning.chosen.reached
    header = check_index(catalog)
    assert header.chosen == "by tuning"
    assert header.target_recall == 0.97
    assert (header.ann_recall_at_10 or 0) >= 0.97
    index.build_as({"engine": "codes", "coding": "bytes", "width": 32}, 0.97)
    again = open_live_index(catalog, rebuild=True)
    for one in (index, again, open_live_index(catalog)):
        assert one.header is not None
        assert one.header.chosen == "by tuning"
        assert one.header.parameters["width"] == 32
        assert one.header.target_recall == 0.97


def test_a_small_catalog_is_not_tuned(make_catalog: MakeCatalog) -> None:
    index = open_live_index(make_catalog(clustered(999, 16)))
    with pytest.raises(CatalogError, match="1,000"):
        tune(index)
    assert index.generation == 1


def test_the_command_prints_a_table_or_json_and_the_new_generation(
    make_catalog: MakeCatalog, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = make_catalog(clustered(1200, 32))
    catalog.close()
    commands.tune(recall=0.95, sample=1000, catalog=catalog.folder, as_json=False)
    shown = capsys.readouterr().out
    assert "chosen" in shown
    assert "ann_recall@10" in shown
    commands.tune(recall=0.95, sample=1000, catalog=catalog.folder, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["generation"] == 3
    assert found["items"] == 1000
    assert found["ann_recall@10"] >= 0.95
    assert found["chosen"] in [trial["name"] for trial in found["trials"]]
