"""What requests that change items may hold, and the changes that they mean."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, WithJsonSchema
from pydantic_core import to_json

from imgsearch.app.api.bodies import parse_model, parse_object
from imgsearch.app.api.failures import RequestError
from imgsearch.app.api.requests import decoded_picture
from imgsearch.core.column_values import MAX_LIST_VALUES
from imgsearch.core.item_limits import (
    MAX_COLUMN_CHARS,
    MAX_COLUMNS,
    MAX_EXACT,
    MAX_VALUE_CHARS,
)
from imgsearch.core.query import MAX_ID_CHARS
from imgsearch.ingest.item_changes import ItemChange

MAX_URL_CHARS = 2000
MAX_ETAG_CHARS = 100
MAX_UNDONE = 10_000

METADATA_HELP = (
    f"Values by the name of their column, at most {MAX_COLUMNS}: a text, a number, true or false, or a list of them. "
    "A new name becomes a column of the catalog."
)
_Scalar = {
    "anyOf": [
        {"type": "string", "maxLength": MAX_VALUE_CHARS},
        {"type": "number", "minimum": -MAX_EXACT, "maximum": MAX_EXACT},
        {"type": "boolean"},
        {"type": "null"},
    ]
}
_METADATA_SCHEMA: dict[str, Any] = {
    "type": "object",
    "maxProperties": MAX_COLUMNS,
    "propertyNames": {"minLength": 1, "maxLength": MAX_COLUMN_CHARS},
    "additionalProperties": {
        "anyOf": [*_Scalar["anyOf"], {"type": "array", "items": _Scalar, "maxItems": MAX_LIST_VALUES}]
    },
    "examples": [{"title": "Red mug", "price": 12.5, "in_stock": True}],
}
# The values themselves are checked by `check_metadata`, whose sentences name the column.
_Metadata = Annotated[dict[str, Any], WithJsonSchema(_METADATA_SCHEMA)]
_Url = Annotated[
    str, Field(max_length=MAX_URL_CHARS, pattern="^https?://", examples=["https://shop.example/1.jpg"])
]
_Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS, examples=["mugs/17"])]


class _ClosedBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _Picture(_ClosedBody):
    image_url: _Url | None = Field(None, description="Where the photo is read from.")
    image_base64: str | None = Field(None, description="The photo in base64, or as a data URL.")

    def picture(self) -> bytes | None:
        """Return the photo that came with the request; raises `QueryError` where it is no base64."""
        if self.image_url and self.image_base64:
            raise RequestError("Send image_url or image_base64, not both.")
        return None if self.image_base64 is None else decoded_picture(self.image_base64, "image_base64")


class ItemBody(_Picture):
    """An item as JSON: its photo and its metadata. Without a photo, that of the present item stays."""

    metadata: _Metadata | None = Field(
        None, description=f"{METADATA_HELP} Without it, the present values stay."
    )


class ItemForm(BaseModel):
    """An item as a form: its photo as a file, and its metadata."""

    image: Annotated[bytes | None, WithJsonSchema({"type": "string", "format": "binary"})] = Field(
        None, description="The photo, as a file."
    )
    image_url: _Url | None = Field(None, description="Where the photo is read from.")
    metadata: Annotated[str | None, Field(examples=['{"price": 12.5}'])] = Field(
        None, description="A JSON object of values by the name of their column."
    )


class MetadataBody(_ClosedBody):
    """Values to set."""

    metadata: _Metadata = Field(description=f"{METADATA_HELP} null removes a value; columns not named stay.")


class BatchLine(_Picture):
    """One line of a batch: a change of one item."""

    item_id: _Id = Field(description="The item.")
    action: Literal["patch", "put", "delete", "restore"] = Field(
        "patch", description="What to do with it, as the methods of one item do; `patch` if not given."
    )
    metadata: _Metadata | None = Field(None, description=METADATA_HELP)
    if_match: Annotated[str, Field(max_length=MAX_ETAG_CHARS)] = Field(
        "",
        description="The `etag` that the item must have, or `*`, as the header `If-Match`.",
        examples=['"r17"'],
    )
    create_only: bool = Field(False, description="Only create the item, as the header `If-None-Match: *`.")

    def change(self) -> ItemChange:
        """Return the change; raises `RequestError` where fields do not fit the action."""
        picture = self.picture()
        if self.action != "put" and (picture is not None or self.image_url or self.create_only):
            raise RequestError(f"A photo and create_only belong to the action put, not to {self.action}.")
        if self.action in ("delete", "restore") and self.metadata is not None:
            raise RequestError(f"The action {self.action} takes no metadata.")
        if self.action == "patch" and self.metadata is None:
            raise RequestError("The field metadata is missing.")
        return ItemChange(
            self.action,
            self.item_id,
            metadata=self.metadata,
            picture=picture,
            url=self.image_url or "",
            if_match=self.if_match.removeprefix("W/").strip('"'),
            create_only=self.create_only,
        )


class UndoBody(_ClosedBody):
    """Changes to undo."""

    changes: Annotated[
        list[Annotated[int, Field(ge=1, le=2**62)]], Field(min_length=1, max_length=MAX_UNDONE)
    ] = Field(description="The `change_id` of each change, of any order.", examples=[[1041, 1042]])


_ITEM: TypeAdapter[ItemBody] = TypeAdapter(ItemBody)
_METADATA: TypeAdapter[MetadataBody] = TypeAdapter(MetadataBody)
_LINE: TypeAdapter[BatchLine] = TypeAdapter(BatchLine)
_UNDO: TypeAdapter[UndoBody] = TypeAdapter(UndoBody)


def put_of_json(item_id: str, body: bytes) -> ItemChange:
    """Return the change that a JSON body of PUT means; raises `QueryError`."""
    given = parse_model(body, _ITEM)
    return ItemChange(
        "put", item_id, metadata=given.metadata, picture=given.picture(), url=given.image_url or ""
    )


def put_of_form(item_id: str, fields: dict[str, list[str]], images: list[bytes]) -> ItemChange:
    """Return the change that a form of PUT means; raises `QueryError` or `RequestError`."""
    unknown = sorted(set(fields) - set(ItemForm.model_fields))
    if unknown:
        raise RequestError(f"There is no field {unknown[0][:40]!r} here.", code="bad_query")
    repeated = next((name for name, values in fields.items() if len(values) > 1), None)
    if repeated or len(images) > 1:
        raise RequestError(f"The field {repeated or 'image'} may be sent once.")
    given: dict[str, Any] = {name: values[0] for name, values in fields.items()}
    if given.get("image_url") and images:
        raise RequestError("Send the field image or image_url, not both.")
    if "metadata" in given:
        given["metadata"] = parse_object(given["metadata"].encode(), "The field metadata")
    item = parse_model(to_json(given), _ITEM)
    return ItemChange(
        "put",
        item_id,
        metadata=item.metadata,
        picture=images[0] if images else None,
        url=item.image_url or "",
    )


def patch_of(item_id: str, body: bytes) -> ItemChange:
    """Return the change that the body of PATCH means; raises `QueryError`."""
    return ItemChange("patch", item_id, metadata=parse_model(body, _METADATA).metadata)


def line_of(line: bytes) -> BatchLine:
    """Return a line of a batch; raises `QueryError`."""
    return parse_model(line, _LINE)


def undone(body: bytes) -> list[int]:
    """Return the ids of the changes to undo, each once; raises `QueryError`."""
    return list(dict.fromkeys(parse_model(body, _UNDO).changes))
