"""Generated product-like photos for the tests: one coloured shape on a light ground, each visibly different.

Output depends on the arguments only: the same call draws the same pixels on every machine.
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = {
    "red": (200, 30, 40),
    "green": (30, 140, 60),
    "blue": (30, 70, 190),
    "yellow": (235, 200, 40),
    "purple": (120, 40, 150),
    "black": (25, 25, 25),
}
SHAPES = ("mug", "lamp", "chair", "ring")
COLUMNS = ("image", "title", "category", "colour", "price", "in_stock")


def draw_photo(shape: str, colour: str, variant: int = 0, size_px: int = 240) -> Image.Image:
    """Return a photo of one of `SHAPES` in one of `COLOURS`; `variant` moves and scales it a little."""
    chance = random.Random(f"{shape}/{colour}/{variant}")
    ground = chance.randint(228, 250)
    image = Image.new("RGB", (size_px, size_px), (ground, ground, ground - chance.randint(0, 12)))
    draw = ImageDraw.Draw(image)
    fill = COLOURS[colour]
    dark = tuple(part * 2 // 3 for part in fill)
    unit = size_px / 10
    left, top = (chance.uniform(1.5, 2.5) * unit, chance.uniform(1.5, 2.5) * unit)
    side = chance.uniform(5, 6) * unit

    def box(x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
        return (left + x0 * side, top + y0 * side, left + x1 * side, top + y1 * side)

    draw.ellipse(box(-0.1, 0.9, 1.1, 1.1), fill=(ground - 35,) * 3)
    if shape == "mug":
        draw.ellipse(box(0.65, 0.3, 1.1, 0.75), outline=dark, width=int(unit / 2))
        draw.rectangle(box(0.1, 0.1, 0.8, 1.0), fill=fill)
        draw.ellipse(box(0.1, 0.0, 0.8, 0.2), fill=dark)
    elif shape == "lamp":
        draw.rectangle(box(0.46, 0.4, 0.54, 1.0), fill=dark)
        draw.polygon(
            [box(0.3, 0, 0, 0)[:2], box(0.7, 0, 0, 0)[:2], box(1, 0.5, 0, 0)[:2], box(0, 0.5, 0, 0)[:2]], fill
        )
        draw.ellipse(box(0.25, 0.93, 0.75, 1.05), fill=dark)
    elif shape == "chair":
        for x in (0.1, 0.8):
            draw.rectangle(box(x, 0.5, x + 0.1, 1.05), fill=dark)
        draw.rectangle(box(0.1, 0.0, 0.25, 0.6), fill=fill)
        draw.rectangle(box(0.1, 0.5, 0.9, 0.62), fill=fill)
    else:
        draw.ellipse(box(0.0, 0.0, 1.0, 1.0), outline=fill, width=int(unit))
    return image


def write_photos(folder: Path, variants: int = 2) -> list[str]:
    """Write `variants` photos of every shape in every colour as `<shape>/<colour>-<variant>.jpg`; return the ids.

    Beside the folder lies `metadata.csv` with the columns `COLUMNS`; a few prices are missing.
    """
    rows = []
    for shape in SHAPES:
        (folder / shape).mkdir(parents=True, exist_ok=True)
        for number, colour in enumerate(COLOURS):
            for variant in range(variants):
                item_id = f"{shape}/{colour}-{variant}.jpg"
                draw_photo(shape, colour, variant).save(folder / item_id, quality=90)
                price = "" if (number, variant) == (5, 1) else str(5 + 10 * number + 3 * variant)
                title = f"{colour.title()} {shape} no. {variant}"
                rows.append((item_id, title, shape, colour, price, "true" if number % 2 else "false"))
    with (folder.parent / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return sorted(row[0] for row in rows)
