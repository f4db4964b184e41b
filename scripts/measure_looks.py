"""Measure the effect of emphasis on colour, shape and pattern on the Sample Store.

    python scripts/measure_looks.py [--half both|first|second] [--json]

The constants of `imgsearch/vision/looks.py` were tuned on the first half of the products; the second half is for
reporting. The halves divide the queries by every second product; all photos are candidates except those of the
query's own product, which would match in colour trivially.

type+color P@5   share of the five nearest with the query's type and colour family
type P@5         with the query's type only: the cost of emphasis
best possible    the same measure for a perfect ranking; some products have fewer than five matches

A colour family groups colour names (navy is blue, silver grey, gold yellow, olive green, copper orange). Each is
measured with the whole `lite` embedding, which includes a colour block, and with its first 384 components only, which
represent the kind of object. Differences have 95% intervals (2,000 paired bootstrap samples of products).
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from imgsearch.core.query import Emphasis
from imgsearch.demo import sample_store
from imgsearch.encoders import load_encoder
from imgsearch.vision.images import decode_image
from imgsearch.vision.looks import COLOR, LOOK_DIM, color_look, describe, emphasised_scores, same_color

FAMILIES = {"navy": "blue", "silver": "grey", "gold": "yellow", "olive": "green", "copper": "orange"}
PICKED = {
    "red": "#c4202c",
    "blue": "#2850b4",
    "green": "#32883c",
    "yellow": "#e8bc30",
    "brown": "#7d4e2d",
    "black": "#1a1a1c",
    "white": "#f2f2f2",
    "grey": "#85878a",
    "pink": "#f0a5be",
    "teal": "#197d7d",
}
"""A typical RGB value for each colour name, not taken from the photos."""
MEANING = 384
DEPTH = 5
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Photos:
    """The Sample Store's rows, embeddings and looks."""

    def __init__(self) -> None:
        store = sample_store()
        self.rows = pd.read_csv(store.manifest)
        encoder = load_encoder("lite")
        path = store.embeddings_of(encoder.id)
        if path is None:
            raise SystemExit(
                "measure_looks: the shipped embeddings belong to another encoder; run embed_sample_store.py."
            )
        self.encoder = encoder
        self.embeddings = {"lite": np.load(path).astype(np.float32)}
        self.embeddings["lite, what alone"] = _unit(self.embeddings["lite"][:, :MEANING])
        images = (
            decode_image(store.folder / name, target_px=encoder.input_px) for name in self.rows["image"]
        )
        self.looks: Floats = np.array([describe(image).vector for image in images])
        self.type = self.rows["type"].to_numpy()
        self.color = self.rows["colour"].replace(FAMILIES).to_numpy()
        self.pattern = self.rows["pattern"].to_numpy()
        self.product = pd.factorize(self.rows["product_id"])[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--half", choices=("both", "first", "second"), default="second", help="which queries")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    photos = Photos()
    chosen = {"both": (0, 1), "first": (0,), "second": (1,)}[options.half]
    queries = np.flatnonzero(np.isin(photos.product % 2, chosen))
    result = {
        "half": options.half,
        "queries": len(queries),
        "items": {name: _items(photos, rows, queries) for name, rows in photos.embeddings.items()},
        "words": {name: _words(photos, rows) for name, rows in photos.embeddings.items()},
        "same_color": _same_color(photos, queries),
    }
    print(json.dumps(result, indent=2) if options.json else _in_words(result))


def _items(photos: Photos, rows: Floats, queries: NDArray[np.intp]) -> dict[str, Any]:
    """Return the measures of search by each query item, per slider and strength."""
    same_type = photos.type[queries, None] == photos.type[None]
    targets = {
        "color": same_type & (photos.color[queries, None] == photos.color[None]),
        "shape": same_type,
        "pattern": photos.pattern[queries, None] == photos.pattern[None],
    }
    own = photos.product[queries, None] == photos.product[None]
    scores = rows[queries] @ rows.T
    report: dict[str, Any] = {}
    for slider, relevant in targets.items():
        counted = (
            photos.pattern[queries] != "plain" if slider == "pattern" else np.ones(len(queries), np.bool_)
        )
        possible = np.minimum((relevant & ~own).sum(axis=1), DEPTH) / DEPTH
        values = {}
        for strength in STRENGTHS:
            emphasis = Emphasis(**{slider: strength})
            ranked = np.stack(
                [
                    emphasised_scores(line, photos.looks, photos.looks[query], emphasis)
                    for line, query in zip(scores, queries, strict=True)
                ]
            )
            top = np.argsort(np.where(own, np.inf, -ranked), axis=1, kind="stable")[:, :DEPTH]
            values[strength] = [
                np.take_along_axis(mask, top, 1).mean(axis=1)[counted] for mask in (relevant, same_type)
            ]
        plain = values[0.0][0]
        report[slider] = {
            "queries": int(counted.sum()),
            "best possible": round(float(possible[counted].mean()), 3),
            "by strength": {
                str(strength): {
                    "P@5": round(float(hit.mean()), 3),
                    "gain": _interval(hit - plain, photos.product[queries][counted]),
                    "type P@5": round(float(of_type.mean()), 3),
                }
                for strength, (hit, of_type) in values.items()
            },
        }
    return report


def _words(photos: Photos, rows: Floats) -> dict[str, Any]:
    """Return the type+color P@5 of a type's name combined with a picked colour."""
    types = sorted(set(photos.type))
    texts = photos.encoder.encode_texts(types)[:, : rows.shape[1]]
    cases = [
        (number, color)
        for number, kind in enumerate(types)
        for color in PICKED
        if ((photos.type == kind) & (photos.color == color)).sum() >= DEPTH
    ]
    report = {}
    for strength in STRENGTHS:
        found = []
        for number, color in cases:
            look = np.zeros(LOOK_DIM, np.float32)
            look[COLOR] = color_look(PICKED[color])
            scores = emphasised_scores(rows @ texts[number], photos.looks, look, Emphasis(color=strength))
            top = np.argsort(-scores, kind="stable")[:DEPTH]
            found.append(((photos.type[top] == types[number]) & (photos.color[top] == color)).mean())
        report[str(strength)] = round(float(np.mean(found)), 3)
    return {"queries": len(cases), "P@5 by strength": report}


def _same_color(photos: Photos, queries: NDArray[np.intp]) -> dict[str, float]:
    """Return how well the "same colour" toggle separates photos of other products by colour family."""
    kept = np.stack([same_color(photos.looks, photos.looks[query]) for query in queries])
    right = photos.color[queries, None] == photos.color[None]
    others = photos.product[queries, None] != photos.product[None]
    return {
        "precision": round(float(right[kept & others].mean()), 3),
        "recall": round(float(kept[right & others].mean()), 3),
        "share of all": round(float(right[others].mean()), 3),
    }


def _interval(differences: NDArray[Any], products: NDArray[Any]) -> list[float]:
    """Return the 95% interval of a mean difference, by paired bootstrap clustered by product."""
    groups = pd.DataFrame({"product": products, "value": differences}).groupby("product")["value"]
    sums, counts = groups.sum().to_numpy(), groups.count().to_numpy()
    drawn = np.random.default_rng(0).integers(0, len(sums), (2000, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return [round(float(value), 3) for value in np.percentile(means, [2.5, 97.5])]


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _in_words(result: dict[str, Any]) -> str:
    lines = [
        f"{result['queries']} photos of the {result['half']} half as queries, P@5 (95% interval of the gain)"
    ]
    for name, sliders in result["items"].items():
        for slider, report in sliders.items():
            lines.append(
                f"{name}: {slider} emphasis, {report['queries']} queries, best {report['best possible']}"
            )
            lines += [
                f"  {strength:>5}  {entry['P@5']:.3f}  ({entry['gain'][0]:+.3f} {entry['gain'][1]:+.3f})"
                f"  type {entry['type P@5']:.3f}"
                for strength, entry in report["by strength"].items()
            ]
    for name, report in result["words"].items():
        values = "  ".join(
            f"{strength}: {value:.3f}" for strength, value in report["P@5 by strength"].items()
        )
        lines.append(f"{name}: a type's name and a picked colour, {report['queries']} queries\n  {values}")
    lines.append(
        "same colour: " + ", ".join(f"{name} {value}" for name, value in result["same_color"].items())
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
