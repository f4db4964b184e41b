"""Own the list of products, photos and ground truth, all of it from seeds. It knows no Blender.

A product depends on (split, seed, type, number) alone, so any single photo can be made again without the others.
"""

import csv
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sample_store.palette import NATURAL_COLOUR, PARTNERS
from sample_store.products import load_types
from sample_store.spec import Finish, ProductType, Spec

COLUMNS = (
    "id", "image", "title", "product_id", "view", "type", "category",
    "material", "colour", "pattern", "style", "price", "brand",
)  # fmt: skip
BRANDS = (
    "Fernby", "Oskra", "Lumavik", "Haldane & Wren", "Torvia", "Pebblecote",
    "Marrowick", "Nordlyng", "Calloway Mill", "Zephra", "Brindlehof", "Askett",
)  # fmt: skip
# What a shopper means by a broad word: "wood desk" may be oak. A word that is not here means itself.
FAMILIES = {
    "wood": {"wood", "oak", "walnut", "pine", "beech", "ash", "bamboo", "ebony"},
    "metal": {"metal", "steel", "chrome", "aluminium", "brass", "gold", "copper", "iron"},
}
TOPIC_MIN_PHOTOS = 3  # a text query is asked only where this many photos have everything that it names
PATTERN_WORD = {"stripes": "striped", "bands": "striped", "checks": "checked", "dots": "dotted"}
SPLITS = ("shop", "train")


@dataclass(frozen=True)
class Photo:
    """One photo: its id, its product, and the number of its view (from 1)."""

    item_id: str
    spec: Spec
    view: int

    @property
    def image(self) -> str:
        """Return the photo's path below the store's folder."""
        return f"images/{self.item_id}.jpg"


def _cards(product_type: ProductType, rng: random.Random, count: int) -> list[Spec]:
    """Deal `count` specifications: silhouettes, finishes, colours and patterns in turn, so that all appear evenly.

    The first specifications are the same for every count.
    """
    shapes = list(product_type.shapes)
    rng.shuffle(shapes)
    finishes: list[Finish] = []
    colours: dict[str, list[str]] = {}
    patterns: dict[str, list[str]] = {}
    accents: dict[str, list[str]] = {}
    specs = []
    for number in range(count):
        shape = shapes[number % len(shapes)]
        allowed = [f for f in product_type.finishes if not f.shapes or shape in f.shapes]
        if not allowed:
            raise ValueError(f"product type {product_type.name!r}: no finish allows shape {shape!r}")
        finish = next((f for f in finishes if f in allowed), None)
        if finish is None:
            fresh = [f for f in product_type.finishes for _ in range(f.weight)]
            rng.shuffle(fresh)
            finishes += fresh
            finish = next(f for f in finishes if f in allowed)
        finishes.remove(finish)
        if finish.colours:
            deck = colours.setdefault(finish.material, [])
            if not deck:
                deck.extend(rng.sample(finish.colours, len(finish.colours)))
            colour = deck.pop()
        else:
            colour = NATURAL_COLOUR[finish.material]
        deck = patterns.setdefault(finish.material, [])
        if not deck:
            others = [p for p in finish.patterns if p != "plain"]
            plain = ["plain"] * max(2, len(others)) if "plain" in finish.patterns else []
            deck.extend(rng.sample(plain + others, len(plain + others)))
        pattern = deck.pop()
        named = product_type.accents
        choices = named.get(shape, ()) if isinstance(named, dict) else named
        hand = accents.setdefault(shape if isinstance(named, dict) else "", [])
        if not hand:
            hand.extend(rng.sample(choices, len(choices)))
        specs.append(
            Spec(
                product_id=f"{product_type.name.replace(' ', '-')}-{number + 1:03d}",
                type=product_type.name,
                seed=rng.getrandbits(31),
                shape=shape,
                style=product_type.shapes[shape],
                material=finish.material,
                colour=colour,
                pattern=pattern,
                colour2=rng.choice(PARTNERS.get(colour, ("white",))),
                accent=hand.pop() if hand else "",
            )
        )
    return specs


def products(count: int, split: str = "shop", seed: int = 1, types: Sequence[str] = ()) -> list[Spec]:
    """Return `count` products spread evenly over the split's types (all of them when none is named).

    Raises ValueError for an unknown split or type. The train split never repeats a shop product: other seeds and ids.
    """
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; use one of {', '.join(SPLITS)}")
    known = load_types(split)
    unknown = [t for t in types if t not in known]
    if unknown:
        raise ValueError(f"no product type {unknown[0]!r}; known: {', '.join(known)}")
    chosen = [t for t in known.values() if not types or t.name in types]
    share, rest = divmod(count, len(chosen))
    out: list[Spec] = []
    for i, product_type in enumerate(chosen):
        rng = random.Random(f"{split} {seed} {product_type.name}")
        for spec in _cards(product_type, rng, share + (i < rest)):
            name = spec.product_id if split == "shop" else f"{split}-{spec.product_id}"
            out.append(Spec(**{**spec.__dict__, "product_id": name}))
    return out


def photos(specs: Iterable[Spec]) -> list[Photo]:
    """Return the products' photos: two of each, three of two products in five."""
    out = []
    for spec in specs:
        number = int(spec.product_id.rsplit("-", 1)[1])
        views = 3 if number % 5 in (0, 2) else 2
        out += [Photo(f"{spec.product_id}-{view}", spec, view) for view in range(1, views + 1)]
    return out


def title(spec: Spec) -> str:
    """Return the product's title as a shop writes it."""
    product_type = load_types("train")[spec.type]
    template = product_type.title if isinstance(product_type.title, str) else product_type.title[spec.shape]
    natural = NATURAL_COLOUR.get(spec.material) == spec.colour
    words = [] if natural else [spec.colour]
    words += [PATTERN_WORD[spec.pattern]] if spec.pattern != "plain" else []
    text = template.format(
        name=spec.type,
        finish=" ".join([*words, spec.material]),
        colour=spec.colour,
        material=spec.material,
        pattern=PATTERN_WORD.get(spec.pattern, "plain"),
        accent=spec.accent,
        style=spec.style,
        shape=spec.shape,
    )
    return text[:1].upper() + text[1:]


def row(photo: Photo) -> dict[str, str]:
    """Return a photo's manifest row."""
    spec = photo.spec
    product_type = load_types("train")[spec.type]
    rng = random.Random(f"shop {spec.seed}")
    low, high = product_type.price
    price = low * (high / low) ** rng.random()
    price = round(price / 5) * 5 - 0.05 if price > 60 else round(price) - 0.05
    return {
        "id": photo.item_id,
        "image": photo.image,
        "title": title(spec),
        "product_id": spec.product_id,
        "view": str(photo.view),
        "type": spec.type,
        "category": product_type.category,
        "material": spec.material,
        "colour": spec.colour,
        "pattern": "stripes" if spec.pattern == "bands" else spec.pattern,
        "style": spec.style,
        "price": f"{price:.2f}",
        "brand": rng.choice(BRANDS),
    }


def write_manifest(photo_list: Sequence[Photo], path: Path) -> None:
    """Write the manifest as CSV, one row a photo."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row(photo) for photo in photo_list)


def read_manifest(path: Path) -> list[dict[str, str]]:
    """Return the manifest's rows."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# ---- ground truth --------------------------------------------------------------------------------------------
def grade(a: dict[str, str], b: dict[str, str]) -> int:
    """Return how alike two photos' products are.

    3 the same product, 2 the same type and two of colour, material and (not plain) pattern, 1 the same type, 0 else.
    """
    if a["product_id"] == b["product_id"]:
        return 3
    if a["type"] != b["type"]:
        return 0
    shared = (a["colour"] == b["colour"]) + (a["material"] == b["material"])
    shared += a["pattern"] == b["pattern"] != "plain"
    return 2 if shared >= 2 else 1


def instance_qrels(rows: Sequence[dict[str, str]]) -> list[tuple[str, str, int]]:
    """Return (query item, item, 1): every photo against the other views of its product."""
    return [
        (q["id"], d["id"], 1) for q in rows for d in rows if q is not d and q["product_id"] == d["product_id"]
    ]


def lookalike_qrels(rows: Sequence[dict[str, str]]) -> list[tuple[str, str, int]]:
    """Return (query item, item, grade) for the first view of each product against every other photo of its type."""
    queries = [r for r in rows if r["view"] == "1"]
    return [(q["id"], d["id"], grade(q, d)) for q in queries for d in rows if q is not d and grade(q, d)]


def text_topics(rows: Sequence[dict[str, str]]) -> list[tuple[str, str, dict[str, str]]]:
    """Return (topic id, query, wanted attributes): each type, alone and with colour, material and pattern.

    Queries come in alphabetical order; those that fewer than TOPIC_MIN_PHOTOS photos answer in full are left out.
    """
    wants: dict[str, dict[str, str]] = {}
    for r in rows:
        colour, material, kind = r["colour"], r["material"], r["type"]
        natural = NATURAL_COLOUR.get(material) == colour
        wants[kind] = {"type": kind}
        wants[f"{material} {kind}"] = {"type": kind, "material": material}
        if not natural or colour not in ("clear", "copper"):
            wants[f"{colour} {kind}"] = {"type": kind, "colour": colour}
        if not natural:
            wants[f"{colour} {material} {kind}"] = {"type": kind, "colour": colour, "material": material}
        if r["pattern"] != "plain":
            word = PATTERN_WORD[r["pattern"]]
            wants[f"{word} {kind}"] = {"type": kind, "pattern": r["pattern"]}
            wants[f"{colour} {word} {kind}"] = {"type": kind, "colour": colour, "pattern": r["pattern"]}
    asked = [
        (query, wanted)
        for query, wanted in sorted(wants.items())
        if sum(not _missed(wanted, r) for r in rows) >= TOPIC_MIN_PHOTOS
    ]
    return [(f"text-{i:04d}", query, wanted) for i, (query, wanted) in enumerate(asked, start=1)]


def _missed(wanted: dict[str, str], row: dict[str, str]) -> int:
    """Return how many of the wanted attributes a photo's product lacks."""
    return sum(row[key] not in FAMILIES.get(value, {value}) for key, value in wanted.items())


def text_qrels(
    topics: Sequence[tuple[str, str, dict[str, str]]], rows: Sequence[dict[str, str]]
) -> list[tuple[str, str, int]]:
    """Return (topic, item, grade): 3 everything named, 2 the type and one of two attributes, 1 the type."""
    out = []
    for topic, _, wanted in topics:
        for r in rows:
            if r["type"] != wanted["type"]:
                continue
            missed, named = _missed(wanted, r), len(wanted) - 1
            out.append((topic, r["id"], 3 if not missed else 2 if missed < named else 1))
    return out


def write_ground_truth(rows: Sequence[dict[str, str]], folder: Path) -> None:
    """Write topics.tsv and the three TREC qrels files (instance, lookalike, text) into the folder."""
    topics = text_topics(rows)
    items = sorted({r["id"] for r in rows})
    lines = [f"{item}\titem\t{item}" for item in items] + [f"{t}\ttext\t{query}" for t, query, _ in topics]
    (folder / "topics.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, qrels in (
        ("instance", instance_qrels(rows)),
        ("lookalike", lookalike_qrels(rows)),
        ("text", text_qrels(topics, rows)),
    ):
        text = "".join(f"{query} 0 {item} {relevance}\n" for query, item, relevance in qrels)
        (folder / f"{name}.trec").write_text(text, encoding="utf-8")
