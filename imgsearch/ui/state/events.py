"""What the browser sends: actions on photo tiles, in the query bar, on the map. Nothing in it is trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

MAX_SELECTED = 5000
"""How many photos a selection on the map holds; further ones are left out, and the page says so."""

_Key = Annotated[int, Field(ge=0, lt=2**63)]


class BrowserEvent(BaseModel):
    """An event of a component, with an id of its own."""

    model_config = ConfigDict(frozen=True, strict=True)

    id: Annotated[str, Field(min_length=1)]

    @classmethod
    def parse(cls, raw: Any) -> Self | None:
        """Return the event that the browser sent, or None for anything malformed."""
        if not isinstance(raw, Mapping):
            return None
        try:
            return cls.model_validate({name: value for name, value in raw.items() if value is not None})
        except ValidationError:
            return None


class GalleryEvent(BrowserEvent):
    """One action on one tile, or `next`: more tiles.

    `address` is the query string of the list that the tile is in: the page may show another one by the time the
    event arrives. `rank` and `search_id` are 0 and empty where the tile is not a search hit.
    """

    action: Literal["open", "good", "bad", "more", "less", "save", "remove", "details", "next", "part"]
    item_id: str
    address: str = ""
    rank: Annotated[int, Field(ge=0)] = 0
    search_id: str = ""

    @model_validator(mode="after")
    def _has_item(self) -> Self:
        if not self.item_id and self.action != "next":
            raise ValueError("An action on a tile names its item.")
        return self


class BarEvent(BrowserEvent):
    """One action in the query bar.

    `value` is the words (`text`, `refine`), the photo in base64 (`picture`), the query string to open (`go`), a
    term's new weight and region (`adjust`: `weight@left,top,right,bottom`, nothing after the @ for the whole photo),
    or the text of a filter to remove. `index` is the position of the term that is changed or removed.
    """

    kind: Literal["text", "refine", "picture", "remove", "adjust", "clear", "go", "undo"]
    value: str = ""
    index: int | None = None


class MapEvent(BrowserEvent):
    """A click on one point (`open`), or a selection of many (`lasso`): at most `MAX_SELECTED` keys of `found`."""

    action: Literal["open", "lasso"]
    keys: list[_Key]
    found: int = 0

    @model_validator(mode="after")
    def _has_one_point(self) -> Self:
        if self.action == "open" and len(self.keys) != 1:
            raise ValueError("A click is on one point.")
        del self.keys[MAX_SELECTED:]
        return self
