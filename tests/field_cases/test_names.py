"""Typed names and codes find their products first, in the spellings that people type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import generate
import numpy as np
import pytest
from colour_encoder import ColourEncoder
from samples import raw_items, relabelled

from imgsearch.core.query import Query, Sort
from imgsearch.encoders.base import unit_rows
from imgsearch.index.opening import open_live_index
from imgsearch.search.ranking.rules import Rule
from imgsearch.search.searcher import Searcher
from imgsearch.search.words.names import Names
from imgsearch.search.words.titles import Titles
from imgsearch.search.words.word_help import Speller
from imgsearch.store.catalog import CatalogStore

PRODUCTS = generate.named_products(400)
SOME = PRODUCTS[::10]
"""40 products."""


def shop_in(folder: Path, products: list[dict[str, Any]]) -> CatalogStore:
    encoder = ColourEncoder()
    catalog = CatalogStore.open(folder / "shop", create=True)
    catalog.bind_encoder(encoder.spec, encoder.id, encoder.dim)
    rows = [{key: value for key, value in one.items() if key not in ("id", "model")} for one in products]
    vectors = unit_rows(np.random.default_rng(3).random((len(products), encoder.dim), np.float32))
    catalog.store(raw_items([one["id"] for one in products], rows), vectors)
    return catalog


def searcher_of(catalog: CatalogStore) -> Searcher:
    encoder = ColourEncoder()
    return Searcher(
        catalog, open_live_index(catalog), lambda: encoder, titles=Titles(catalog, lambda: encoder)
    )


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    with shop_in(tmp_path_factory.mktemp("names"), PRODUCTS) as catalog:
        yield searcher_of(catalog)


def found(searcher: Searcher, text: str, n: int = 3, **options: Any) -> list[str]:
    return [hit.item_id for hit in searcher.search(replace(Query.of(text=text, n=n), **options)).hits]


TYPED: dict[str, Callable[[dict[str, Any]], str]] = {
    "the model name": lambda one: one["model"],
    "in capitals": lambda one: one["model"].upper(),
    "after a kind": lambda one: f"{one['title'].split()[2]} {one['model'].lower()}",
    "the whole title": lambda one: one["title"],
    "the title in another order": lambda one: " ".join(reversed(one["title"].split())),
    "with words that no title has": lambda one: f"buy {one['model']} online",
    "the SKU": lambda one: one["sku"],
    "the SKU in small letters": lambda one: one["sku"].lower(),
    "the SKU without signs": lambda one: one["sku"].replace("-", ""),
    "the SKU with a space": lambda one: one["sku"].replace("-", " ").replace("xz", "XZ "),
    "the SKU with other signs": lambda one: one["sku"].replace("-", "_"),
    "the SKU after a kind": lambda one: f"mug {one['sku']}",
    "the GTIN": lambda one: one["gtin"],
    "the id": lambda one: one["id"],
    "the id in small letters": lambda one: one["id"].lower(),
}


@pytest.mark.parametrize("text", TYPED.values(), ids=TYPED.keys())
def test_a_typed_name_or_code_puts_its_product_first(searcher: Searcher, text: Any) -> None:
    assert [one["id"] for one in SOME if found(searcher, text(one))[0] != one["id"]] == []


@pytest.mark.parametrize("letters", [3, 4])
def test_the_beginning_of_a_name_or_code_finds_it(searcher: Searcher, letters: int) -> None:
    for one in SOME[:10]:
        begun = found(searcher, one["model"][: -1 - (letters == 3)], n=12)
        assert one["id"] in begun
    assert set(found(searcher, "AB-100", n=5)) == {"P0001", "P0003", "P0005", "P0007", "P0009"}


def test_a_brand_puts_its_products_first(searcher: Searcher) -> None:
    brands = {one["id"]: one["brand"] for one in PRODUCTS}
    for typed in ("Lumen & Söhne", "lumen sohne", "LUMEN"):
        assert {brands[one] for one in found(searcher, typed, n=50)} == {"Lumen & Söhne"}


def test_a_common_word_among_unknown_ones_names_nothing(searcher: Searcher) -> None:
    names = searcher.titles.names
    assert names is not None
    for text in ("something like a mug for my aunt", "flurble", "...", "", "12", "🙂", "x" * 2000):
        assert names.match(text) is None


def test_a_name_is_found_with_filters_and_pages_and_sorted(searcher: Searcher) -> None:
    first = found(searcher, "ceramic mug", n=20)
    assert first + found(searcher, "ceramic mug", n=20, offset=20) == found(searcher, "ceramic mug", n=40)
    result = searcher.search(replace(Query.of(text="Acme", n=100), sort=(Sort("title"),)))
    assert {hit.metadata["brand"] for hit in result.hits} == {"Acme"}
    assert [hit.title for hit in result.hits] == sorted(hit.title for hit in result.hits)
    assert found(searcher, "AB-1001", sort=(Sort("title"),)) == ["P0001"]


def test_an_exact_code_makes_the_result_certain_and_needs_no_note(searcher: Searcher) -> None:
    assert searcher.search(Query.of(text="AB-1001")).notes == ()


def test_new_changed_and_removed_names_are_found_or_not_at_the_next_search(tmp_path: Path) -> None:
    with shop_in(tmp_path, PRODUCTS[:200]) as catalog:
        searcher = searcher_of(catalog)
        assert found(searcher, "Zorablat") == found(searcher, "zorablat")
        keys, _ = catalog.store(
            raw_items(["new"], [{"title": "Mug Brindolex", "sku": "NN-1"}]),
            unit_rows(np.ones((1, ColourEncoder.dim), np.float32)),
        )
        searcher.index.add(keys, catalog.vectors(keys))
        assert found(searcher, "brindolex")[0] == found(searcher, "nn1")[0] == "new"
        catalog.update_metadata([relabelled("P0003", {"title": "Lamp Quendiroth"})])
        assert found(searcher, "Quendiroth")[0] == "P0003"
        names = searcher.titles.names
        assert names is not None
        assert names.match(PRODUCTS[3]["model"]) is None
        searcher.index.remove(catalog.remove(["P0003"]))
        assert names.match("Quendiroth") is None


def test_stored_names_are_read_again_with_what_changed_since(tmp_path: Path) -> None:
    with shop_in(tmp_path, PRODUCTS[:200]) as catalog:
        match = Names(catalog).match("AB-1001")
        assert match is not None
        catalog.update_metadata([relabelled("P0003", {"title": "Lamp Quendiroth"})])
        catalog.remove(["P0001"])
    with CatalogStore.open(tmp_path / "shop") as catalog:
        again = Names(catalog)
        assert again.match("AB-1001") is None
        assert again.match("Quendiroth") is not None
        assert again.match("AB-1005") is not None
    path = tmp_path / "shop" / "names.npz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with CatalogStore.open(tmp_path / "shop") as catalog:
        assert Names(catalog).match("Quendiroth") is not None


def test_a_chosen_column_is_found_too(tmp_path: Path) -> None:
    products = [
        {"id": f"{n}", "title": "Mug", "collection": f"Season {n}", "note": f"blimp{n}"} for n in range(30)
    ]
    with shop_in(tmp_path, products) as catalog:
        assert Names(catalog).match("season 7") is None
        chosen = Names(catalog, columns=["Collection"]).match("season 7")
        assert chosen is not None
        assert [item.item_id for item in catalog.by_keys(chosen.best(1))] == ["7"]


def test_a_word_of_a_title_or_code_is_not_corrected(searcher: Searcher) -> None:
    names = searcher.titles.names
    assert names is not None
    speller = Speller({"mug": 5}, ["mug", "lamp", "tolerable", "zebra", "acne"], complete=True)
    assert speller.correct("Acme") is not None
    assert speller.correct("Acme", names.known) is None
    assert speller.correct("lmap", names.known) is not None
    for one in SOME:
        assert speller.correct(one["model"], names.known) is None
        assert speller.correct(one["sku"], names.known) is None


def test_an_exact_code_comes_before_pinned_items(searcher: Searcher) -> None:
    rule = searcher.rules.save(Rule("pin", item_ids=("P0300",)), author="test")
    try:
        assert found(searcher, "AB-1001", n=2) == ["P0001", "P0300"]
        assert found(searcher, PRODUCTS[50]["model"], n=2) == ["P0300", "P0050"]
    finally:
        searcher.rules.switch(rule.rule_id, on=False, author="test")
