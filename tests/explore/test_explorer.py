"""The map: axes, groups, words, browser data, and workers that are killed or run out of memory."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colour_encoder import ColourEncoder
from maps import unpacked
from samples import clustered, raw_items

from imgsearch.core.errors import EncoderUnavailable, ExploreError, FilterError, QueryError
from imgsearch.core.memory import available_bytes
from imgsearch.encoders import Encoder
from imgsearch.explore.cluster_words import best_words, candidate_words, shared_values
from imgsearch.explore.explorer import Explorer
from imgsearch.explore.layout_process import MAX_POINTS, map_size
from imgsearch.explore.vectors import (
    cluster,
    interpolate_positions,
    medoids,
    nearest_rows,
    outlier_scores,
    principal_axes,
)
from imgsearch.explore.worker import has_umap
from imgsearch.index.opening import open_live_index
from imgsearch.store.catalog import CatalogStore

MIB = 1024**2
GIB = 1024 * MIB


def no_encoder() -> Encoder:
    raise EncoderUnavailable("there is no model here.")


def explorer_of(
    catalog: CatalogStore, encoder: Callable[[], Encoder] = no_encoder, **options: Any
) -> Explorer:
    index = open_live_index(catalog)
    return Explorer(catalog, lambda: index, encoder, **options)


@pytest.fixture
def explorer(catalog: CatalogStore) -> Iterator[Explorer]:
    """Return the explorer of the catalog of 48 photos; its memory limit disables UMAP, for speed."""
    made = explorer_of(catalog, ColourEncoder, memory_bytes=100 * MIB)
    yield made
    made.jobs.close()


# --- arithmetic -----------------------------------------------------------------------------------------------------


def test_principal_axes_maximise_variance_and_are_deterministic() -> None:
    rows = (np.random.default_rng(0).normal(size=(500, 6)) * [9, 5, 3, 1, 1, 1]).astype(np.float32)
    axes = principal_axes(rows, 3)
    spread = axes(rows).std(axis=0)
    assert np.all(np.diff(spread) < 0)
    assert axes.shares.sum() == pytest.approx((81 + 25 + 9) / 118, abs=0.05)
    np.testing.assert_allclose(axes.directions.T @ axes.directions, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(axes(rows), principal_axes(rows[::-1], 3)(rows), atol=1e-3)
    assert principal_axes(rows, 50).directions.shape == (6, 6), "no more axes than dimensions"


def test_nearest_rows_are_exact_in_few_and_in_many_dimensions() -> None:
    for dim in (2, 9):
        rows = clustered(300, dim)
        near, distances = nearest_rows(rows, rows[:20], 4)
        exact = np.linalg.norm(rows[None] - rows[:20, None], axis=2)
        np.testing.assert_array_equal(near[:, 0], np.arange(20))
        np.testing.assert_allclose(distances, np.sort(exact, axis=1)[:, :4], atol=2e-3)


def test_a_photo_without_a_layout_position_is_placed_among_its_nearest() -> None:
    rows = clustered(200, 8, clusters=4)
    places = principal_axes(rows, 2)(rows)
    placed = interpolate_positions(rows, places, rows[:10])
    np.testing.assert_allclose(placed, places[:10], atol=0.02)


def test_k_means_finds_the_true_groups_largest_first() -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(6), [90, 70, 60, 50, 40, 30])
    rows = (rng.normal(size=(6, 10))[truth] * 4 + rng.normal(size=(len(truth), 10)) * 0.2).astype(np.float32)
    found = cluster(rows)
    assert found.labels.tolist() == truth.tolist()
    middles = medoids(rows, found)
    assert truth[middles].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("count", [0, 1, 7, 9])
def test_a_few_photos_are_laid_out_without_errors(count: int) -> None:
    rows = clustered(count, 5)
    found = cluster(rows)
    assert len(found.labels) == count
    assert len(medoids(rows, found)) == len(found.centres)
    assert np.isfinite(outlier_scores(rows)).all()


def test_identical_photos_share_one_position() -> None:
    rows = np.repeat(clustered(1, 5), 60, axis=0)
    assert set(cluster(rows).labels.tolist()) == {0}
    assert np.allclose(outlier_scores(rows), 0, atol=1e-3)


def test_the_most_dissimilar_photo_has_the_highest_outlier_score() -> None:
    rows = clustered(400, 12, clusters=5, spread=0.1)
    rows[123] = -rows.mean(axis=0) / np.linalg.norm(rows.mean(axis=0))
    assert int(np.argmax(outlier_scores(rows))) == 123


def test_words_fit_their_own_cluster_and_repeat_nothing() -> None:
    basis = np.eye(4, dtype=np.float32)
    words = ["mug", "mugs", "sofa", "plain", "zebra"]
    texts = np.stack([basis[0], basis[0], basis[1], (basis[0] + basis[1]) / 2**0.5, -basis[0]])
    found = best_words(words, texts, basis[:2], (basis[0] + basis[1]) / 2**0.5)
    assert found == [("mug",), ("sofa",)]
    assert best_words([], np.zeros((0, 4), np.float32), basis[:2], basis[0]) == [(), ()]


# --- how large a map may be -----------------------------------------------------------------------------------------


def test_low_memory_reduces_the_map_and_is_reported() -> None:
    assert map_size(1000, 8 * GIB).notes == ()
    assert map_size(1000, 8 * GIB).fit == 1000
    sampled = map_size(100_000, 8 * GIB)
    assert (sampled.points, sampled.fit) == (100_000, 20_000)
    assert "placed by their nearest" in sampled.notes[0]
    short = map_size(20_000, 800 * MIB)
    assert 0 < short.fit < 20_000
    assert "Memory is short" in short.notes[0]
    none = map_size(20_000, 300 * MIB)
    assert (none.points, none.fit) == (20_000, 0)
    assert "UMAP did not run" in none.notes[0]
    tiny = map_size(20_000, 4 * MIB)
    assert tiny.points < 20_000
    assert "of 20,000 photos" in tiny.notes[0]
    assert map_size(3_000_000, 8 * GIB).points == MAX_POINTS
    assert map_size(1000, 8 * GIB, can_umap=False).fit == 0
    assert map_size(0, 8 * GIB).points == 0


def test_memory_is_the_lesser_of_the_machine_s_and_the_container_s(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    5000 kB\n")
    nowhere = tmp_path / "nowhere"
    assert available_bytes(tmp_path / "meminfo", nowhere) == 5000 * 1024
    (tmp_path / "memory.current").write_text("1000\n")
    for limit, left in (("max\n", 5000 * 1024), ("3000\n", 2000), ("500\n", 0)):
        (tmp_path / "memory.max").write_text(limit)
        assert available_bytes(tmp_path / "meminfo", tmp_path) == left
    assert available_bytes(nowhere, nowhere) is None
    assert (available_bytes() or GIB) > 0


# --- the map of a catalog -------------------------------------------------------------------------------------------


def test_pca_is_available_at_once_coloured_by_any_column(explorer: Explorer, catalog: CatalogStore) -> None:
    document, etag = explorer.document("pca", 2, "column:colour")
    header, keys, places, colors = unpacked(document)
    assert keys.tolist() == catalog.keys().tolist()
    assert places.min() >= 0
    assert places.max() == 65535, "the longest side is used whole"
    names = [value["label"] for value in header["legend"]["values"]]
    by_key = {item.key: item.metadata["colour"] for item in catalog.iter_items()}
    assert [names[code] for code in colors] == [by_key[int(key)] for key in keys]
    assert sum(value["count"] for value in header["legend"]["values"]) == 48
    assert explorer.document("pca", 2, "column:colour") == (document, etag)
    assert unpacked(explorer.document("pca", 3)[0])[2].shape == (48, 3)


def test_the_map_status_is_reported_while_the_axes_are_computed(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(rows: np.ndarray, axes: int) -> Any:
        begun.set()
        assert go_on.wait(20)
        return principal_axes(rows, axes)

    monkeypatch.setattr("imgsearch.explore.explorer.principal_axes", slowly)
    drawing = threading.Thread(target=explorer.document, args=("pca", 2))
    drawing.start()
    assert begun.wait(20)
    assert explorer.state().made_at == ""
    go_on.set()
    drawing.join()


def test_numbers_use_a_colour_ramp_and_missing_values_are_marked(
    explorer: Explorer, catalog: CatalogStore
) -> None:
    header, keys, _, colors = unpacked(explorer.document("pca", 2, "column:price")[0])
    prices = {item.key: item.metadata.get("price") for item in catalog.iter_items()}
    known = [
        (prices[int(key)], code)
        for key, code in zip(keys, colors, strict=True)
        if prices[int(key)] is not None
    ]
    missing = [code for key, code in zip(keys, colors, strict=True) if prices[int(key)] is None]
    assert set(missing) == {65535}
    assert header["legend"]["none"] == len(missing) > 0
    assert [code for _, code in sorted(known)] == sorted(code for _, code in known)


def test_a_column_of_many_values_has_a_readable_legend(
    make_catalog: Callable[..., CatalogStore],
) -> None:
    metadata = [{"brand": f"brand {min(number, 40)}"} for number in range(60)]
    made = explorer_of(make_catalog(clustered(60, 8), metadata))
    header, _, _, colors = unpacked(made.document("pca", 2, "column:brand")[0])
    values = header["legend"]["values"]
    assert len(values) == 21
    assert values[0] == {"label": "brand 40", "count": 20}
    assert values[-1] == {"label": "Other", "count": 21, "other": True}
    assert colors.max() == 20


def test_an_unavailable_map_raises_a_one_sentence_error(explorer: Explorer) -> None:
    with pytest.raises(QueryError, match="cannot be coloured"):
        explorer.document("pca", 2, "'; DROP TABLE items")
    with pytest.raises(FilterError, match="no column"):
        explorer.document("pca", 2, "column:' OR 1=1")
    with pytest.raises(ExploreError, match="no groups"):
        explorer.document("pca", 2, "cluster")
    with pytest.raises(ExploreError, match="no UMAP layout"):
        explorer.document("umap", 3, "")


def test_groups_have_a_centre_words_and_members_and_persist(
    explorer: Explorer, catalog: CatalogStore
) -> None:
    assert explorer.state().made_at == ""
    explorer.lay_out()
    state = explorer.state()
    assert state.usable
    assert not state.umap
    if has_umap():
        assert "UMAP did not run" in state.notes[-1], "short of memory, and says so"
    cards = explorer.clusters()
    assert sum(card.size for card in cards) == 48
    for card in cards:
        members = explorer.members(card.number)
        assert len(members) == card.size
        assert card.medoid.key in members
    header, _, _, colors = unpacked(explorer.document("pca", 2, "cluster")[0])
    assert [value["count"] for value in header["legend"]["values"]] == np.bincount(colors).tolist()
    assert len(explorer.outliers(5)) == 5
    again = explorer_of(catalog)
    assert again.clusters() == cards
    assert again.state() == state
    assert not (catalog.folder / "explore" / "work").exists()


def test_groups_are_named_by_what_their_photos_share(lite_catalog: Path, lite: Encoder) -> None:
    with CatalogStore.open(lite_catalog) as catalog:
        made = explorer_of(catalog, lambda: lite, memory_bytes=100 * MIB)
        made.lay_out()
        for card in made.clusters():
            photos = made.photos(made.members(card.number).tolist())
            values = [{photo.metadata["category"], photo.metadata["colour"]} for photo in photos]
            assert sum(card.words[0] in value for value in values) >= len(values) / 2


def test_a_group_is_not_named_by_what_half_of_the_catalog_has(
    make_catalog: Callable[..., CatalogStore],
) -> None:
    kinds = ["mug"] * 10 + ["sofa"] * 10 + ["lamp"] * 5
    metadata = [{"title": f"A new {kind}", "made_of": "wood", "kind": kind} for kind in kinds]
    catalog = make_catalog(clustered(25, 4), metadata)
    labels = np.array([0] * 9 + [1] * 11 + [2] * 5, np.int32)
    assert shared_values(catalog, catalog.keys(), labels) == (("mug",), ("sofa",), ("lamp",))


def test_new_photos_are_on_the_pca_at_once_and_counted_for_the_layout(
    make_catalog: Callable[..., CatalogStore],
) -> None:
    catalog = make_catalog(clustered(30, 8))
    made = explorer_of(catalog, memory_bytes=100 * MIB)
    made.lay_out()
    catalog.store(raw_items(["new-1.jpg", "new-2.jpg"]), clustered(2, 8, seed=9))
    catalog.remove(["00003.jpg"])
    assert (made.state().new, made.state().gone) == (2, 1)
    assert unpacked(made.document("pca", 2)[0])[0]["count"] == 31
    header, _, _, colors = unpacked(made.document("pca", 2, "cluster")[0])
    assert (header["legend"]["none"], (colors == 65535).sum()) == (2, 2)
    assert sum(card.size for card in made.clusters()) == 29


def test_hidden_photos_are_nowhere_on_the_map(make_catalog: Callable[..., CatalogStore]) -> None:
    hidden = np.array([0, 1, 2], np.uint64)
    made = explorer_of(make_catalog(clustered(30, 8)), hidden=lambda: hidden, memory_bytes=100 * MIB)
    made.lay_out()
    assert set(unpacked(made.document("pca", 3)[0])[1].tolist()) == set(range(3, 30))
    assert sum(card.size for card in made.clusters()) == 27
    assert not {card.medoid.key for card in made.clusters()} & {0, 1, 2}
    assert not {item.key for item in made.outliers(30)} & {0, 1, 2}
    assert [item.key for item in made.photos([1, 7, 99, -3])] == [7]


def test_a_damaged_file_is_treated_as_missing(explorer: Explorer, catalog: CatalogStore) -> None:
    explorer.lay_out()
    expected = explorer.document("pca", 2)[0]
    for name in ("layout.npz", "pca.npz"):
        path = catalog.folder / "explore" / name
        path.write_bytes(path.read_bytes()[:100])
    again = explorer_of(catalog)
    assert again.state().made_at == ""
    assert again.document("pca", 2)[0] == expected


def test_words_are_those_of_the_catalog_before_those_of_the_vocabulary(catalog: CatalogStore) -> None:
    words = candidate_words(catalog)
    assert {"lamp", "red", "ring"} <= set(words)
    assert words.index("ring") < words.index("television")
    assert len({word.casefold() for word in words}) == len(words)


def test_searches_work_during_a_job_and_a_stopped_job_leaves_the_map_unchanged(
    make_catalog: Callable[..., CatalogStore],
) -> None:
    catalog = make_catalog(clustered(3000, 32))
    index = open_live_index(catalog)
    made = Explorer(catalog, lambda: index, no_encoder, memory_bytes=100 * MIB)
    made.start()
    while made.jobs.running and (made.jobs.job is None or made.jobs.job.done < 2):
        keys, _ = index.search(clustered(1, 32)[0], 5)
        assert len(keys) == 5
    made.jobs.stop()
    made.jobs.close()
    assert made.jobs.job is not None
    assert made.jobs.job.status in ("stopped", "done")
    assert (made.state().made_at == "") == (made.jobs.job.status == "stopped")


# --- UMAP itself ----------------------------------------------------------------------------------------------------


def kill_workers(until: threading.Event, parent: int) -> None:
    """Kill every UMAP worker, like a system that is out of memory."""
    while not until.is_set():
        for path in Path("/proc").glob("[0-9]*"):
            try:
                command = (path / "cmdline").read_bytes()
                job = json.loads((Path(command.split(b"\0")[3].decode()) / "job.json").read_text())
                ours = f"PPid:\t{parent}\n" in (path / "status").read_text()
            except (OSError, ValueError, IndexError):
                continue
            if b"imgsearch.explore.worker" in command and ours and job["fit"]:
                os.kill(int(path.name), signal.SIGKILL)
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks for the worker in /proc")
@pytest.mark.skipif(not has_umap(), reason="umap-learn is not installed")
def test_an_out_of_memory_worker_fails_the_layout_and_not_the_process(
    make_catalog: Callable[..., CatalogStore],
) -> None:
    made = explorer_of(make_catalog(clustered(1200, 16)))
    over = threading.Event()
    killer = threading.Thread(target=kill_workers, args=(over, os.getpid()))
    killer.start()
    try:
        made.lay_out()
    finally:
        over.set()
        killer.join()
    state = made.state()
    assert state.usable
    assert not state.umap
    assert "Memory is short" in state.notes[-1]
    assert made.clusters()


@pytest.mark.slow
@pytest.mark.skipif(not has_umap(), reason="umap-learn is not installed")
def test_umap_keeps_similar_items_together_in_2d_and_3d(
    make_catalog: Callable[..., CatalogStore],
) -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(8), 40)
    rows = rng.normal(size=(8, 24))[truth] + 0.35 * rng.normal(size=(320, 24))
    made = explorer_of(make_catalog((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)))
    made.lay_out()
    assert made.state().umap
    for dimensions in (2, 3):
        _, keys, places, _ = unpacked(made.document("umap", dimensions, "outlier")[0])  # type: ignore[arg-type]
        near, _ = nearest_rows(places.astype(np.float32), places.astype(np.float32), 6)
        same = truth[keys[near[:, 1:]]] == truth[keys][:, None]
        assert same.mean() > 0.95
