"""The Python library: searches, images, tables, vectors, measures; and the worked notebook."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from photos import draw_photo

import imgsearch
from imgsearch.core.errors import CatalogNotFound, FilterError, QueryError, UnknownItem
from imgsearch.library import MAX_SHOWN_PHOTOS, Catalog

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "notebook.ipynb"


@pytest.fixture
def shop(lite_catalog: Path) -> Iterator[Catalog]:
    with imgsearch.Catalog.open(lite_catalog) as opened:
        yield opened


class Tags(HTMLParser):
    """Collects the tags of a page and the sources of its pictures."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attributes if name == "src"]


def test_every_term_kind_searches_alone_or_combined(shop: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "mine.jpg"
    picture = draw_photo("lamp", "purple", 9)
    picture.save(path, quality=90)
    assert shop.search(item="mug/red-0.jpg", n=5)[0].item_id.startswith("mug/")
    assert shop.search(text="a yellow mug")[0].item_id.startswith("mug/yellow")
    by_path = shop.search(image=path, n=4)
    assert by_path[0].item_id.startswith("lamp/")
    assert shop.search(image=path.read_bytes(), n=4).to_pandas().equals(by_path.to_pandas())
    assert shop.search(image=picture, n=1)[0].item_id.startswith("lamp/")
    mixed = shop.search(
        item={"mug/red-0.jpg": 1.0, "mug/red-1.jpg": -0.3}, text=["blue"], image=[(picture, 0.2)]
    )
    terms = {(term.kind, term.weight) for term in mixed.result.query.terms}
    assert terms == {("item", 1.0), ("item", -0.3), ("text", 1.0), ("image", 0.2)}
    assert len(mixed) == 10


def test_filters_are_written_as_on_the_command_line(shop: Catalog) -> None:
    found = shop.search(text="mug", n=48, filters="colour=blue")
    assert found
    assert {hit.metadata["colour"] for hit in found} == {"blue"}
    cheap = shop.search(text="mug", n=48, filters=["colour in blue|red", "price<30"])
    assert all(hit.metadata["price"] < 30 for hit in cheap)


def test_a_result_is_a_sequence_and_a_table(shop: Catalog) -> None:
    found = shop.search(item="mug/red-0.jpg", n=6)
    assert [hit.rank for hit in found] == [1, 2, 3, 4, 5, 6]
    assert [hit.rank for hit in found[2:4]] == [3, 4]
    table = found.to_pandas()
    assert list(table.columns[:4]) == ["rank", "item_id", "title", "score"]
    assert {"colour", "price"} <= set(table.columns)
    assert list(table.item_id) == [hit.item_id for hit in found]
    assert repr(found).count("\n") == 6


def test_a_notebook_shows_small_pictures_and_only_words_of_hostile_titles(
    shop: Catalog, tmp_path: Path
) -> None:
    found = shop.search(item="mug/red-0.jpg", n=4)
    page = Tags(found._repr_html_())
    assert page.tags.count("img") == 4
    assert all(source.startswith("data:image/webp;base64,") for source in page.sources)
    assert max(map(len, page.sources)) < 20_000
    (tmp_path / "p").mkdir()
    draw_photo("mug", "red", 1).save(tmp_path / "p" / "a.jpg")
    draw_photo("mug", "blue", 1).save(tmp_path / "p" / "b.jpg")
    rows = 'image,title\na.jpg,"<script>alert(1)</script>"\nb.jpg,"""><img src=x onerror=alert(1)>"\n'
    (tmp_path / "rows.csv").write_text(rows, encoding="utf-8")
    with Catalog.open(tmp_path / "hostile", create=True) as hostile:
        hostile.index(tmp_path / "p", metadata=tmp_path / "rows.csv", encoder="lite")
        found = hostile.search(text="mug")
        assert len(found) == 2
        page = Tags(found._repr_html_())
        assert set(page.tags) == {"div", "figure", "img", "figcaption", "span"}
        assert page.tags.count("img") == 2


def test_hits_beyond_the_display_limit_are_counted_and_a_missing_photo_is_no_failure(
    shop: Catalog, tmp_path: Path
) -> None:
    found = shop.search(text="mug", n=48)
    assert len(found) == 48 <= MAX_SHOWN_PHOTOS
    photos = tmp_path / "photos"
    photos.mkdir()
    draw_photo("ring", "red", 1).save(photos / "a.jpg")
    with Catalog.open(tmp_path / "lost", create=True) as lost:
        lost.index(photos, encoder="lite")
        shutil.rmtree(photos)
        shutil.rmtree(lost.store.folder / "thumbnails", ignore_errors=True)
        assert "no photo" in lost.search(text="ring")._repr_html_()


def test_indexing_twice_changes_nothing_and_new_photos_are_found_at_once(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    draw_photo("ring", "red", 1).save(photos / "a.jpg")
    with Catalog.open(tmp_path / "catalog", create=True) as catalog:
        assert len(catalog) == 0
        assert catalog.index(photos, encoder="lite").added == 1
        assert catalog.index(photos).unchanged == 1
        draw_photo("mug", "blue", 1).save(photos / "b.jpg")
        assert catalog.index(photos).added == 1
        assert [hit.item_id for hit in catalog.search(item="a.jpg")] == ["b.jpg"]
    with Catalog.open(tmp_path / "catalog") as again:
        assert len(again) == 2


def test_rows_match_vectors_and_embed_uses_the_same_space(shop: Catalog, shared_photos: Path) -> None:
    rows, vectors = shop.metadata(), shop.vectors()
    assert len(rows) == len(vectors) == len(shop) == 48
    assert rows.index.name == "item_id"
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-2)
    names = list(rows.index[:3])
    made = shop.embed(images=[shared_photos / name for name in names])
    assert made.shape == (3, vectors.shape[1])
    assert np.allclose((made * vectors[:3]).sum(axis=1), 1, atol=0.01)
    scores = vectors @ shop.embed(texts="a yellow mug")[0]
    assert rows.index[int(scores.argmax())] == shop.search(text="a yellow mug")[0].item_id
    assert shop.embed(texts=[]).shape == (0, vectors.shape[1])


def test_searching_is_measured_on_judgments(shop: Catalog, tmp_path: Path) -> None:
    names = [f"mug/red-{number}.jpg" for number in range(2)]
    (tmp_path / "own.trec").write_text(
        "".join(f"{one} 0 {other} 1\n" for one in names for other in names if one != other), encoding="utf-8"
    )
    report = shop.evaluate(tmp_path / "own.trec", measures="R@10")
    assert (report.measures[0].measure, report.measures[0].mean) == ("R@10", 1.0)


def test_invalid_input_raises_a_one_sentence_error(shop: Catalog, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="empty"):
        shop.search()
    with pytest.raises(QueryError, match=r"no\.jpg cannot be read"):
        shop.search(image=tmp_path / "no.jpg")
    with pytest.raises(QueryError, match="not int"):
        shop.search(image=5)
    with pytest.raises(UnknownItem):
        shop.search(item="nothing.jpg")
    with pytest.raises(FilterError):
        shop.search(text="mug", filters="no such column=1")
    with pytest.raises(QueryError, match="either images or texts"):
        shop.embed()
    with pytest.raises(CatalogNotFound):
        Catalog.open(tmp_path / "nowhere")


def test_the_package_exports_the_catalog_and_the_version() -> None:
    assert imgsearch.Catalog is Catalog
    with pytest.raises(AttributeError, match="no attribute 'Katalog'"):
        _ = imgsearch.Katalog  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_worked_notebook_runs_from_top_to_bottom_and_is_small() -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    assert NOTEBOOK.stat().st_size < 500_000
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert sum("data:image/webp" in output.get("data", {}).get("text/html", "") for output in shown) >= 3
    assert not [output for output in shown if output.output_type == "error"]
