"""The list of items: filtered, searched by words, sorted, page by page; and one item by its id as a parameter."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from imgsearch.app.api.context import context_of, json_answer
from imgsearch.app.api.item_responses import ItemPage
from imgsearch.app.api.items import described_item, item
from imgsearch.app.api.requests import FILTER_HELP
from imgsearch.app.api.responses import ItemDocument
from imgsearch.app.api.routing import ApiRouter, ClosedParams, digits
from imgsearch.app.service import SearchService
from imgsearch.core.errors import QueryError
from imgsearch.core.filter_grammar import parse_filters
from imgsearch.core.query import MAX_FILTER_CHARS, MAX_ID_CHARS
from imgsearch.core.query_address import columns_of, parse_sort
from imgsearch.store.item_listing import MAX_CURSOR_CHARS, MAX_PAGE, MAX_SEARCH_CHARS

DEFAULT_LIMIT = 50
MAX_OFFSET = 1_000_000_000

router = ApiRouter()

_Columns = Annotated[str, Field(max_length=MAX_CURSOR_CHARS)]


class ItemListParams(ClosedParams):
    """One item by its id, or which items to list."""

    id: Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS)] | None = Field(
        None, description="The id of one item, which is then the answer. Nothing else may be given with it."
    )
    filter: list[Annotated[str, Field(max_length=MAX_FILTER_CHARS)]] = Field(
        [], description=f"{FILTER_HELP} May be repeated."
    )
    q: Annotated[str, Field(max_length=MAX_SEARCH_CHARS)] = Field(
        "", description="Words that must all be in the id or in a text of the row, in any case."
    )
    sort: list[_Columns] = Field(
        [],
        description=(
            "Columns of the metadata, or `id`, `title`, `added`, `updated`: `price`, `-price` (descending), "
            "`brand,-price`. Missing values are last. Without it: in the order of adding. May be repeated."
        ),
    )
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE), BeforeValidator(digits)] = Field(
        DEFAULT_LIMIT, description=f"How many items; {DEFAULT_LIMIT} if not given."
    )
    cursor: Annotated[str, Field(max_length=MAX_CURSOR_CHARS)] = Field(
        "",
        description=(
            "The `cursor` of the page before. It stays right while items come and go: no item that stays is skipped "
            "or repeated."
        ),
    )
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET), BeforeValidator(digits)] = Field(
        0,
        description="How many items to skip; not with a `cursor`, which stays right while items come and go.",
    )
    fields: list[_Columns] | None = Field(
        None,
        description=(
            "The metadata columns to show: `price,brand`; empty: none. All where it is absent. May be repeated."
        ),
    )


@router.endpoint(
    "/api/v1/items",
    "List items, or one item by its id as a parameter",
    name="items",
    response_model=ItemDocument | ItemPage,
    cached=True,
    fails=(400, 404, 503),
    example="curl 'HOST/api/v1/items?filter=price<50&sort=-price&limit=20'",
)
async def item_list(request: Request, params: Annotated[ItemListParams, Query()]) -> Response:
    """With `id`, which may be one that no path can carry, such as '../x', the answer is that item. Else it is a page
    of the list, with the `cursor` of the next one.
    """
    if params.id is not None:
        if params.model_fields_set != {"id"}:
            raise QueryError("With id= there is one item, and nothing to list: send no other parameter.")
        return await item(request, params.id)

    def work(service: SearchService) -> dict[str, Any]:
        sort = [parse_sort(each) for each in columns_of("sort", params.sort)]
        page = service.listing.page(
            parse_filters(params.filter),
            params.q,
            [(each.column, each.descending) for each in sort],
            cursor=params.cursor,
            offset=params.offset,
            limit=params.limit,
        )
        documents = [described_item(item) for item in page.items]
        if params.fields is not None:
            wanted = set(columns_of("fields", params.fields))
            for document in documents:
                shown = {name: value for name, value in document["metadata"].items() if name in wanted}
                document["metadata"] = shown
        return {"items": documents, "total": page.total, "cursor": page.cursor}

    return json_answer(await context_of(request).search(lambda: work(context_of(request).open_service())))
