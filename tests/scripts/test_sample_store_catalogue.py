"""The Sample Store's list, ground truth and photos: the shipped files equal the render script's output."""

from __future__ import annotations

import csv
import importlib.util
import itertools
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from imgsearch.demo import ensure_demo_catalog, sample_store
from imgsearch.encoders import Encoder
from imgsearch.index.opening import open_live_index
from imgsearch.search.ranking.confidence import Calibration
from imgsearch.store.catalog import CatalogStore
from imgsearch.vision.images import decode_image
from imgsearch.vision.looks import describe

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = REPOSITORY / "scripts"
RENDER = SCRIPTS / "render_sample_store.py"
STORE = REPOSITORY / "imgsearch" / "data" / "sample_store"
FILES = ("manifest.csv", "topics.tsv", "instance.trec", "lookalike.trec", "text.trec")

sys.path.insert(0, str(SCRIPTS))

from sample_store import catalogue
from sample_store.products import load_types

has_blender = pytest.mark.skipif(
    importlib.util.find_spec("bpy") is None, reason="Blender's bpy is not installed"
)
has_photos = pytest.mark.skipif(not (STORE / "manifest.csv").is_file(), reason="the photos are not here")


def write_store(folder: Path, *options: str, hash_seed: int = 0) -> Path:
    """Run the script in a separate process."""
    command = [sys.executable, str(RENDER), "--out", str(folder), *options]
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    subprocess.run(command, check=True, capture_output=True, timeout=600, env=environment)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the manifest and the ground truth of 500 products, written without Blender."""
    return write_store(tmp_path_factory.mktemp("store"), "--manifest", "--products", "500")


@pytest.fixture(scope="module")
def rows(store: Path) -> list[dict[str, str]]:
    """Return the manifest's rows."""
    return catalogue.read_manifest(store / "manifest.csv")


@pytest.fixture(scope="module")
def topics(store: Path) -> dict[str, tuple[str, str]]:
    """Return kind and query of each topic."""
    lines = (store / "topics.tsv").read_text(encoding="utf-8").splitlines()
    return {topic: (kind, query) for topic, kind, query in (line.split("\t") for line in lines)}


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Return the grade of each item by topic."""
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    for line in path.read_text(encoding="utf-8").splitlines():
        topic, zero, item, grade = line.split(" ")
        assert zero == "0"
        assert item not in qrels[topic]
        qrels[topic][item] = int(grade)
    return qrels


# --- the list ---------------------------------------------------------------------------------------------------


def test_every_run_writes_the_same_files(store: Path, tmp_path: Path) -> None:
    again = write_store(tmp_path, "--manifest", "--products", "500", hash_seed=7)
    for name in FILES:
        assert (again / name).read_bytes() == (store / name).read_bytes(), name


def test_the_shop_is_as_large_and_varied_as_it_says(rows: list[dict[str, str]]) -> None:
    assert len({r["product_id"] for r in rows}) == 500
    assert len(rows) >= 1_150
    assert len({r["type"] for r in rows}) >= 24
    looks = defaultdict(set)
    for r in rows:
        looks[r["type"]].add((r["style"], r["material"], r["colour"], r["pattern"]))
    assert min(len(found) for found in looks.values()) >= 8


def test_ids_are_unique_and_name_their_photos(rows: list[dict[str, str]]) -> None:
    assert len({r["id"] for r in rows}) == len(rows)
    for r in rows:
        assert r["id"] == f"{r['product_id']}-{r['view']}"
        assert r["image"] == f"images/{r['id']}.jpg"


def test_every_row_is_filled_and_titled_as_a_shop_does(rows: list[dict[str, str]]) -> None:
    for r in rows:
        assert all(r[column] for column in catalogue.COLUMNS), r["id"]
        title = r["title"]
        assert title == title.strip()
        assert title[0].isupper()
        assert "{" not in title
        assert "  " not in title
        assert float(r["price"]) > 0


def test_a_product_s_photos_share_everything_but_the_view(rows: list[dict[str, str]]) -> None:
    views: dict[str, list[dict[str, str]]] = defaultdict(list)
    for r in rows:
        views[r["product_id"]].append(r)
    for photos in views.values():
        assert [r["view"] for r in photos] in (["1", "2"], ["1", "2", "3"])
        own = [{k: v for k, v in r.items() if k not in ("id", "image", "view")} for r in photos]
        assert all(each == own[0] for each in own)


def test_a_product_is_independent_of_the_other_options() -> None:
    types = list(load_types())
    many = {spec.product_id: spec for spec in catalogue.products(20 * len(types))}
    few = catalogue.products(7 * len(types))
    alone = catalogue.products(9, types=[types[3]])
    assert all(many[spec.product_id] == spec for spec in [*few, *alone])


def test_shop_and_training_products_differ() -> None:
    shop, train = (catalogue.products(600, split) for split in catalogue.SPLITS)
    assert not {s.product_id for s in shop} & {s.product_id for s in train}
    assert not {(s.type, s.seed) for s in shop} & {(s.type, s.seed) for s in train}


def test_unknown_words_are_refused() -> None:
    with pytest.raises(ValueError, match="no split 'test'"):
        catalogue.products(3, "test")
    with pytest.raises(ValueError, match="no product type 'spaceship'"):
        catalogue.products(3, types=["spaceship"])


def test_training_types_never_reach_the_shop() -> None:
    shop, train = load_types(), load_types("train")
    extra = train.keys() - shop.keys()
    assert {"high heel", "sunglasses", "t-shirt"} <= extra
    assert {name: train[name] for name in shop} == shop
    assert {spec.type for spec in catalogue.products(len(train) * 2)} == shop.keys()
    assert {spec.type for spec in catalogue.products(len(train) * 2, "train")} == train.keys()
    with pytest.raises(ValueError, match="no product type 'high heel'"):
        catalogue.products(3, types=["high heel"])


def test_training_types_stay_varied_and_are_titled_as_a_shop_does() -> None:
    extra = sorted(load_types("train").keys() - load_types().keys())
    specs = catalogue.products(16 * len(extra), "train", types=extra)
    colours = defaultdict(set)
    for photo in catalogue.photos(specs):
        row = catalogue.row(photo)
        assert all(row[column] for column in catalogue.COLUMNS), photo.item_id
        assert "{" not in row["title"]
        assert "  " not in row["title"]
        colours[row["type"]].add(row["colour"])
    plain = {"ring"}  # metals and stones: no paint
    assert min(len(found) for name, found in colours.items() if name not in plain) >= 6


@pytest.mark.parametrize("product_type", load_types("train").values(), ids=lambda t: str(t.name))
def test_every_type_declares_what_a_photo_needs(product_type: Any) -> None:
    assert product_type.mount in ("floor", "table", "wall", "ceiling")
    assert len(product_type.shapes) >= (3 if product_type.name in load_types() else 2)
    assert len(product_type.azimuths) >= 3
    if isinstance(product_type.title, dict):
        assert set(product_type.title) == set(product_type.shapes)
    for finish in product_type.finishes:
        assert set(finish.shapes) <= set(product_type.shapes)


# --- ground truth -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["instance", "lookalike", "text"])
def test_qrels_name_topics_and_photos_that_exist(
    kind: str, store: Path, rows: list[dict[str, str]], topics: dict[str, tuple[str, str]]
) -> None:
    items = {r["id"] for r in rows}
    qrels = read_qrels(store / f"{kind}.trec")
    wanted = "text" if kind == "text" else "item"
    assert qrels
    for topic, judged in qrels.items():
        assert topics[topic][0] == wanted
        assert set(judged) <= items
        assert set(judged.values()) <= {1, 2, 3}
        assert topic not in judged, "a photo does not answer itself"


def test_every_topic_has_relevant_photos(store: Path, topics: dict[str, tuple[str, str]]) -> None:
    instance, text = read_qrels(store / "instance.trec"), read_qrels(store / "text.trec")
    for topic, (kind, query) in topics.items():
        if kind == "text":
            assert sum(grade == 3 for grade in text[topic].values()) >= 3, query
        else:
            assert instance[topic], query


def test_queries_are_unique_and_enough(topics: dict[str, tuple[str, str]]) -> None:
    queries = [query for kind, query in topics.values() if kind == "text"]
    assert len(queries) == len(set(queries)) >= 100
    assert {"grey fabric armchair", "walnut desk", "red mug", "wood desk", "striped mug"} <= set(queries)


def test_text_grades_count_what_the_query_names(
    store: Path, rows: list[dict[str, str]], topics: dict[str, tuple[str, str]]
) -> None:
    named = {query: topic for topic, (_, query) in topics.items()}
    judged = read_qrels(store / "text.trec")[named["grey fabric armchair"]]
    for r in rows:
        if r["type"] != "armchair":
            assert r["id"] not in judged
        else:
            assert judged[r["id"]] == 1 + (r["colour"] == "grey") + (r["material"] == "fabric")


def test_wood_means_every_wood(
    store: Path, rows: list[dict[str, str]], topics: dict[str, tuple[str, str]]
) -> None:
    named = {query: topic for topic, (_, query) in topics.items()}
    judged = read_qrels(store / "text.trec")[named["wood desk"]]
    walnut = [r["id"] for r in rows if r["type"] == "desk" and r["material"] == "walnut"]
    assert {judged[item] for item in walnut} == {3}


def test_similar_items_are_graded_by_shared_attributes() -> None:
    mug = {"product_id": "mug-1", "type": "mug", "colour": "red", "material": "ceramic", "pattern": "dots"}
    assert catalogue.grade(mug, mug) == 3
    assert catalogue.grade(mug, mug | {"product_id": "mug-2", "pattern": "plain"}) == 2
    assert catalogue.grade(mug, mug | {"product_id": "mug-2", "colour": "blue"}) == 2
    assert catalogue.grade(mug, mug | {"product_id": "mug-2", "colour": "blue", "pattern": "plain"}) == 1
    assert catalogue.grade(mug, mug | {"product_id": "vase-1", "type": "vase"}) == 0


def test_only_rendered_photos_are_listed_on_request(rows: list[dict[str, str]], tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for r in rows[:5]:
        (tmp_path / r["image"]).touch()
    write_store(tmp_path, "--manifest", "--rendered", "--products", "500")
    assert catalogue.read_manifest(tmp_path / "manifest.csv") == rows[:5]


# --- the photos that ship ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> list[dict[str, str]]:
    """Return the rows of the manifest that ships."""
    return catalogue.read_manifest(STORE / "manifest.csv")


@has_photos
def test_the_shipped_manifest_is_what_the_script_writes(shipped: list[dict[str, str]]) -> None:
    largest = max(Counter(r["type"] for r in shipped if r["view"] == "1").values())
    made = catalogue.photos(catalogue.products(largest * len(load_types())))
    written = {photo.item_id: catalogue.row(photo) for photo in made}
    assert [written[r["id"]] for r in shipped] == shipped


@has_photos
def test_the_shipped_ground_truth_is_what_the_script_writes(
    shipped: list[dict[str, str]], tmp_path: Path
) -> None:
    catalogue.write_ground_truth(shipped, tmp_path)
    for name in FILES[1:]:
        assert (tmp_path / name).read_bytes() == (STORE / name).read_bytes(), name


@has_photos
def test_the_shipped_photos_are_the_listed_ones_and_light(shipped: list[dict[str, str]]) -> None:
    files = list((STORE / "images").iterdir())
    assert {file.name for file in files} == {Path(r["image"]).name for r in shipped}
    assert sum(file.stat().st_size for file in files) <= 25_000_000
    for r in shipped:
        with Image.open(STORE / r["image"]) as photo:
            assert (photo.size, photo.mode, photo.format) == ((384, 384), "RGB", "JPEG")


def read_grey(path: Path) -> Image.Image:
    """Return a photo in grey, decoded small (an eighth to a quarter of its side)."""
    with Image.open(path) as photo:
        photo.draft("L", (128, 128))
        return photo.convert("L").resize((128, 128), Image.Resampling.BOX)


def outline_map(grey: Image.Image) -> NDArray[np.float64]:
    """Return where a photo has edges: (32, 32) float64, mean 0 and deviation 1. Its background has little weight."""
    down, right = np.gradient(np.asarray(grey, float))
    strength = np.hypot(down, right).reshape(32, 4, 32, 4).mean((1, 3))
    return (strength - strength.mean()) / (strength.std() + 1e-9)


@has_photos
def test_no_two_views_of_a_product_are_near_identical(shipped: list[dict[str, str]]) -> None:
    views: dict[str, list[tuple[str, NDArray[np.float64]]]] = defaultdict(list)
    for r in shipped:
        views[r["product_id"]].append((r["id"], outline_map(read_grey(STORE / r["image"]))))
    alike = [
        (round(float((a * b).mean()), 2), name_a, name_b)
        for photos in views.values()
        for (name_a, a), (name_b, b) in itertools.combinations(photos, 2)
    ]
    assert [pair for pair in alike if pair[0] > 0.88] == []


@has_photos
def test_a_brighter_copy_would_count_as_near_identical(shipped: list[dict[str, str]]) -> None:
    for r in shipped[::40]:
        grey = read_grey(STORE / r["image"])
        assert (outline_map(grey) * outline_map(ImageEnhance.Brightness(grey).enhance(0.8))).mean() > 0.95


@has_photos
def test_no_photo_is_black_blown_out_or_clipped_by_the_frame(shipped: list[dict[str, str]]) -> None:
    faults = []
    for r in shipped:
        pixels = np.asarray(read_grey(STORE / r["image"]), float)
        if not 60 < pixels.mean() < 252 or pixels.std() < 4:
            faults.append((r["id"], "black or blown out"))
        # On white paper the image border has only paper and a soft shadow.
        edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        if r["view"] == "1" and edge.min() < 200:
            faults.append((r["id"], f"something dark at the edge ({edge.min():.0f})"))
    assert faults == []


@pytest.mark.slow
@has_blender
def test_a_photo_is_reproducible_from_its_seed(tmp_path: Path) -> None:
    options = ("--products", "87", "--only", "mug-002-1", "--size", "64", "--samples", "4")
    pictures = []
    for name in ("first", "second"):
        folder = write_store(tmp_path / name, *options, hash_seed=len(name))
        assert [file.name for file in (folder / "images").iterdir()] == ["mug-002-1.jpg"]
        with Image.open(folder / "images" / "mug-002-1.jpg") as photo:
            assert photo.size == (64, 64)
            pictures.append(np.asarray(photo, float))
    # Cycles visits lamps in the order of their addresses: the picture is the same, its noise need not be.
    assert np.abs(pictures[0] - pictures[1]).mean() < 1.5


@pytest.mark.slow
@has_blender
@has_photos
def test_a_shipped_photo_is_reproducible(shipped: list[dict[str, str]], tmp_path: Path) -> None:
    chosen = next(r for r in shipped if r["type"] == "mug")
    options = (
        "--products",
        str(30 * len(load_types())),
        "--only",
        chosen["id"],
        "--size",
        "96",
        "--samples",
        "8",
    )
    write_store(tmp_path, *options)
    with Image.open(tmp_path / chosen["image"]) as made, Image.open(STORE / chosen["image"]) as kept:
        small = kept.resize(made.size, Image.Resampling.BOX)
        assert np.abs(np.asarray(made, float) - np.asarray(small, float)).mean() < 6


# --- the contact sheet ------------------------------------------------------------------------------------------


def write_tiny_store(folder: Path, count: int) -> None:
    """Write a manifest of plain squares, each of its own grey."""
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["image", "title"])
        writer.writeheader()
        for i in range(count):
            Image.new("RGB", (20, 20), (i, i, i)).save(folder / f"{i}.png")
            writer.writerow(
                {"image": f"{i}.png", "title": f"A very long title that never fits under number {i}"}
            )


def test_the_contact_sheet_shows_the_same_photos_for_the_same_seed(tmp_path: Path) -> None:
    write_tiny_store(tmp_path, 90)

    def sheet(name: str, seed: int) -> NDArray[np.uint8]:
        command = [
            sys.executable,
            str(SCRIPTS / "contact_sheet.py"),
            "--store",
            str(tmp_path),
            "--tile",
            "32",
        ]
        subprocess.run([*command, "--out", str(tmp_path / name), "--seed", str(seed)], check=True, timeout=60)
        with Image.open(tmp_path / name) as picture:
            return np.asarray(picture)

    first, again, other = sheet("a.png", 1), sheet("b.png", 1), sheet("c.png", 2)
    assert first.shape == (6 * (32 + 22), 10 * (32 + 6), 3)
    tiles = {int(first[row * 54 + 16, column * 38 + 16, 0]) for row in range(6) for column in range(10)}
    assert len(tiles) == 60, "no photo twice"
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


# --- what ships beside the photos -------------------------------------------------------------------------------


@has_photos
def test_the_shipped_looks_are_up_to_date() -> None:
    """On failure run `python scripts/embed_sample_store.py`."""
    shipped = sample_store().looks()
    with (STORE / "manifest.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(shipped) == [row["id"] for row in rows]
    for row in rows[::120]:
        look = describe(decode_image(STORE / row["image"]))
        assert np.allclose(shipped[row["id"]].vector, look.vector, atol=2e-3)
        assert shipped[row["id"]].phash == look.phash


@has_photos
@pytest.mark.slow
def test_the_demo_has_looks_and_levels_of_confidence_at_once(tmp_path: Path, lite: Encoder) -> None:
    with CatalogStore.open(ensure_demo_catalog(folder=tmp_path / "demo")) as catalog:
        assert catalog.looks.has(catalog.keys()).all()
        assert len(catalog.looks.damaged()) == 0
        calibration = Calibration(catalog, lambda: lite)
        index = open_live_index(catalog)
        assert calibration.levels(index, "photo") is not None
        assert calibration.levels(index, "words") is not None
        calibration.close()
