"""Changes of single items: what is requested, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

ChangeKind = Literal["put", "patch", "delete", "restore"]
ChangeStatus = Literal["created", "replaced", "updated", "unchanged", "deleted", "restored", "failed"]


@dataclass(frozen=True, slots=True)
class ItemChange:
    """One change of one item.

    `metadata` of a put is the whole row (None keeps the present one), of a patch the columns to set, where None
    removes a value. A put takes the photo from the bytes of `picture` or from `url`; without either, the item keeps
    its photo. `if_match` is an ETag, or "*" for any existing item: where the item's differs, nothing is changed. With
    `create_only`, an item that exists is not replaced.
    """

    kind: ChangeKind
    item_id: str
    metadata: Mapping[str, Any] | None = None
    picture: bytes | None = None
    url: str = ""
    if_match: str = ""
    create_only: bool = False


@dataclass(frozen=True, slots=True)
class ChangeOutcome:
    """What became of a change.

    `etag` is the item's after it ("" where there is no item), `change_id` the number of its row in the log of
    changes (0 where nothing changed). Of a failure, `code` is the stable name and `message` one sentence.
    """

    item_id: str
    status: ChangeStatus
    etag: str = ""
    code: str = ""
    message: str = ""
    change_id: int = 0


def etag_of(revision: int) -> str:
    """Return the ETag of an item's revision, without quotes."""
    return f"r{revision}"


def failed(item_id: str, code: str, message: str) -> ChangeOutcome:
    """Return the outcome of a change that was not made."""
    return ChangeOutcome(item_id, "failed", code=code, message=message)
