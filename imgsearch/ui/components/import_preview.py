"""What was understood of files or a feed, before anything is imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imgsearch.core.column_values import plain_text
from imgsearch.ui.components.catalog_facts import KINDS
from imgsearch.ui.markup import draw_html
from imgsearch.ui.wording import counted

SHOWN_COLUMNS = 60
SHOWN_FAILURES = 50
EXAMPLES = 3
LONGEST_EXAMPLE = 60

FORMATS = {
    "manifest": "A table of photos",
    "shopify": "Shopify products",
    "woocommerce": "WooCommerce products",
    "google": "Google Merchant",
    "magento": "Magento products",
}


def draw_import_preview(preview: Mapping[str, Any]) -> None:
    """Draw a preview of `service.imports`: each feed with its columns, and the photos that no feed names."""
    feeds = preview["feeds"]
    loose = preview["photos"]
    if preview["rows"]:
        items = f"{counted(preview['items'], 'item', 'items')} of the catalog"
        described = counted(loose, "photo", "photos") if loose else items
        photos = f"{counted(preview['rows'], 'row', 'rows')} with values for {described}."
    elif not loose:
        photos = ""
    elif feeds:
        photos = f"{counted(loose, 'photo', 'photos')} that no row names: imported without metadata."
    else:
        photos = (
            f"{counted(loose, 'photo', 'photos')} without a table: their titles come from the file names."
        )
    draw_html("import_preview", feeds=[shown_feed(feed) for feed in feeds], photos=photos)


def import_label(preview: Mapping[str, Any]) -> str:
    """Return the words of the button that begins an import; "" where it would change nothing."""
    if count := products_of(preview):
        return f"Import {counted(count, 'photo', 'photos')}"
    return f"Change {counted(preview['items'], 'item', 'items')}" if preview["items"] else ""


def products_of(preview: Mapping[str, Any]) -> int:
    """Return how many photos an import would read."""
    return int(preview["photos"]) + sum(int(feed["photos"]) for feed in preview["feeds"])


def shown_feed(feed: Mapping[str, Any]) -> dict[str, Any]:
    """Return a feed's preview in words."""
    examples = _examples(feed["samples"])
    figures = [
        (_noun(feed["rows"], "row", "rows"), f"{feed['rows']:,}", False),
        (_noun(feed["products"], "product", "products"), f"{feed['products']:,}", False),
        (_noun(feed["photos"], "photo found", "photos found"), f"{feed['photos']:,}", False),
    ]
    if feed["rows_without_photo"]:
        count = feed["rows_without_photo"]
        figures.append((_noun(count, "row without a photo", "rows without a photo"), f"{count:,}", True))
    if feed["failed"]:
        figures.append(("cannot be imported", f"{feed['failed']:,}", True))
    return {
        "name": feed["name"].rsplit("/", 1)[-1],
        "words": _how_read(feed),
        "figures": figures,
        "columns": [_column(column, examples) for column in feed["columns"][:SHOWN_COLUMNS]],
        "notes": feed["notes"],
        "failed": counted(
            feed["failed"], "row or photo that cannot be imported", "rows or photos that cannot be imported"
        ),
        "failures": [_plain_failure(failure) for failure in feed["failures"][:SHOWN_FAILURES]],
    }


def _noun(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def _how_read(feed: Mapping[str, Any]) -> str:
    parts = [
        FORMATS.get(feed["format"], str(feed["format"])),
        str(feed["file_format"]),
        str(feed["encoding"]),
    ]
    return " · ".join(part for part in parts if part)


def _column(column: Mapping[str, Any], examples: Mapping[str, list[str]]) -> dict[str, str]:
    kind = KINDS.get(column["kind"], column["kind"])
    exceptions = ""
    if column["exceptions"]:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in column["reasons"].items())
        exceptions = f"{counted(column['exceptions'], 'value', 'values')} left out: {reasons}"
    mapped = column["mapped_to"]
    return {
        "name": column["name"],
        "kind": f"{kind} ({column['currency']})" if column["currency"] else kind,
        "exceptions": exceptions,
        "becomes": mapped or "–",
        "examples": ", ".join(examples.get(mapped, examples.get(column["name"], []))),
    }


def _examples(samples: list[Mapping[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for sample in samples:
        cells = {"id": sample["id"], "image": str(sample["image"]).rsplit("/", 1)[-1], **sample["metadata"]}
        for name, value in cells.items():
            text = plain_text(value)
            text = text if len(text) <= LONGEST_EXAMPLE else f"{text[: LONGEST_EXAMPLE - 1]}…"
            if text and len(found.setdefault(name, {})) < EXAMPLES:
                found[name][text] = None
    return {name: list(values) for name, values in found.items()}


def _plain_failure(failure: Mapping[str, str]) -> dict[str, str]:
    """Return a failure that names its file, not the server's folder."""
    return {"path": failure["path"].rsplit("/", 1)[-1], "reason": failure["reason"]}
