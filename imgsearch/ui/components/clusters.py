"""The groups of similar photos and the outliers of the Explore page."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from imgsearch.app.service import SearchService
from imgsearch.explore.explorer import ClusterCard
from imgsearch.ui.components.blocks import draw_section
from imgsearch.ui.components.gallery import Tile, draw_gallery, item_tiles
from imgsearch.ui.state.exploring import Exploring, handle_tile
from imgsearch.ui.state.session import Session

__all__ = ["cluster_tiles", "draw_clusters", "draw_outliers"]

OUTLIERS = 12


def draw_clusters(
    service: SearchService, session: Session, exploring: Exploring, cards: Sequence[ClusterCard]
) -> None:
    """Draw a tile for each group."""
    draw_section(
        "Groups of similar photos",
        "Found by k-means clustering. Each tile shows the most central photo, and the words that describe the group "
        "best. Click a group to see its photos.",
    )
    draw_gallery(
        cluster_tiles(cards),
        key="cluster_gallery",
        list_id=f"groups {len(cards)}",
        handled=exploring.handled,
        label=f"{len(cards)} groups, the largest first",
        scroll=False,
        on_event=partial(handle_tile, service, session, exploring, "groups"),
    )


def cluster_tiles(cards: Sequence[ClusterCard]) -> list[Tile]:
    """Return a tile for each group: its medoid, name, size and further words."""
    tiles = item_tiles([card.medoid for card in cards])
    return [
        tile
        | {
            "id": str(card.number),
            "title": card.name,
            "open_label": f"Show the {card.size:,} photos of the group {card.name}",
            "lines": [f"{card.size:,} photos", " · ".join(card.words[2:])][: 2 if len(card.words) > 2 else 1],
        }
        for tile, card in zip(tiles, cards, strict=True)
    ]


def draw_outliers(service: SearchService, session: Session, exploring: Exploring) -> None:
    """Draw the photos that are least similar to all others."""
    items = service.explorer.outliers(OUTLIERS)
    draw_section(
        "Outliers", "The photos with the least similar nearest neighbours: rare products, and faulty photos."
    )
    draw_gallery(
        item_tiles(items),
        key="outlier_gallery",
        list_id="outliers",
        handled=exploring.handled,
        label=f"{len(items)} outliers",
        scroll=False,
        on_event=partial(handle_tile, service, session, exploring, "photos"),
    )
