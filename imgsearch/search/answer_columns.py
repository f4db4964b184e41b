"""What an answer says of columns beside its hits: the facets, and how many more items each hit's group has."""

from __future__ import annotations

from collections.abc import Sequence

from imgsearch.core.key_arrays import Keys
from imgsearch.core.query import ALL_COLUMNS, Filter, Query
from imgsearch.core.records import Facet
from imgsearch.search.ranking.column_order import column_name
from imgsearch.store.metadata_table import MetadataTable


def answer_facets(
    metadata: MetadataTable, query: Query, filters: Sequence[Filter], hidden: Keys
) -> tuple[Facet, ...]:
    """Return the facets that a query names, in its order: all items that pass the filters count, alike or not.

    A column's own filter does not count against it. Raises `QueryError` for an unknown column.
    """
    if not query.facets:
        return ()
    if ALL_COLUMNS in query.facets:
        return tuple(metadata.facets(filters, without=hidden))
    names = list(dict.fromkeys(column_name(metadata, name, "facets") for name in query.facets))
    found = {facet.column: facet for facet in metadata.facets(filters, without=hidden, only=names)}
    return tuple(found[name] for name in names)


def check_columns(metadata: MetadataTable, query: Query) -> None:
    """Raise `QueryError` where an option of a query names a column that does not exist."""
    for name in query.fields or ():
        column_name(metadata, name, "fields")
    for sort in query.sort:
        column_name(metadata, sort.column, "sort")
    for boost in query.boosts:
        column_name(metadata, boost.column, "boost")
    if query.group_by:
        column_name(metadata, query.group_by, "group_by")
