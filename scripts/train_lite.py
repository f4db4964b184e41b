"""Train the `lite` encoder from local files, without downloads. Seeded; needs `pip install 'imgsearch[train]'`.

    python scripts/train_lite.py --data DIR --renderings DIR... --work DIR [--hold-out] [--out DIR]
    python scripts/train_lite.py --data DIR --work DIR --measure [--out DIR]     evaluate trained weights

--data has the folders `clothing` and `grocery`; --renderings are folders that `scripts/render_sample_store.py
--split train` made, with their manifests; --work caches cut-outs, teacher vectors and features,
so that an interrupted run resumes. --hold-out holds out half of the clothing's senders for evaluation.
"""

import argparse
import json
import logging
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lite_training import images, sentences, sources, texts
from lite_training.cutouts import cut_out_all, on_white
from lite_training.mask import train_mask
from lite_training.measures import measure

from imgsearch.encoders.lite import weights as lite_weights
from imgsearch.encoders.lite.backbone import Backbone
from imgsearch.encoders.lite.image_tower import ImageFeatures, MaskHead

STORE = Path(__file__).resolve().parent.parent / "imgsearch" / "data" / "sample_store"


def main() -> None:
    """Run the selected command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder of `clothing` and `grocery`")
    parser.add_argument(
        "--renderings", type=Path, nargs="*", default=[], help="folders of training renderings"
    )
    parser.add_argument("--work", type=Path, required=True, help="cache of cut-outs, vectors and features")
    parser.add_argument("--out", type=Path, default=lite_weights.FOLDER, help="output folder of the weights")
    parser.add_argument(
        "--hold-out", action="store_true", help="hold out half of the clothing's senders for evaluation"
    )
    parser.add_argument("--measure", action="store_true", help="only evaluate the weights in --out")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    args.work.mkdir(parents=True, exist_ok=True)
    if args.measure:
        from imgsearch.encoders import load_encoder

        lite_weights.FOLDER = args.out
        print(json.dumps(measure(load_encoder("lite"), args.data, args.work / "cutouts", STORE), indent=2))
        return
    began = time.monotonic()
    train(args)
    logging.info("trained in %.0f minutes", (time.monotonic() - began) / 60)


def train(args: argparse.Namespace) -> None:
    """Run the stages and write the weights."""
    backbone = Backbone(torch.device("cpu"))
    photos = list(sources.clothing(args.data / "clothing", hold_out=args.hold_out))
    paths = {p.thing.removeprefix("photo "): _photo(args.data, p) for p in photos}
    cut_out_all(paths, args.work / "cutouts")
    cut = {path.stem: path for path in sorted((args.work / "cutouts").glob("*.png"))}
    pictures = [
        *photos,
        *sources.cutouts(photos, lambda name: on_white(cut[name]) if name in cut else None),
        *sources.grocery(args.data / "grocery"),
        *(picture for folder in args.renderings for picture in sources.rendered(folder)),
    ]
    _print_sources(pictures)

    mask = _mask(args, backbone, photos, cut, paths)
    seen = _features(args.work / "features.npz", backbone, mask, pictures)
    tower, concepts = images.train_projection(images.Views(pictures, seen), backbone, mask)
    with torch.inference_mode():
        meanings = tower(torch.from_numpy(seen.features)).numpy()

    classes = sources.grocery_classes(args.data / "grocery")
    teacher = sentences.Teacher(args.work / "sentences.npz")
    corpus = sentences.make_corpus(teacher, classes)
    words = texts.make_vocabulary(corpus)
    text = texts.distil(words, corpus, teacher, len(concepts.directions), cache=args.work / "distilled.pt")
    text = texts.point_at_pictures(
        text, words, corpus, teacher, concepts, classes, pictures, meanings, tower.color_mean.numpy()
    )

    lite_weights.save_parts(args.out, "image.safetensors", tower.state_dict())
    parts = text.state_dict()
    tables = {key: parts.pop(key) for key in ("word.weight",)}
    lite_weights.save_parts(args.out, "words.safetensors", tables, ("word.weight",))
    lite_weights.save_parts(args.out, "text.safetensors", parts, ("group.weight",))
    (args.out / "vocabulary.txt").write_text("\n".join(words.words) + "\n", encoding="utf-8")
    for path in sorted(args.out.iterdir()):
        logging.info("%s: %.1f MB", path.name, path.stat().st_size / 1e6)


def _photo(data: Path, picture: sources.Picture) -> Path:
    return data / "clothing" / "images" / f"{picture.thing.removeprefix('photo ')}.jpg"


def _print_sources(pictures: list[sources.Picture]) -> None:
    counts = Counter(picture.source for picture in pictures if not picture.held_out)
    held_out = Counter(picture.source for picture in pictures if picture.held_out)
    print("Sources:")
    for name, licence in sources.LICENCES.items():
        count = f"{counts[name]:,} pictures" if name in counts else "no pictures"
        kept = f" ({held_out[name]:,} more held out)" if held_out[name] else ""
        print(f"  {name}: {licence}; {count}{kept}")


def _mask(
    args: argparse.Namespace,
    backbone: Backbone,
    photos: list[sources.Picture],
    cut: dict[str, Path],
    paths: dict[str, Path],
) -> MaskHead:
    held_out = {picture.thing.removeprefix("photo ") for picture in photos if picture.held_out}
    cutouts = [path for name, path in cut.items() if name not in held_out]
    first_views = [path for folder in args.renderings for path in sorted((folder / "images").glob("*-1.jpg"))]
    grounds = sorted((args.data / "grocery" / "train").rglob("*.jpg"))
    kept = args.work / "mask.pt"
    if kept.exists():
        head = MaskHead()
        head.load_state_dict(torch.load(kept, weights_only=True))
        return head.requires_grad_(requires_grad=False).eval()
    head = train_mask(backbone, cutouts, paths, first_views, grounds)
    torch.save(head.state_dict(), kept)
    return head


def _features(
    path: Path, backbone: Backbone, mask: MaskHead, pictures: list[sources.Picture]
) -> ImageFeatures:
    """Return the pictures' features; cached in `path` by picture name."""
    names = np.array([f"{p.source} {p.concept} {p.thing} {n}" for n, p in enumerate(pictures)])
    if path.exists():
        stored = np.load(path)
        if np.array_equal(stored["names"], names):
            return ImageFeatures(stored["features"].astype(np.float32), stored["shares"])
    seen = images.look(backbone, mask, pictures)
    np.savez(path, names=names, features=seen.features.astype(np.float16), shares=seen.shares)
    return seen


if __name__ == "__main__":
    main()
