"""Names of columns without their spelling: "Image Src", "image_src" and "g:image-src" are one."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_SEPARATORS = re.compile(r"[^\w]+|_+")


@lru_cache(maxsize=10_000)
def plain_name(heading: str) -> str:
    """Return a heading in lower case with single underscores between its words, without a "g:" in front."""
    name = unicodedata.normalize("NFKC", heading[:200]).casefold().strip()
    return _SEPARATORS.sub("_", name.removeprefix("g:")).strip("_")


KNOWN_NAMES = frozenset(
    (
        "id", "item_id", "sku", "handle", "image", "images", "image_src", "image_url", "image_link", "image_path",
        "base_image", "file", "filename", "path", "url", "link", "title", "name", "product_name", "product_title",
        "description", "price", "regular_price", "sale_price", "variant_sku", "variant_price", "brand", "vendor",
        "category", "categories", "product_type", "gtin", "ean", "upc", "mpn", "availability", "additional_images",
        "additional_image_link", "colour", "color", "picture", "photo", "embedding",
    )
)  # fmt: skip
"""Plain names that make a row look like a header."""
