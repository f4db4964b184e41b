"""Training of the text tower: first to speak like its teacher, then to point at pictures.

It owns the bank of concepts, the captions, and the losses. The second stage learns at once: which concepts a noun
means (from the teacher's likeness to their names, and from our lists), which pictures a caption fits (contrast within
a source), which colour a text names, and whether it is language at all.
"""

from __future__ import annotations

import logging
import random
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from imgsearch.encoders.lite.colors import SHADES, shades_of_rgb
from imgsearch.encoders.lite.image_tower import COLORS, color_block
from imgsearch.encoders.lite.text_tower import TextTower, Vocabulary, words_of
from lite_training import vocabulary
from lite_training.images import Concepts
from lite_training.sentences import Corpus, Teacher, color_names, entries
from lite_training.sources import Picture

__all__ = ["distil", "make_vocabulary", "point_at_pictures"]

WORDS = 24_000
DISTIL_EPOCHS = 5
POINT_STEPS = 700
_BATCH = 256
_ANIMALS = 398  # the classes before this one are animals, and a shopper's "mouse" is none unless it is named
_TAU = 0.045  # of the teacher's softmax over concepts
_TEMPLATES = [
    *["{}"] * 14, "a photo of a {}", "photo of {}", "{} for women", "{} for men", "{} for kids", "buy {}",
    "cheap {}", "new {}", "a {}", "the {}", "picture of {}", "{} on sale", "{}s",
]  # fmt: skip
_PATTERN_WORDS = {
    "stripes": ("striped", "stripes"),
    "bands": ("striped",),
    "checks": ("checked", "plaid", "checkered"),
    "dots": ("dotted", "polka dot", "spotted"),
}
# Colour words that are things first: alone they name no colour.
_THINGS_TOO = set(
    vocabulary.phrases(
        "orange, peach, lemon, rose, wine, copper, gold, golden, silver, coral, skin, plum, ruby, sage, mint, "
        "camel, steel, tan, stone, champagne, cream, chocolate, lavender, bronze, slate, ebony, onyx, blush, nude, "
        "rust, lime"
    )
)


def make_vocabulary(corpus: Corpus) -> Vocabulary:
    """Return the 24,000 words that matter most: those of our own phrases, then the commonest of all texts."""
    counts = Counter(word for text in corpus.texts() for word in words_of(text))
    ours = sorted({word for noun in corpus.nouns for word in words_of(noun)})
    known = set(corpus.words)
    others = [word for word, count in counts.most_common() if count >= 2 or word in known]
    return Vocabulary(list(dict.fromkeys([*ours, *others]))[:WORDS])


def distil(words: Vocabulary, corpus: Corpus, teacher: Teacher, concepts: int, *, cache: Path) -> TextTower:
    """Return a tower whose sentence vectors are like the teacher's, measured on one text in a hundred.

    What is learned here depends on no picture; it is kept in `cache`.
    """
    torch.manual_seed(0)
    if cache.exists():
        tower = TextTower(len(words), concepts)
        tower.load_state_dict(torch.load(cache, weights_only=True), strict=False)
        return tower
    texts = corpus.texts()
    vectors = torch.from_numpy(teacher(texts))
    tower = TextTower(len(words), concepts)
    _start_from_words(tower, words, texts, vectors.numpy())
    kept = np.random.default_rng(0).random(len(texts)) < 0.01
    seen, held_out = np.flatnonzero(~kept), np.flatnonzero(kept)
    steps = DISTIL_EPOCHS * len(seen) // _BATCH
    optimizer = torch.optim.AdamW(tower.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps + 1, pct_start=0.05)
    chance = random.Random(0)
    for step in range(1, steps + 1):
        rows = np.random.default_rng(step).choice(seen, _BATCH, replace=False)
        made = _sentences(tower, words, [texts[row] for row in rows], lambda: chance.random() < 0.1)
        wanted = vectors[rows]
        likeness = ((made @ made.T - wanted @ wanted.T) ** 2).mean()
        loss = (1 - (made * wanted).sum(dim=1)).mean() + 2 * likeness
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 500 == 0 or step == steps:
            with torch.no_grad():
                made = _sentences(tower, words, [texts[row] for row in held_out])
            cosine = float((made * vectors[held_out]).sum(dim=1).mean())
            logging.info("sentences: step %d of %d, cosine to the teacher %.3f", step, steps, cosine)
    # Without the parts whose size hangs on the concepts.
    torch.save({k: v for k, v in tower.state_dict().items() if k not in ("key", "direction")}, cache)
    return tower


def _sentences(
    tower: TextTower, words: Vocabulary, texts: Sequence[str], forget=lambda: False
) -> torch.Tensor:
    return functional.normalize(tower.sentence(tower.hidden(words.tokens(texts, forget))), dim=1)


def _start_from_words(tower: TextTower, words: Vocabulary, texts: Sequence[str], vectors: np.ndarray) -> None:
    """Start from the teacher's vectors of single words, on their principal axes."""
    nn.init.normal_(tower.group.weight, std=0.02)
    nn.init.zeros_(tower.group.weight[0])
    single = {text: vectors[row] for row, text in enumerate(texts) if " " not in text}
    stack = np.stack(list(single.values()))
    mean = stack.mean(axis=0)
    width = tower.word.embedding_dim
    axes = np.linalg.svd(stack - mean, full_matrices=False)[2][:width].T
    with torch.no_grad():
        for place, word in enumerate(words.words, start=1):
            if word in single:
                tower.word.weight[place] = torch.from_numpy((single[word] - mean) @ axes * 3)
        tower.sentence.weight.copy_(torch.from_numpy(axes) * 0.3)
        tower.sentence.bias.copy_(torch.from_numpy(mean))


class _Bank:
    """The concepts' names, and what the teacher thinks that other nouns mean."""

    def __init__(self, concepts: Concepts, classes: list[dict[str, str]], teacher: Teacher) -> None:
        self._teacher = teacher
        self.phrases: dict[str, list[str]] = {}
        self.listed: dict[str, list[int]] = {}
        named = [(name.lower(), place) for place, (names, _) in enumerate(entries()) for name in names]
        for place, (names, definition) in enumerate(entries()):
            named += [(f"{names[0]}, {definition}".lower(), place), (", ".join(names).lower(), place)]
        for place, concept in enumerate(concepts.names, start=1000):
            self.phrases[concept] = _phrases_of(concept)
            for phrase in self.phrases[concept]:
                self.listed.setdefault(phrase, []).append(place)
                named.append((phrase, place))
        coarse: dict[str, list[int]] = {}
        for row in classes:
            fine = f"grocery {row['Class Name (str)']}"
            if fine in concepts.names:
                name = row["Coarse Class Name (str)"].replace("-", " ").lower()
                coarse.setdefault(name, []).append(1000 + concepts.names.index(fine))
        for name, places in coarse.items():
            self.listed.setdefault(name, places)
        named.sort(key=lambda pair: pair[1])
        self._names = teacher([name for name, _ in named])
        owners = np.array([place for _, place in named])
        self._starts = np.searchsorted(owners, np.arange(1000 + len(concepts.names)))
        self.keys = np.stack([self._names[owners == place].mean(axis=0) for place in range(owners[-1] + 1)])
        self._known: dict[str, np.ndarray] = {}

    def meant_by(self, nouns: Sequence[str]) -> torch.Tensor:
        """Return the share of each concept in what the nouns mean, (n, concepts), rows sum to 1."""
        new = [noun for noun in dict.fromkeys(nouns) if noun not in self._known]
        if new:
            self._known.update(zip(new, self._shares(new), strict=True))
        return torch.from_numpy(np.stack([self._known[noun] for noun in nouns]))

    def _shares(self, nouns: list[str]) -> np.ndarray:
        likeness = np.maximum.reduceat(self._teacher(nouns) @ self._names.T, self._starts, axis=1)
        animal_named = likeness[:, :_ANIMALS].max(axis=1) > 0.9
        likeness[:, :_ANIMALS] -= np.where(animal_named, 0, 0.12)[:, None]
        shares = np.exp((likeness - likeness.max(axis=1, keepdims=True)) / _TAU)
        shares /= shares.sum(axis=1, keepdims=True)
        for row, noun in enumerate(nouns):
            if noun in self.listed:
                # What our lists say, and beside it the real thing among ImageNet's classes, if there is one.
                alike = likeness[row, :1000].max()
                ours = 0.6 if alike > 0.8 else 0.75 if alike > 0.6 else 0.92
                known = np.concatenate([shares[row, :1000], np.zeros(shares.shape[1] - 1000)])
                shares[row] = (1 - ours) * known / max(known.sum(), 1e-9)
                shares[row, self.listed[noun]] += ours / len(self.listed[noun])
        return shares.astype(np.float32)


def _phrases_of(concept: str) -> list[str]:
    source, _, name = concept.partition(" ")
    if source == "clothing":
        return vocabulary.phrases(vocabulary.CLOTHING[name])
    if source == "rendered":
        return vocabulary.phrases(vocabulary.RENDERED.get(name, name))
    return [name.replace("-", " ").lower()]


@dataclass(frozen=True)
class _Caption:
    text: str
    noun: str
    color: np.ndarray | None
    material: str = ""
    pattern: str = ""


class _Writer:
    """Composes captions by chance."""

    def __init__(self, color_mean: np.ndarray, corpus: Corpus, words: Vocabulary) -> None:
        self.rng = random.Random(0)
        self._basic = corpus.colors
        self._surveyed = corpus.surveyed
        self._words = words.words
        self._colors = _color_blocks(color_mean)

    def caption(
        self, noun: str, *, material: str = "", pattern: str = "", colored: float = 0.55, kind: str = ""
    ) -> _Caption:
        """Return a caption of a noun; `kind` is the rendered pattern that `pattern` is a word for."""
        rng, parts, color = self.rng, [], None
        if rng.random() < 0.15:
            parts.append(rng.choice(vocabulary.STYLES))
        if rng.random() < colored:
            name = rng.choice(self._basic if rng.random() < 0.75 else self._surveyed)
            parts.append(name)
            color = self._colors[name]
        parts += [word for word in (pattern, material) if word]
        if rng.random() < 0.1:
            rng.shuffle(parts)
        text = " ".join([noun, "in", *parts] if parts and rng.random() < 0.05 else [*parts, noun])
        return _Caption(rng.choice(_TEMPLATES).format(text), noun, color, material, kind)

    def only_color(self) -> tuple[str, np.ndarray]:
        """Return a text that is a colour and nothing else."""
        name = self.rng.choice([name for name in self._basic if name not in _THINGS_TOO])
        return self.rng.choice(["{}", "{}", "something {}", "{} things", "{} colour"]).format(
            name
        ), self._colors[name]

    def gibberish(self) -> str:
        """Return what no language says."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.5:
            lengths = [rng.randint(2, 9) for _ in range(rng.randint(1, 3))]
            return " ".join("".join(rng.choices(string.ascii_lowercase, k=length)) for length in lengths)
        if kind < 0.6:
            return "".join(rng.choices("bcdfghjklmnpqrstvwxz", k=rng.randint(3, 7)))
        if kind < 0.8:
            row = rng.choice(["qwertyuiop", "asdfghjkl", "zxcvbnm", "asdfqwerzxcv"])
            return " ".join(row[rng.randint(0, 5) :][: rng.randint(3, 6)] for _ in range(rng.randint(1, 3)))
        letters = list(rng.choice(self._words) + rng.choice(self._words))
        rng.shuffle(letters)
        return "".join(letters[:9])


def _color_blocks(mean: np.ndarray) -> dict[str, np.ndarray]:
    """Return the colour block that each colour word means."""
    shades = list(SHADES)
    shares = {name: shades_of_rgb(np.array([rgb]), softness=9.0)[0] for name, rgb in color_names().items()}
    for basic, text in vocabulary.BASIC_COLORS.items():
        for word in vocabulary.phrases(text):
            looks = vocabulary.SHADE_WORDS.get(word, vocabulary.BASIC_SHADES[basic])
            row = np.zeros(COLORS, np.float32)
            row[[shades.index(name) for name in vocabulary.phrases(looks)]] = 1
            shares[word] = row / row.sum()
    blocks = color_block(np.stack(list(shares.values())), mean)
    return dict(zip(shares, blocks, strict=True))


def point_at_pictures(
    tower: TextTower,
    words: Vocabulary,
    corpus: Corpus,
    teacher: Teacher,
    concepts: Concepts,
    classes: list[dict[str, str]],
    pictures: list[Picture],
    meanings: np.ndarray,
    color_mean: np.ndarray,
) -> TextTower:
    """Return the tower after the second stage; `meanings` has the (n, 384) rows of the pictures."""
    torch.manual_seed(0)
    bank = _Bank(concepts, classes, teacher)
    writer = _Writer(color_mean, corpus, words)
    rng = writer.rng
    with torch.no_grad():
        tower.key.copy_(torch.from_numpy(bank.keys))
        tower.direction.copy_(torch.from_numpy(concepts.directions))
        tower.residual[2].weight.zero_()  # type: ignore[operator]
    slow = [tower.key]
    slowest = [tower.direction]
    quick = [
        *tower.residual.parameters(),
        *tower.color.parameters(),
        *tower.known.parameters(),
        tower.sharpness,
    ]
    named = {id(parameter) for parameter in (*slow, *slowest, *quick)}
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in tower.parameters() if id(p) not in named], "lr": 4e-4},
            {"params": slow, "lr": 5e-4, "weight_decay": 0},
            {"params": slowest, "lr": 1e-4, "weight_decay": 0},
            {"params": quick, "lr": 2e-3, "weight_decay": 0},
        ]
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, POINT_STEPS)
    rows_of: dict[str, list[int]] = {}
    for row, picture in enumerate(pictures):
        if not picture.held_out:
            rows_of.setdefault(picture.source, []).append(row)
    listed = list(bank.listed)
    names = [name for name in corpus.names if len(name.split()) <= 3] + corpus.words
    texts = corpus.texts()
    vectors = torch.from_numpy(teacher(texts))
    numbers = np.random.default_rng(0)
    for step in range(1, POINT_STEPS + 1):
        rows = {source: rng.choices(found, k=40) for source, found in rows_of.items()}
        shown = {
            source: [_describe(writer, bank, pictures[row]) for row in found]
            for source, found in rows.items()
        }
        captions = [caption for found in shown.values() for caption in found]
        seen = len(captions)
        captions += [_spoken(writer, rng.choice(listed if rng.random() < 0.5 else names)) for _ in range(140)]
        colors = [writer.only_color() for _ in range(10)]
        plain = numbers.integers(0, len(texts), 130)
        batch = [c.text for c in captions] + [t for t, _ in colors] + [texts[row] for row in plain]
        known = len(batch)
        batch += [writer.gibberish() for _ in range(60)]
        meaning = tower(words.tokens(batch, lambda: rng.random() < 0.08))

        shares = bank.meant_by([c.noun for c in captions])
        nouns = functional.kl_div(meaning.concepts[: len(captions)], shares, reduction="batchmean")
        place, fits = 0, torch.zeros(())
        for source, described in shown.items():
            things = meaning.thing[place : place + len(described)]
            place += len(described)
            scores = 12 * torch.from_numpy(meanings[rows[source]]) @ things.T
            fit = torch.tensor([[_fits(pictures[row], bank, c) for c in described] for row in rows[source]])
            fits = fits + (_multi(scores, fit) + _multi(scores.T, fit.T)) / 2 / len(shown)
        wanted = [c.color for c in captions] + [color for _, color in colors]
        has = torch.tensor([float(color is not None) for color in wanted])
        blocks = torch.from_numpy(
            np.stack([np.zeros(COLORS, np.float32) if c is None else c for c in wanted])
        )
        gate = functional.binary_cross_entropy_with_logits(meaning.has_color[: len(wanted)], has)
        off = 1 - (meaning.color[: len(wanted)] * blocks).sum(dim=1)
        spoken = meaning.sentence[len(wanted) : known]
        speech = (1 - (spoken * vectors[plain]).sum(dim=1)).mean()
        language = torch.cat([torch.ones(known), torch.zeros(len(batch) - known)])
        sense = functional.binary_cross_entropy_with_logits(meaning.known, language)
        extra = (meaning.residual**2).sum(dim=1)
        loss = (
            0.5 * nouns + 0.5 * fits + gate + (off * has).sum() / has.sum() + 3 * speech + 0.5 * sense
            + 0.02 * extra[:seen].mean() + 0.3 * extra[seen : len(captions)].mean()
        )  # fmt: skip
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            logging.info(
                "texts: step %d, nouns %.3f, pictures %.3f, has a colour %.3f, which %.3f, sense %.3f",
                step, *(float(v.detach()) for v in (nouns, fits, gate, (off * has).sum() / has.sum(), sense)),
            )  # fmt: skip
    return tower.requires_grad_(requires_grad=False).eval()


def _describe(writer: _Writer, bank: _Bank, picture: Picture) -> _Caption:
    """Return a caption that fits a picture; its colour is made up, for what a thing is does not hang on it."""
    rng, attributes = writer.rng, dict(picture.attributes)
    kind = attributes.get("pattern", "plain")
    material = attributes.get("material", "") if rng.random() < 0.45 else ""
    pattern = rng.choice(_PATTERN_WORDS[kind]) if kind in _PATTERN_WORDS and rng.random() < 0.5 else ""
    noun = rng.choice(bank.phrases[picture.concept])
    return writer.caption(noun, material=material, pattern=pattern, kind=kind if pattern else "")


def _spoken(writer: _Writer, noun: str) -> _Caption:
    rng = writer.rng
    material = rng.choice(vocabulary.MATERIALS) if rng.random() < 0.2 else ""
    pattern = rng.choice(["striped", "checked", "polka dot", "floral", "plain"]) if rng.random() < 0.1 else ""
    return writer.caption(noun, material=material, pattern=pattern, colored=0.4)


def _fits(picture: Picture, bank: _Bank, caption: _Caption) -> bool:
    attributes = dict(picture.attributes)
    return (
        caption.noun in bank.phrases[picture.concept]
        and caption.material in ("", attributes.get("material"))
        and caption.pattern in ("", attributes.get("pattern"))
    )


def _multi(scores: torch.Tensor, fit: torch.Tensor) -> torch.Tensor:
    """Return the mean cross entropy where a row may have several right columns."""
    return -((scores.log_softmax(dim=1) * fit).sum(dim=1) / fit.sum(dim=1).clamp(min=1)).mean()
