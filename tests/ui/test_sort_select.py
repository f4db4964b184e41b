"""The list "Sort by": which orders it offers, and that each is an order of a query."""

from __future__ import annotations

from imgsearch.core.query import Sort
from imgsearch.core.query_address import columns_of, parse_sort
from imgsearch.core.records import Facet, FacetValue
from imgsearch.ui.components.sort_select import sort_choices


def test_columns_with_an_order_are_offered_up_and_down_prices_first() -> None:
    facets = [
        Facet("title", "text"),
        Facet("brand", "choice", values=(FacetValue("Acme", 3), FacetValue("Lumen", 1))),
        Facet("rating", "range", low=1.0, high=5.0),
        Facet("weight", "range", low=2.0, high=2.0),
        Facet("added_on", "period", first="2024-01-01", last="2024-06-01", holds="date"),
        Facet("Price", "range", low=1.0, high=9.0),
    ]
    assert sort_choices(facets) == {
        "": "Most similar first",
        "Price": "Price: low to high",
        "-Price": "Price: high to low",
        "rating": "Rating: low to high",
        "-rating": "Rating: high to low",
        "added_on": "Added on: oldest first",
        "-added_on": "Added on: newest first",
    }


def test_an_odd_column_name_survives_the_list() -> None:
    names = list(sort_choices([Facet('size, "EU"', "range", low=1.0, high=9.0)]))
    chosen = [tuple(map(parse_sort, columns_of("sort", [name]))) for name in names]
    assert chosen == [(), (Sort('size, "EU"'),), (Sort('size, "EU"', True),)]
