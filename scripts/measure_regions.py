"""Measure the quality of suggested boxes in photos of several objects.

    python scripts/measure_regions.py [--scenes 60] [--seed 7] [--photos FOLDER --sheet FILE.png] [--json FILE]

The objects are cut from Sample Store photos on white, so that their boxes are known:

scenes   two to four objects on one background (white, colours, a gradient), at random sizes and positions
boards   two to four tiles, each with its own background and a centred object
alone    unmodified photos: one object on white

recall   share of the objects for which one of the (at most five) boxes has an intersection over union of at least 0.5
first    the same for the first box only, in photos of one object

With `--photos`, it also draws a sheet of that folder's photos with their boxes.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from imgsearch.core.query import Region
from imgsearch.demo import sample_store
from imgsearch.vision.images import decode_image
from imgsearch.vision.saliency import suggested_regions

GROUNDS = ("#ffffff", "#e9e4da", "#c9d6df", "#f3c9c5", "#d8d2f0", "#8a9a8b", "#b08d6a", "gradient")
TILES = (
    ((0, 0, 0.5, 1), (0.5, 0, 1, 1)),
    ((0, 0, 1, 0.5), (0, 0.5, 0.5, 1), (0.5, 0.5, 1, 1)),
    ((0, 0, 0.5, 0.5), (0.5, 0, 1, 0.5), (0, 0.5, 0.5, 1), (0.5, 0.5, 1, 1)),
)
FITS = 0.5
MOST = 5
GAP_PX = 14
SHEET_PX, SHEET_COLUMNS, SHEET_PHOTOS = 260, 6, 30
OUTLINES = ("#e02020", "#20c040", "#3060ff", "#f0c000", "#e020e0")


@dataclass(frozen=True)
class Thing:
    """A photo on white, and the box of its object in pixels."""

    photo: Image.Image
    box: tuple[int, int, int, int]

    def on(self, ground: Image.Image, left: int, top: int, width: int, height: int) -> Region:
        """Paste the object on a background, with white as transparent, and return its box."""
        cut = self.photo.crop(self.box).resize((width, height), Image.Resampling.LANCZOS)
        light = np.clip(np.asarray(cut, np.float32) / 238, 0, 1)  # the photos' white is a little grey
        place = (left, top, left + width, top + height)
        below = np.asarray(ground.crop(place), np.float32)
        ground.paste(Image.fromarray((light * below).astype(np.uint8)), (left, top))
        return Region(*(edge / size for edge, size in zip(place, ground.size * 2, strict=True)))


Case = tuple[Image.Image, list[Region]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=60, help="images of each kind")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--photos", type=Path, help="a folder of photos to draw boxes on")
    parser.add_argument("--sheet", type=Path, default=Path("regions.png"), help="the image file to write")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    things = _things()
    cases = {
        "scenes": [_scene(rng, things, number) for number in range(options.scenes)],
        "boards": [_board(rng, things, number) for number in range(options.scenes)],
        "alone": [_alone(thing) for thing in rng.sample(things, min(options.scenes, len(things)))],
    }
    result = {name: _measure(kind) for name, kind in cases.items()}
    print(f"{'kind':8}{'things':>8}{'recall':>8}{'first':>8}{'boxes':>8}{'ms':>8}")
    for name, row in result.items():
        print(
            f"{name:8}{row['things']:8}{row['recall']:8.3f}{row['first']:8.3f}{row['boxes']:8.1f}{row['ms']:8.1f}"
        )
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if options.photos:
        _draw_sheet(options.photos, options.sheet, rng)
        print(f"wrote the photos with their boxes to {options.sheet}")


def _things() -> list[Thing]:
    """Return the store's objects on a white background with an unambiguous box."""
    store, found = sample_store(), []
    with store.manifest.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        photo = decode_image(store.folder / row["image"])
        pixels = np.asarray(photo, np.int16)
        edge = np.concatenate(
            [pixels[:6], pixels[-6:], pixels[:, :6].swapaxes(0, 1), pixels[:, -6:].swapaxes(0, 1)]
        )
        if edge.min() < 228:
            continue
        differs = (pixels.min(axis=2) < 185) | (np.ptp(pixels, axis=2) > 28)
        down, across = np.nonzero(ndimage.binary_opening(differs))
        if len(down) > 0.04 * differs.size:
            found.append(
                Thing(photo, (int(across.min()), int(down.min()), int(across.max()) + 1, int(down.max()) + 1))
            )
    return found


def _scene(rng: random.Random, things: list[Thing], number: int) -> Case:
    width, height = rng.choice(((800, 600), (600, 800), (800, 800)))
    ground = _ground(GROUNDS[number % len(GROUNDS)], width, height)
    wanted, placed, boxes = 2 + number % 3, [], []
    for _ in range(300):
        if len(placed) == wanted:
            break
        thing = rng.choice(things)
        sides = np.subtract(thing.box[2:], thing.box[:2])
        size = rng.uniform(0.45, 0.8) * min(width, height) / (1.0 if wanted == 2 else 1.35)
        wide, high = (int(side) for side in sides * size / sides.max())
        if min(wide, high) < 30:
            continue
        left, top = rng.randint(8, width - wide - 8), rng.randint(8, height - high - 8)
        here = (left - GAP_PX, top - GAP_PX, left + wide + GAP_PX, top + high + GAP_PX)
        if any(here[0] < b[2] and b[0] < here[2] and here[1] < b[3] and b[1] < here[3] for b in boxes):
            continue
        boxes.append((left, top, left + wide, top + high))
        placed.append(thing.on(ground, left, top, wide, high))
    return ground, placed


def _board(rng: random.Random, things: list[Thing], number: int) -> Case:
    tiles = TILES[number % len(TILES)]
    width, height = (800, 400) if len(tiles) == 2 else (800, 800)
    board, placed = Image.new("RGB", (width, height)), []
    for (left, top, right, bottom), color in zip(tiles, rng.sample(GROUNDS[:-1], len(tiles)), strict=True):
        x, y, wide, high = (
            int(left * width), int(top * height), int((right - left) * width), int((bottom - top) * height)
        )  # fmt: skip
        board.paste(color, (x, y, x + wide, y + high))
        thing = rng.choice(things)
        sides = np.subtract(thing.box[2:], thing.box[:2])
        across, down = (int(side) for side in sides * min(0.85 * wide / sides[0], 0.85 * high / sides[1]))
        placed.append(thing.on(board, x + (wide - across) // 2, y + (high - down) // 2, across, down))
    return board, placed


def _alone(thing: Thing) -> Case:
    sides = thing.photo.size * 2
    return thing.photo, [Region(*(edge / side for edge, side in zip(thing.box, sides, strict=True)))]


def _ground(color: str, width: int, height: int) -> Image.Image:
    if color != "gradient":
        return Image.new("RGB", (width, height), color)
    levels = np.repeat(np.linspace(170, 245, height).astype(np.uint8)[:, None], width, axis=1)
    return Image.fromarray(np.repeat(levels[..., None], 3, axis=2))


def _measure(cases: list[Case]) -> dict[str, float]:
    things = hits = first = boxes = 0
    spent = 0.0
    for photo, truth in cases:
        started = time.thread_time()
        found = suggested_regions(photo, MOST)
        spent += time.thread_time() - started
        things += len(truth)
        boxes += len(found)
        hits += sum(any(_fit(box, real) >= FITS for box in found) for real in truth)
        first += bool(found) and any(_fit(found[0], real) >= FITS for real in truth)
    return {
        "things": things,
        "recall": round(hits / things, 3),
        "first": round(first / len(cases), 3),
        "boxes": round(boxes / len(cases), 2),
        "ms": round(spent / len(cases) * 1000, 1),
    }


def _fit(first: Region, second: Region) -> float:
    """Return the intersection over union of two boxes."""
    wide = min(first.right, second.right) - max(first.left, second.left)
    high = min(first.bottom, second.bottom) - max(first.top, second.top)
    if wide <= 0 or high <= 0:
        return 0.0
    whole = sum((box.right - box.left) * (box.bottom - box.top) for box in (first, second))
    return wide * high / (whole - wide * high)


def _draw_sheet(folder: Path, target: Path, rng: random.Random) -> None:
    paths = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")
    )
    chosen = sorted(rng.sample(paths, min(SHEET_PHOTOS, len(paths))))
    rows = -(-len(chosen) // SHEET_COLUMNS)
    sheet = Image.new("RGB", (SHEET_COLUMNS * SHEET_PX, rows * SHEET_PX), "#808080")
    for number, path in enumerate(chosen):
        photo = decode_image(path, target_px=SHEET_PX)
        found = suggested_regions(photo, MOST)
        photo.thumbnail((SHEET_PX - 4, SHEET_PX - 4))
        pen = ImageDraw.Draw(photo)
        for place, box in enumerate(found):
            edges = [edge * side for edge, side in zip(box, photo.size * 2, strict=True)]
            pen.rectangle(edges, outline=OUTLINES[place], width=3)
            pen.text((edges[0] + 5, edges[1] + 4), str(place + 1), fill=OUTLINES[place])
        sheet.paste(photo, (number % SHEET_COLUMNS * SHEET_PX, number // SHEET_COLUMNS * SHEET_PX))
    sheet.save(target)


if __name__ == "__main__":
    main()
