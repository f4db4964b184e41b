"""A load of changes on the HTTP API of a running app, and a record of what must be true afterwards.

Each `Writer` changes items of its own, one after the other: it puts items with a picture, patches a price with a
token, replaces pictures, and deletes. Price and token of an item belong together (`price_of`), so that a change that
was done by half is noticed.
"""

from __future__ import annotations

import io
import json
import os
import random
import secrets
import zlib
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

import httpx2
from PIL import Image, ImageDraw

Kind = Literal["put", "replace", "patch", "delete"]
SHARES: dict[Kind, float] = {"put": 0.2, "replace": 0.1, "patch": 0.55, "delete": 0.15}
PICTURE_PX = 640
TIMEOUT_S = 60.0
TOKEN = secrets.token_hex(16)
os.environ.setdefault(
    "IMGSEARCH_WRITE_TOKEN", TOKEN
)  # the app that this program starts, and its own processes
HEADERS = {"Authorization": f"Bearer {os.environ['IMGSEARCH_WRITE_TOKEN']}"}


def price_of(token: str) -> float:
    """Return the price that belongs to a token."""
    return round(1 + zlib.crc32(token.encode()) % 100_000 / 100, 2)


def picture(rng: random.Random) -> bytes:
    """Return a new JPEG of a coloured shape on a light ground."""
    ground = rng.randint(225, 250)
    image = Image.new("RGB", (PICTURE_PX, PICTURE_PX), (ground, ground, ground))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.randint(1, 4)):
        left, top = rng.randint(40, 300), rng.randint(40, 300)
        box = (left, top, left + rng.randint(80, 300), top + rng.randint(80, 300))
        fill = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
        rng.choice((draw.ellipse, draw.rectangle))(box, fill=fill)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Change:
    """One change; `token` is the item's after it, None for a deletion."""

    kind: Kind
    item_id: str
    token: str | None
    content: bytes = b""

    def request(self, address: str) -> httpx2.Request:
        """Return the HTTP request that makes the change."""
        url = f"{address}/api/v1/items/{quote(self.item_id, safe='/')}"
        if self.kind == "delete":
            return httpx2.Request("DELETE", url, headers=HEADERS)
        metadata = {"live_token": self.token, "price": price_of(self.token or "")}
        if self.kind == "patch":
            return httpx2.Request("PATCH", url, json={"metadata": metadata}, headers=HEADERS)
        row = {**metadata, "title": f"Item {self.item_id}", "category": "live"}
        files = {"image": ("photo.jpg", self.content, "image/jpeg")}
        data = {"metadata": json.dumps(row)}
        return httpx2.Request("PUT", url, data=data, files=files, headers=HEADERS)


@dataclass(slots=True)
class Writer:
    """Draws changes of items named after `name`; `known` has the token of each item that exists."""

    name: str
    rng: random.Random
    known: dict[str, str] = field(default_factory=dict)
    in_flight: Change | None = None
    done: int = 0
    _drawn: int = 0

    def draw(self) -> Change:
        """Return the next change, noted as in flight."""
        self._drawn += 1
        kind: Kind = "put"
        if len(self.known) >= 5:
            kind = self.rng.choices(list(SHARES), list(SHARES.values()))[0]
        token = f"{self.name}-{self._drawn}-{self.rng.randrange(10**9)}"
        item_id = f"live/{self.name}/{self._drawn}"
        if kind != "put":
            item_id = self.rng.choice(list(self.known))
        content = picture(self.rng) if kind in ("put", "replace") else b""
        self.in_flight = Change(kind, item_id, None if kind == "delete" else token, content)
        return self.in_flight

    def acknowledged(self) -> None:
        """Note that the change in flight was acknowledged."""
        change = self.in_flight
        assert change is not None
        if change.token is None:
            del self.known[change.item_id]
        else:
            self.known[change.item_id] = change.token
        self.in_flight = None
        self.done += 1

    def problems(self, stored: dict[str, dict[str, Any]]) -> list[str]:
        """Return what is wrong with the items of this writer among `stored`, the metadata of each by id.

        The change in flight may have been made or not, but nothing else.
        """
        found = []
        pending = self.in_flight
        prefix = f"live/{self.name}/"
        for item_id in {*self.known, *(each for each in stored if each.startswith(prefix))}:
            row = stored.get(item_id)
            token = None if row is None else row.get("live_token")
            allowed: set[Any] = {self.known.get(item_id)}
            if pending is not None and pending.item_id == item_id:
                allowed.add(pending.token)
            if token not in allowed:
                found.append(f"{item_id} has the token {token}, not one of {allowed}")
            elif row is not None and row.get("price") != price_of(str(token)):
                found.append(f"{item_id} has the price {row.get('price')} of another token")
        return found

    def settle(self, stored: dict[str, dict[str, Any]]) -> None:
        """Take over what became of the change in flight."""
        change, self.in_flight = self.in_flight, None
        if change is None:
            return
        row = stored.get(change.item_id)
        if row is None:
            self.known.pop(change.item_id, None)
        else:
            self.known[change.item_id] = row["live_token"]
