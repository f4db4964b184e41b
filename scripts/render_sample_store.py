"""Render the Sample Store: physically based photos of procedurally modelled products, with manifest and ground truth.

Needs Blender as a Python module (`pip install bpy==5.0.1`, Python 3.11) for rendering; --manifest does not need it.

    python scripts/render_sample_store.py --manifest --out DIR             manifest.csv, topics.tsv, *.trec
    python scripts/render_sample_store.py --manifest --rendered --out DIR  the same, for existing photos only
    python scripts/render_sample_store.py --out DIR --shard 1/2            every second product's photos (resumable)
    python scripts/render_sample_store.py --out DIR --only mug-003-2       one photo, from its seed
    python scripts/render_sample_store.py --out DIR --preview mug          a type's contact sheet and its defects
"""

import argparse
import logging
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent))

from contact_sheet import write_sheet
from sample_store import catalogue
from sample_store.products import load_types
from sample_store.spec import Spec

if TYPE_CHECKING:
    from sample_store.studio import Shot


def shot(photo: catalogue.Photo) -> "Shot":
    """Return the photo's shot: the first on white, others on a colour or in a room, each from a different angle."""
    from sample_store.studio import Shot  # imports Blender, which --manifest does not need

    spec, view = photo.spec, photo.view
    product_type = load_types("train")[spec.type]
    rng = random.Random(f"shot {spec.seed} {view}")
    flip = 1 if not product_type.flip or random.Random(f"flip {spec.seed}").random() < 0.5 else -1
    room_second = int(spec.product_id.rsplit("-", 1)[1]) % 2 == 0
    order = ("white", "room", "pastel") if room_second else ("white", "pastel", "room")
    focal = (rng.uniform(60, 75), rng.uniform(45, 55), rng.uniform(80, 100))[(view - 1) % 3]
    return Shot(
        background=order[(view - 1) % 3],
        azimuth=flip * rng.uniform(*product_type.azimuths[(view - 1) % len(product_type.azimuths)]),
        elevation=rng.uniform(*product_type.elevations[(view - 1) % len(product_type.elevations)]),
        focal_mm=focal,
        pastel=rng.choice(product_type.pastels),
        seed=rng.getrandbits(31),
    )


def render_product(
    photos: Sequence[catalogue.Photo], out: Path, quality: int
) -> tuple[list[float], list[str]]:
    """Model one product and render its photos; return seconds per photo and the names of floating parts."""
    from sample_store import check, studio
    from sample_store.mesh import Kit

    spec: Spec = photos[0].spec
    studio.clear()
    kit = Kit(spec)
    product_type = load_types("train")[spec.type]
    begin = time.perf_counter()
    product_type.build(kit, spec, random.Random(f"build {spec.seed}"))
    seconds = [time.perf_counter() - begin]
    scene = studio.Studio(kit.parts, kit.points(), product_type.mount)
    floating = check.floating_parts(kit.parts, scene.radius * 0.006)
    for photo in photos:
        begin = time.perf_counter()
        scene.photograph(shot(photo), out / photo.image, quality)
        seconds.append(time.perf_counter() - begin)
    return seconds, floating


def group(photos: Sequence[catalogue.Photo]) -> list[list[catalogue.Photo]]:
    """Return the photos by product, in order."""
    products: dict[str, list[catalogue.Photo]] = {}
    for photo in photos:
        products.setdefault(photo.spec.product_id, []).append(photo)
    return list(products.values())


def preview(args: argparse.Namespace) -> None:
    """Render some products of one type in three views each, and write their contact sheet."""
    specs = catalogue.products(args.count, args.split, args.seed, [args.preview])[args.first :]
    paths, labels = [], []
    for spec in specs:
        photos = [
            catalogue.Photo(f"{spec.product_id}-{view}", spec, view) for view in range(1, args.views + 1)
        ]
        for photo in photos:
            (args.out / photo.image).unlink(missing_ok=True)
        seconds, floating = render_product(photos, args.out, args.quality)
        spent = " ".join(f"{s:.2f}" for s in seconds)
        logging.info("%s  %s | build+views %s s%s", spec.product_id, catalogue.title(spec), spent,
                     f" | FLOATING: {', '.join(floating)}" if floating else "")  # fmt: skip
        paths += [args.out / photo.image for photo in photos]
        labels += [f"{photo.item_id} {spec.shape} | {catalogue.title(spec)}" for photo in photos]
    target = args.out / f"sheet-{args.preview.replace(' ', '-')}.png"
    columns = args.views * (1 if args.views > 2 and len(specs) < 3 else 2)
    write_sheet(paths, labels, columns, target)
    logging.info("contact sheet: %s", target)


def render(args: argparse.Namespace) -> None:
    """Render every missing photo of the selection."""
    photos_to_render = catalogue.photos(catalogue.products(args.products, args.split, args.seed, args.types))
    if args.only:
        photos_to_render = [photo for photo in photos_to_render if photo.item_id in args.only]
        if not photos_to_render:
            raise SystemExit(f"no photo {args.only[0]!r} among {args.products} products")
    part, parts = (int(n) for n in args.shard.split("/"))
    todo = [
        [p for p in g if not (args.out / p.image).exists()]
        for g in group(photos_to_render)[part - 1 :: parts]
    ]
    todo = [g for g in todo if g]
    total, done, begin = sum(map(len, todo)), 0, time.perf_counter()
    logging.info("%d photos to render", total)
    for photos in todo:
        _, floating = render_product(photos, args.out, args.quality)
        done += len(photos)
        if floating:
            logging.warning("%s: floating parts: %s", photos[0].spec.product_id, ", ".join(floating))
        logging.info(
            "%d/%d  %.2f s a photo  %s", done, total, (time.perf_counter() - begin) / done, photos[-1].item_id
        )


def main() -> None:
    """Run the selected command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="the store's folder")
    parser.add_argument("--products", type=int, default=500)
    parser.add_argument("--split", choices=catalogue.SPLITS, default="shop")
    parser.add_argument("--types", nargs="*", default=[])
    parser.add_argument("--only", nargs="*", default=[], metavar="ID", help="render these photos only")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=384, help="side in pixels")
    parser.add_argument("--samples", type=int, default=6, help="paths per pixel, before denoising")
    parser.add_argument("--quality", type=int, default=87, help="JPEG quality")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--shard", default="1/1", metavar="I/N", help="render every Nth product from the Ith on"
    )
    parser.add_argument(
        "--manifest", action="store_true", help="write manifest and ground truth; render nothing"
    )
    parser.add_argument("--rendered", action="store_true", help="list only photos that exist in the folder")
    parser.add_argument("--preview", metavar="TYPE", help="render a contact sheet of this type")
    parser.add_argument("--count", type=int, default=8, help="products in the preview")
    parser.add_argument("--first", type=int, default=0, help="skip this many products in the preview")
    parser.add_argument("--views", type=int, default=3, help="views of each product in the preview")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.manifest:
        photos = catalogue.photos(catalogue.products(args.products, args.split, args.seed, args.types))
        if args.rendered:
            photos = [photo for photo in photos if (args.out / photo.image).exists()]
        catalogue.write_manifest(photos, args.out / "manifest.csv")
        catalogue.write_ground_truth(catalogue.read_manifest(args.out / "manifest.csv"), args.out)
        logging.info("%d photos of %d products", len(photos), len({p.spec.product_id for p in photos}))
        return
    from sample_store import studio

    _quiet()
    studio.start(args.size, args.samples, args.threads)
    if args.preview:
        preview(args)
    else:
        render(args)


def _quiet() -> None:
    """Discard Blender's output on stdout; the log stays on stderr."""
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    main()
