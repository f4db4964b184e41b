"""Columns of every kind: stored, read, filtered, counted, and given another kind without losing a value."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import clustered

from imgsearch.core.column_types import ColumnKind, recognise
from imgsearch.core.errors import FilterError
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.records import Facet
from imgsearch.explore.map_document import column_colors, column_values
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.metadata_columns import stored_cell

MakeCatalog = Callable[..., CatalogStore]

ROWS: list[dict[str, Any]] = [
    {
        "price": Decimal("9.50"),
        "price_currency": "EUR",
        "added": date(2025, 1, 31),
        "sold": datetime(2025, 1, 31, 23, 30),
        "opens": time(9, 30),
        "tags": ["oak", "round"],
    },
    {
        "price": Decimal("19.99"),
        "price_currency": "USD",
        "added": date(2025, 2, 1),
        "sold": datetime(2025, 2, 1),
        "opens": time(12),
        "tags": ["Steel"],
    },
    {
        "price": Decimal("1299"),
        "price_currency": "EUR",
        "tags": ["oak", "a, b", 'say "hi"', "back\\slash", "line\nbreak"],
    },
    {"price": Decimal("249.0001"), "added": date(2024, 12, 31), "sold": datetime(2024, 12, 31, 8)},
]


@pytest.fixture
def shop(make_catalog: MakeCatalog) -> CatalogStore:
    return make_catalog(clustered(len(ROWS), 16), ROWS)


def passing(catalog: CatalogStore, *filters: str) -> list[int]:
    return [int(key) for key in catalog.metadata.keys_matching(parse_filters(filters))]


def test_values_are_read_as_json_holds_them(shop: CatalogStore) -> None:
    assert shop.metadata.columns == {
        "price": "price",
        "price_currency": "text",
        "added": "date",
        "sold": "datetime",
        "opens": "time",
        "tags": "list",
    }
    first, _, third, fourth = shop.by_keys([0, 1, 2, 3])
    assert first.metadata == {
        "price": 9.5,
        "price_currency": "EUR",
        "added": "2025-01-31",
        "sold": "2025-01-31T23:30:00",
        "opens": "09:30:00",
        "tags": ["oak", "round"],
    }
    assert third.metadata["tags"] == ROWS[2]["tags"]
    assert fourth.metadata["price"] == 249.0001


@pytest.mark.parametrize(
    ("filter", "keys"),
    [
        ("price<50", [0, 1]),
        ("price<50 EUR", [0]),
        ('price<"19,99 €"', [0]),
        ("price<=19.99", [0, 1]),
        ("price=1.299,00 €", [2]),
        ("price=10..300", [1, 3]),
        ("price in 9.50|1299", [0, 2]),
        ("price!=9.50", [1, 2, 3]),
        ("price>200 USD", [3]),
        ("added>=2025-01-31", [0, 1]),
        ("added=2025-01-01..2025-01-31", [0]),
        ("added=31.01.2025", [0]),
        ("added<2025-01-01T00:00", [3]),
        ("sold=2025-01-31", [0]),
        ("sold<=2025-01-31", [0, 3]),
        ("sold>2025-01-31", [1]),
        ("sold!=2025-01-31", [1, 3]),
        ("sold>=2025-01-31T23:30", [0, 1]),
        ("opens<12:00", [0]),
        ("tags=OAK", [0, 2]),
        ("tags=oa", []),
        ("tags!=oak", [1]),
        ("tags in steel|round", [0, 1]),
        ("tags~ste", [1]),
        ('tags="a, b"', [2]),
    ],
)
def test_a_filter_compares_values_of_the_columns_kind(
    shop: CatalogStore, filter: str, keys: list[int]
) -> None:
    assert passing(shop, filter) == keys


@pytest.mark.parametrize(
    "filter",
    [
        "price<cheap",
        "price<" + "9" * 400,
        "price<nan",
        "price<1e999",
        "price~5",
        "price in 5 EUR|6 USD",
        "added>=soon",
        "added>=01/02/2025",
        "added>=2025-02-30",
        "added>5",
        "opens=25:00",
        "tags<oak",
        "price_currency>EUR",
    ],
)
def test_a_filter_that_does_not_fit_is_refused_with_one_sentence(shop: CatalogStore, filter: str) -> None:
    with pytest.raises(FilterError) as refused:
        passing(shop, filter)
    assert filter.split("<")[0].split(">")[0].split("=")[0].split("~")[0].split(" ")[0] in str(refused.value)
    assert str(refused.value).endswith(".")
    assert len(str(refused.value)) < 400


def test_columns_are_read_for_maps_and_orders(make_catalog: MakeCatalog) -> None:
    rows = [{"tags": ["a", "b"], "cost": Decimal("5.5"), "day": date(2025, 1, 1)}, {"tags": ["c", "d"]}]
    catalog = make_catalog(clustered(2, 8), rows)
    tags, kind = column_values(catalog.metadata, "tags", catalog.keys())
    assert (tags.tolist(), kind) == ([("a", "b"), ("c", "d")], "list")
    days, _ = column_values(catalog.metadata, "day", catalog.keys())
    assert days.tolist() == ["2025-01-01", None]
    costs, _ = column_values(catalog.metadata, "cost", catalog.keys())
    assert costs[0] == 5.5
    for column in rows[0]:
        codes, legend = column_colors(catalog.metadata, f"column:{column}", catalog.keys())
        assert len(codes) == 2
        assert legend["kind"] in ("choice", "number")


def test_facets_have_ranges_periods_and_the_elements_of_lists(shop: CatalogStore) -> None:
    facets = {facet.column: facet for facet in shop.metadata.facets()}
    assert facets["price"] == Facet("price", "range", low=9.5, high=1299.0, holds="price")
    assert facets["added"] == Facet("added", "period", holds="date", first="2024-12-31", last="2025-02-01")
    assert (facets["opens"].first, facets["sold"].last) == ("09:30:00", "2025-02-01T00:00:00")
    assert [(each.value, each.count) for each in facets["tags"].values[:2]] == [("oak", 2), ("Steel", 1)]
    of_euros = {facet.column: facet for facet in shop.metadata.facets(parse_filters(["price_currency=EUR"]))}
    assert (of_euros["price"].currency, of_euros["price"].low) == ("EUR", 9.5)


@pytest.mark.parametrize("kind", ["number", "price", "boolean", "date", "datetime", "time", "list"])
def test_a_text_column_takes_its_kind_and_gives_back_what_does_not_fit(
    make_catalog: MakeCatalog, kind: ColumnKind
) -> None:
    texts = {
        "number": ["1,5", "2", "x"],
        "price": ["1.299,00 €", "19,99 €", "ask in store"],
        "boolean": ["yes", "no", "maybe"],
        "date": ["31.12.2025", "01.02.2025", "soon"],
        "datetime": ["2025-01-31T10:00", "2025-02-01 11:00:05", "soon"],
        "time": ["9:30 pm", "10:00", "noon"],
        "list": ['["a","b"]', "c", "d"],
    }[kind]
    catalog = make_catalog(clustered(4, 8), [*({"v": text} for text in texts), {"other": 1}])
    misfits = change(catalog, "v", kind, texts)
    assert catalog.metadata.columns["v"] == kind
    assert misfits == (0 if kind == "list" else 1)
    values = [item.metadata.get("v") for item in catalog.by_keys([0, 1, 2, 3])]
    if kind != "list":
        assert None not in values[:2]
        assert values[2] is None
        change(catalog, "v", "text", texts)
        assert catalog.get("00002.jpg").metadata["v"] == texts[2]
    else:
        assert values == [["a", "b"], ["c"], ["d"], None]
    if kind == "price":
        assert [item.metadata.get("v_currency") for item in catalog.by_keys([0, 2])] == ["EUR", None]
    assert catalog.metadata.count(parse_filters(["other=1"])) == 1


def change(catalog: CatalogStore, name: str, kind: ColumnKind, texts: list[str]) -> int:
    with catalog.writing() as cursor:
        return catalog.metadata.retype(cursor, name, kind, recognise(texts, kind=kind).style)


def test_numbers_and_prices_become_text_as_people_write_them(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog(
        clustered(3, 8), [{"price": Decimal(value), "n": float(value)} for value in ("5", "19.90", "0.0500")]
    )
    change(catalog, "price", "text", [])
    change(catalog, "n", "text", [])
    rows = [item.metadata for item in catalog.by_keys([0, 1, 2])]
    assert [(row["price"], row["n"]) for row in rows] == [("5", "5"), ("19.9", "19.9"), ("0.05", "0.05")]


EXTREMES: dict[str, Any] = {
    "number": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**300), 10**300),
    "price": st.decimals(Decimal("-99999999999999.9999"), Decimal("99999999999999.9999"), places=4),
    "date": st.dates(),
    "datetime": st.datetimes(),
    "time": st.times(),
    "list": st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=1
    ),
    "text": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
}


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries({}, optional=EXTREMES))
def test_every_value_of_a_kind_is_stored_and_found_by_its_own_filter(row: dict[str, Any]) -> None:
    for kind, value in row.items():
        stored = stored_cell(value, kind)  # type: ignore[arg-type]
        assert stored is not None or (kind == "list" and not any(each.strip() for each in value))


def test_numbers_at_their_bounds_are_stored_or_left_out(make_catalog: MakeCatalog) -> None:
    values = [10**400, -(10**400), 2**63, -(2**63), 1.7e308, 5e-324, float("inf"), float("nan"), 0]
    catalog = make_catalog(clustered(len(values), 8), [{"n": value} for value in values])
    stored = [item.metadata.get("n") for item in catalog.by_keys(range(len(values)))]
    assert stored == [None, None, 2.0**63, -(2.0**63), 1.7e308, 5e-324, None, None, 0.0]
    prices = [
        Decimal("99999999999999.9999"),
        Decimal("1e14"),
        Decimal("0.00001"),
        Decimal("NaN"),
        Decimal(-5),
    ]
    assert [stored_cell(price, "price") for price in prices] == [
        "99999999999999.9999",
        None,
        None,
        None,
        "-5",
    ]


VALUES = st.text(max_size=12) | st.from_regex(r"[-+0-9.,:eE$€TZ /|naifxyd]{1,25}", fullmatch=True)


def test_any_filter_on_any_kind_is_answered_or_refused_in_one_sentence(shop: CatalogStore) -> None:
    @settings(max_examples=300, deadline=None)
    @given(
        st.sampled_from([*shop.metadata.columns]),
        st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "~"]),
        VALUES
        | st.sampled_from(
            ["9" * 400, "0001-01-01", "9999-12-31", "9999-12-31T23:59:59+00:01", "1e400", "-0"]
        ),
    )
    def check(column: str, operator: str, value: str) -> None:
        found, refusal = [], "Answered."
        try:
            found = passing(shop, f"{column}{operator}{value}")
        except FilterError as refused:
            refusal = str(refused)
        assert set(found) <= {0, 1, 2, 3}
        assert "\n" not in refusal
        assert refusal.endswith(".")

    check()
