"""Words to ImageNet classes and colours: the text side of the `lite` encoder, without any training.

It owns the lexical matching: a query's words against the names and definitions that WordNet gives to the 1,000
ImageNet classes (timm carries them, and those of some 21,000 further things, which serve as a dictionary). It
knows no vectors: a query becomes weights over the classes and over the colour names.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from timm.data.imagenet_info import ImageNetInfo

from imgsearch.encoders.lite_colors import COLOR_NAMES

__all__ = ["ClassWords", "Meaning", "words_in"]

# How much one matching word says about a class, by where it stands. Chosen by hand on everyday shop words.
_WHOLE_NAME = 4.0
_LAST_OF_NAME = 2.0  # "shoe" in "running shoe": the kind of thing
_ELSEWHERE_IN_NAME = 0.7
_IN_DEFINITION = 0.5
_BY_ITS_OWN_DEFINITION = 0.25  # the query's word is unknown here, but WordNet's definition of it shares words
_ANIMALS = 398  # the classes before this one are animals, and a shopper's "mouse" or "cardigan" is none
_ANIMAL_FACTOR = 0.4
_MODIFIER = 0.4  # what a word that only modifies counts beside the thing itself
_SHARPNESS = 8.0  # of the softmax over the classes' scores, which are relative to the best one
_TYPO_LIKENESS = 0.5  # the least share of common letter triples that makes a misspelt word a known one

_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a an the of for with and or in on at to from by is are as it its that which used use usually made having
        has have not no one two very more most other any some such than into like my your our his her their this
        these kind type pair set piece new nice good cheap photo picture image i want need find show me""",
    )
)

# What shoppers say, as names of ImageNet classes; only where WordNet's names and definitions do not say it themselves
# or say something else first. In our own words.
_SHOP_WORDS = {
    "apple": "granny smith",
    "armchair": "rocking chair, studio couch",
    "bag": "purse, backpack, mailbag",
    "belt": "buckle",
    "bicycle": "mountain bike, bicycle-built-for-two",
    "bike": "mountain bike, bicycle-built-for-two",
    "blazer": "suit",
    "blouse": "jersey, cardigan",
    "boot": "cowboy boot",
    "bracelet": "chain, necklace",
    "cap": "shower cap, bathing cap",
    "carpet": "prayer rug, doormat",
    "cellphone": "cellular telephone",
    "chair": "folding chair, rocking chair, barber chair",
    "clothes": "jersey, suit, gown, jean",
    "clothing": "jersey, suit, gown, jean",
    "coat": "trench coat, fur coat, lab coat",
    "cooker": "stove",
    "couch": "studio couch",
    "cup": "cup, coffee mug",
    "cupboard": "china cabinet, wardrobe",
    "cushion": "pillow",
    "dress": "gown, overskirt",
    "earring": "necklace",
    "eyeglasses": "sunglasses",
    "fridge": "refrigerator",
    "garment": "jersey, suit, gown, jean",
    "glass": "goblet, beer glass",
    "handbag": "purse",
    "hat": "cowboy hat, sombrero, bonnet",
    "hoodie": "sweatshirt",
    "jacket": "trench coat, fur coat, suit",
    "jeans": "jean",
    "jumper": "sweatshirt, cardigan",
    "kettle": "teapot",
    "lamp": "table lamp, lampshade",
    "legging": "jean, maillot",
    "longsleeve": "sweatshirt, jersey",
    "long-sleeve": "sweatshirt, jersey",
    "mouse": "mouse",
    "mug": "coffee mug, cup",
    "outerwear": "trench coat, fur coat",
    "outwear": "trench coat, fur coat",
    "pan": "frying pan, wok",
    "pants": "jean",
    "pepper": "bell pepper",
    "phone": "cellular telephone, dial telephone",
    "polo": "jersey",
    "polo shirt": "jersey",
    "pullover": "sweatshirt, cardigan",
    "purse": "purse",
    "ring": "chain, necklace",
    "rug": "prayer rug",
    "shelf": "bookcase",
    "shirt": "jersey, sweatshirt",
    "shoe": "running shoe, loafer, clog, sandal",
    "shorts": "swimming trunks",
    "skirt": "miniskirt, overskirt, hoopskirt",
    "slipper": "clog, sandal",
    "smartphone": "cellular telephone",
    "sneaker": "running shoe",
    "sofa": "studio couch",
    "spectacles": "sunglasses",
    "sweater": "sweatshirt, cardigan",
    "swimsuit": "bikini, maillot",
    "t shirt": "jersey",
    "table": "dining table, desk",
    "tee": "jersey",
    "top": "jersey",
    "trainer": "running shoe",
    "trousers": "jean",
    "tv": "television",
    "undershirt": "jersey",
    "watch": "digital watch, stopwatch",
    "wine glass": "goblet, red wine",
}

_COLOR_WORDS = {
    "gray": "grey",
    "silver": "grey",
    "charcoal": "grey",
    "scarlet": "red",
    "crimson": "red",
    "burgundy": "red",
    "maroon": "red",
    "golden": "yellow",
    "gold": "yellow",
    "mustard": "yellow",
    "lime": "green",
    "olive": "green",
    "khaki": "beige",
    "mint": "green",
    "teal": "turquoise",
    "cyan": "turquoise",
    "aqua": "turquoise",
    "indigo": "navy",
    "violet": "purple",
    "lilac": "purple",
    "lavender": "purple",
    "magenta": "pink",
    "rose": "pink",
    "cream": "beige",
    "ivory": "white",
    "tan": "beige",
    "camel": "beige",
    "denim": "blue",
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a text says: `classes`, (1000,) weights that sum to 1 or to 0, and `colors` the same over the names."""

    classes: NDArray[np.float32]
    colors: NDArray[np.float32]


def words_in(text: str) -> list[str]:
    """Return the lower-case words of a text in their singular, without the words that say nothing."""
    words = re.findall(r"[a-z]+(?:[-'][a-z]+)*", text.lower())
    return [_singular(word) for word in words if word not in _STOP_WORDS]


class ClassWords:
    """The ImageNet classes by the words that mean them; loading takes about half a second, a text well under 1 ms."""

    def __init__(self) -> None:
        classes = [_name_and_definition(entry) for entry in ImageNetInfo().label_descriptions(detailed=True)]
        entries = ImageNetInfo("imagenet-22k").label_descriptions(detailed=True)
        dictionary = [_name_and_definition(entry) for entry in entries]
        self._count = len(classes)
        self._rarity = _rarity(definition for _, definition in dictionary)
        self._definitions: dict[tuple[str, ...], list[str]] = {}
        for names, definition in dictionary:
            for name in names:
                self._definitions.setdefault(name, definition)
        self._named: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self._by_word: dict[str, dict[int, float]] = defaultdict(dict)
        for index, (names, definition) in enumerate(classes):
            for word in definition:
                self._add(word, index, _IN_DEFINITION)
            for name in names:
                self._named[name].append(index)
                for word in name[:-1]:
                    self._add(word, index, _ELSEWHERE_IN_NAME)
                self._add(name[-1], index, _LAST_OF_NAME)
        self._shop_words = {
            tuple(words_in(said)): [self._class_named(name) for name in meant.split(", ")]
            for said, meant in _SHOP_WORDS.items()
        }
        self._words_with: dict[str, list[str]] = defaultdict(list)
        for word in sorted(self._by_word):
            for triple in _letter_triples(word):
                self._words_with[triple].append(word)

    def meaning(self, text: str) -> Meaning:
        """Return what `text` says; both kinds of weights are all zero where it has no known word."""
        modifiers, heads = self._phrases(text)
        colors = np.zeros(len(COLOR_NAMES), np.float32)
        scores = np.zeros(self._count)
        only_colors = all(_color_of(phrase) is not None for phrase in modifiers + heads)
        for phrases, weight in ((modifiers, _MODIFIER), (heads, 1.0)):
            for phrase in phrases:
                color = _color_of(phrase)
                if color is not None:
                    colors[color] = 1.0
                # "orange" alone is the fruit too; in "orange dress" it is only the colour.
                if color is None or (only_colors and phrase in self._named):
                    scores += weight * self._scores(phrase)
        return Meaning(_softmax(scores), colors / max(colors.sum(), 1.0))

    def _phrases(self, text: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
        """Return the known phrases of a text: those that only modify, and the one that names the thing.

        In "leather bag with a red strap" the thing is the last phrase before the first preposition.
        """
        before, *after = re.split(r"\b(?:with|for|in|of|on|from)\b", text.lower())
        main = self._split(words_in(before))
        rest = [phrase for part in after for phrase in self._split(words_in(part))]
        if not main:
            return [], rest
        return main[:-1] + rest, main[-1:]

    def _split(self, words: list[str]) -> list[tuple[str, ...]]:
        """Return the words as known phrases, the longest first: "ice cream" is one, and no cream."""
        phrases = []
        start = 0
        while start < len(words):
            for length in (3, 2, 1):
                phrase = tuple(words[start : start + length])
                if (
                    length == 1
                    or phrase in self._named
                    or phrase in self._shop_words
                    or phrase in self._definitions
                ):
                    break
            phrases.append(phrase)
            start += len(phrase)
        return phrases

    def _scores(self, phrase: tuple[str, ...]) -> NDArray[np.float64]:
        """Return how much a phrase says about each class, (1000,), relative to the best one."""
        scores = np.zeros(self._count)
        if phrase in self._shop_words:
            scores[self._shop_words[phrase]] += _WHOLE_NAME
        else:
            scores[self._named.get(phrase, [])] += _WHOLE_NAME
            for word in phrase:
                self._score_word(scores, word, 1.0 / len(phrase))
            if scores.max() < _LAST_OF_NAME:
                for word in self._definitions.get(phrase, []):
                    self._score_word(scores, word, _BY_ITS_OWN_DEFINITION * self._rarity.get(word, 1.0))
            if not scores.any():
                for word in phrase:
                    self._score_word(scores, self._respelt(word), 1.0)
        animal_is_meant = scores[:_ANIMALS].max() >= _LAST_OF_NAME and scores[_ANIMALS:].max() < _WHOLE_NAME
        if not animal_is_meant:
            scores[:_ANIMALS] *= _ANIMAL_FACTOR
        best: float = max(scores.max(), 1e-9)
        return scores / best

    def _score_word(self, scores: NDArray[np.float64], word: str, weight: float) -> None:
        for index, affinity in self._by_word.get(word, {}).items():
            scores[index] += weight * affinity

    def _respelt(self, word: str) -> str:
        """Return the known word that shares most letter triples with an unknown one, or the word itself."""
        triples = _letter_triples(word)
        common = Counter(known for triple in triples for known in self._words_with.get(triple, ()))
        likeness, best = max(
            (
                (count / (len(triples) + len(_letter_triples(known)) - count), known)
                for known, count in common.items()
            ),
            default=(0.0, word),
        )
        return best if likeness >= _TYPO_LIKENESS else word

    def _add(self, word: str, index: int, affinity: float) -> None:
        self._by_word[word][index] = max(affinity, self._by_word[word].get(index, 0.0))

    def _class_named(self, name: str) -> int:
        """Return the class of that name; where two share it, the one that is no animal."""
        return self._named[tuple(words_in(name))][-1]


def _name_and_definition(entry: str) -> tuple[list[tuple[str, ...]], list[str]]:
    names, _, definition = entry.partition(": ")
    phrases = [tuple(words_in(name)) for name in names.split(", ")]
    return [phrase for phrase in phrases if phrase], words_in(definition)


def _rarity(definitions: Iterable[list[str]]) -> dict[str, float]:
    """Return how rare each word is among the definitions: 1 if it occurs once, near 0 for the commonest."""
    counts = Counter(word for definition in definitions for word in set(definition))
    most = math.log(1 + counts.total())
    return {word: 1 - math.log(count) / most for word, count in counts.items()}


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return weights that sum to 1, sharply for the best classes; all zero for scores that are all zero."""
    best = scores.max()
    if best <= 0:
        return np.zeros(len(scores), np.float32)
    weights = np.where(scores > 0, np.exp(_SHARPNESS * (scores / best - 1)), 0.0)
    result: NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return result


def _color_of(phrase: tuple[str, ...]) -> int | None:
    if len(phrase) != 1:
        return None
    name = _COLOR_WORDS.get(phrase[0], phrase[0])
    return COLOR_NAMES.index(name) if name in COLOR_NAMES else None


def _singular(word: str) -> str:
    if len(word) <= 3 or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("shes", "ches", "sses", "xes", "atoes", "goes")):
        return word[:-2]
    return word.removesuffix("s")


def _letter_triples(word: str) -> set[str]:
    padded = f"  {word} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}
