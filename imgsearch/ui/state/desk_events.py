"""What the item table sends: changes of one item or of the selected ones, undo, and requests for a history."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from imgsearch.app.bulk_edits import Targets
from imgsearch.core.query import MAX_FILTER_CHARS, MAX_FILTERS, MAX_ID_CHARS
from imgsearch.store.item_listing import MAX_SEARCH_CHARS
from imgsearch.ui.state.events import BrowserEvent

MAX_SELECTED_IDS = 100_000
MAX_VALUE_CHARS = 20_000
MAX_UNDONE = 1000

_Id = Annotated[str, Field(max_length=MAX_ID_CHARS)]


class DeskEvent(BrowserEvent):
    """One act in the item table.

    `edit` sets one value of `item_id`, whose ETag was `etag`; `bulk_edit`, `delete` and `reread` are of the selected
    items: `ids`, or with `all` all that match `filters` and `search` but the ids. `undo` names a bulk's `token` or
    numbers of `changes`. An empty `value` removes the value.
    """

    kind: Literal["edit", "bulk_edit", "delete", "reread", "undo", "history"]
    item_id: _Id = ""
    column: Annotated[str, Field(max_length=1000)] = ""
    value: Annotated[str, Field(max_length=MAX_VALUE_CHARS)] = ""
    etag: Annotated[str, Field(max_length=100)] = ""
    all: bool = False
    ids: list[_Id] = Field([], max_length=MAX_SELECTED_IDS)
    filters: list[Annotated[str, Field(max_length=MAX_FILTER_CHARS)]] = Field([], max_length=MAX_FILTERS)
    search: Annotated[str, Field(max_length=MAX_SEARCH_CHARS)] = ""
    token: Annotated[str, Field(max_length=64)] = ""
    changes: list[Annotated[int, Field(ge=1, lt=2**62)]] = Field([], max_length=MAX_UNDONE)

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.kind in ("edit", "history") and not self.item_id:
            raise ValueError("The event names no item.")
        if self.kind in ("edit", "bulk_edit") and not self.column:
            raise ValueError("The event names no column.")
        return self

    @property
    def targets(self) -> Targets:
        """The items that it is about."""
        return Targets(tuple(self.ids), self.all, tuple(self.filters), self.search)
