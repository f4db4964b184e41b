"""What answers to changes of items hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from imgsearch.app.api.responses import ErrorBody, ItemDocument, described

_CLOSED = with_config(ConfigDict(extra="forbid"))
_Count = Annotated[int, Field(ge=0)]

Done = Literal["created", "replaced", "updated", "unchanged", "deleted", "restored"]


@_CLOSED
class ChangedItem(TypedDict):
    """What a request did to an item."""

    item_id: Annotated[str, described("The item.")]
    status: Annotated[Done, described("What was done; `unchanged` where the item was like that already.")]
    etag: Annotated[str, described("The item's `ETag` now, for `If-Match`; empty for a deleted item.")]
    change_id: Annotated[_Count, described("Identifies the change, to undo it; 0 where nothing changed.")]


@_CLOSED
class FailedChange(TypedDict):
    """A change that was not made."""

    item_id: Annotated[str, described("The item; empty where the line names none.")]
    status: Annotated[Literal["failed"], described("Nothing was changed.")]
    error: Annotated[ErrorBody, described("Why.")]


@_CLOSED
class BatchAnswer(TypedDict):
    """One line of the answer to a batch; `error` where the change was not made, else `etag` and `change_id`."""

    line: Annotated[
        _Count,
        described("The number of the line in the request, from 1; 0 where the whole batch fails."),
    ]
    item_id: Annotated[str, described("The item; empty where the line names none.")]
    status: Annotated[Done | Literal["failed"], described("What was done.")]
    etag: NotRequired[Annotated[str, described("The item's `ETag` now; empty for a deleted item.")]]
    change_id: NotRequired[Annotated[_Count, described("Identifies the change; 0 where nothing changed.")]]
    error: NotRequired[Annotated[ErrorBody, described("Why it was not made.")]]


@_CLOSED
class UndoneChanges(TypedDict):
    """What undoing did."""

    outcomes: Annotated[
        list[ChangedItem | FailedChange], described("One for each change, in the given order.")
    ]


@_CLOSED
class ChangeEntry(TypedDict):
    """One change of an item."""

    change_id: Annotated[_Count, described("Identifies the change.")]
    at: Annotated[str, described("When, UTC.")]
    actor: Annotated[str, described("Who or what made it.")]
    kind: Annotated[str, described("What kind of change it is.")]
    before: Annotated[dict[str, Any] | None, described("The item before; null where it did not exist.")]
    after: Annotated[dict[str, Any] | None, described("The item after; null where it does not exist.")]


@_CLOSED
class ItemHistory(TypedDict):
    """The changes of an item."""

    item_id: Annotated[str, described("The item.")]
    changes: Annotated[list[ChangeEntry], described("The latest first.")]


@_CLOSED
class ItemPage(TypedDict):
    """A page of the list of items."""

    items: Annotated[list[ItemDocument], described("In the requested order.")]
    total: Annotated[_Count, described("How many items the list has.")]
    cursor: Annotated[str, described("Leads to the next page; empty at the end.")]
