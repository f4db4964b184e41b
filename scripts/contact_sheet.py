"""Write random photos of a manifest as one image, to check by eye that they match their titles and share one style.

    python scripts/contact_sheet.py --out contact-sheet.png [--store DIR] [--count 60] [--seed 1]

The same seed selects the same photos. DIR holds `manifest.csv` (columns image and title) and the photos it names.
"""

import argparse
import csv
import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

STORE = Path(__file__).resolve().parents[1] / "imgsearch" / "data" / "sample_store"


def write_sheet(
    paths: Sequence[Path], labels: Sequence[str], columns: int, target: Path, tile_px: int = 256
) -> None:
    """Write the photos as one PNG grid, row by row, with a label under each (truncated to fit)."""
    width, height = tile_px + 6, tile_px + 22
    sheet = Image.new("RGB", (columns * width, -(-len(paths) // columns) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (path, label) in enumerate(zip(paths, labels, strict=True)):
        x, y = (i % columns) * width, (i // columns) * height
        with Image.open(path) as photo:
            sheet.paste(photo.convert("RGB").resize((tile_px, tile_px), Image.Resampling.LANCZOS), (x, y))
        while label and draw.textlength(label) > tile_px - 6:
            label = label[:-1]
        draw.text((x + 3, y + tile_px + 4), label, fill="black")
    sheet.save(target)


def main() -> None:
    """Read the command line and write the sheet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--store", type=Path, default=STORE, help="folder of manifest.csv and its photos")
    parser.add_argument("--count", type=int, default=60, help="photos on the sheet")
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--tile", type=int, default=192, help="side of each photo in pixels")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    manifest = args.store / "manifest.csv"
    if not manifest.is_file():
        parser.error(f"{manifest} does not exist; pass the store's folder with --store")
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    chosen = random.Random(args.seed).sample(rows, min(args.count, len(rows)))
    paths = [args.store / row["image"] for row in chosen]
    write_sheet(paths, [row["title"] for row in chosen], args.columns, args.out, args.tile)
    print(f"{len(chosen)} of {len(rows)} photos -> {args.out}")


if __name__ == "__main__":
    main()
