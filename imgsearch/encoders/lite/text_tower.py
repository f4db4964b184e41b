"""The text tower of `lite`: words become a place among pictures, a colour if they name one, and a confidence.

It owns the vocabulary, the small transformer over it, and the bank of concepts whose directions among pictures the
text is drawn to. It knows no picture and no file; `scripts/train_lite.py` trains it.

A text's words have a vector each; a word that is not in the vocabulary has the mean of its letter groups' vectors,
so that misspelt and rare words land near their neighbours. Two transformer layers and a pooling make one hidden
vector of them. From it come a sentence vector (trained to be that of a much larger sentence encoder), which is
compared with the bank's keys: the softmax-weighted sum of the bank's directions says what the thing is; a residual,
for materials and patterns; the colour block and whether there is a colour at all; and whether it is language.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from imgsearch.encoders.lite.image_tower import COLORS, MEANING

__all__ = ["Meaning", "TextTower", "Tokens", "Vocabulary", "words_of"]

MAX_WORDS = 16
_BUCKETS = 8192  # of letter groups
_GROUPS = 24  # letter groups of a word that are read
_WIDTH = 192
_SENTENCE = 384


def words_of(text: str) -> list[str]:
    """Return the first 16 words and numbers of a text, in lower case and without accents."""
    decomposed = unicodedata.normalize("NFKD", text.lower().replace("'", "").replace("’", ""))
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return re.findall(r"[a-z]+|[0-9]+", plain)[:MAX_WORDS]


def letter_groups(word: str) -> list[int]:
    """Return the buckets (from 1) of a word's groups of 3 to 5 letters, its two ends marked."""
    marked = f"<{word}>"
    groups = [marked[i : i + size] for size in (3, 4, 5) for i in range(len(marked) - size + 1)]
    return [1 + zlib.crc32(group.encode()) % _BUCKETS for group in groups[:_GROUPS] or [marked]]


@dataclass(frozen=True, slots=True)
class Tokens:
    """n texts of up to L words: `words` (n, L) places in the vocabulary, 0 where `unknown` or past the end.

    `groups` (n, L, 24) holds the letter groups of the unknown words, 0 elsewhere.
    """

    words: torch.Tensor
    groups: torch.Tensor
    unknown: torch.Tensor


class Vocabulary:
    """The known words, by their places from 1 on."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._places = {word: place for place, word in enumerate(self.words, start=1)}

    def __len__(self) -> int:
        """Return the number of known words."""
        return len(self.words)

    def tokens(self, texts: Sequence[str], forget: Callable[[], bool] = lambda: False) -> Tokens:
        """Return the texts' tokens; training takes a word for unknown where `forget` says so."""
        split = [words_of(text) or [""] for text in texts]
        length = max((len(words) for words in split), default=1)
        words = torch.zeros(len(split), length, dtype=torch.int64)
        groups = torch.zeros(len(split), length, _GROUPS, dtype=torch.int64)
        unknown = torch.zeros(len(split), length, dtype=torch.bool)
        for row, text in enumerate(split):
            for column, word in enumerate(text):
                place = self._places.get(word, 0)
                if place and not forget():
                    words[row, column] = place
                else:
                    found = letter_groups(word)
                    groups[row, column, : len(found)] = torch.tensor(found)
                    unknown[row, column] = True
        return Tokens(words, groups, unknown)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What n texts mean.

    `sentence` (n, 384) unit rows, `concepts` (n, concepts) log-probabilities, `thing` (n, 384) unit rows among the
    pictures, `residual` (n, 384) the part of it that no concept says, `color` (n, 33) unit rows, `has_color` and
    `known` (n,) logits.
    """

    sentence: torch.Tensor
    concepts: torch.Tensor
    thing: torch.Tensor
    residual: torch.Tensor
    color: torch.Tensor
    has_color: torch.Tensor
    known: torch.Tensor


class TextTower(nn.Module):
    """The learned parts of the text side."""

    def __init__(self, words: int, concepts: int) -> None:
        super().__init__()
        self.word = nn.Embedding(words + 1, _WIDTH, padding_idx=0)
        self.group = nn.EmbeddingBag(_BUCKETS + 1, _WIDTH, mode="mean", padding_idx=0)
        self.position = nn.Parameter(torch.zeros(MAX_WORDS, _WIDTH))
        self.norm = nn.LayerNorm(_WIDTH)
        layer = nn.TransformerEncoderLayer(
            _WIDTH, 4, 2 * _WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.pooling = nn.Linear(_WIDTH, 1)
        self.sentence = nn.Linear(_WIDTH, _SENTENCE)
        self.key = nn.Parameter(torch.zeros(concepts, _SENTENCE))
        self.direction = nn.Parameter(torch.zeros(concepts, MEANING))
        self.sharpness = nn.Parameter(torch.tensor(3.0))
        self.residual = nn.Sequential(
            nn.Linear(_WIDTH, _WIDTH), nn.GELU(), nn.Linear(_WIDTH, MEANING, bias=False)
        )
        self.color = nn.Linear(_WIDTH, 1 + COLORS)
        self.known = nn.Linear(_WIDTH, 1)

    def hidden(self, tokens: Tokens) -> torch.Tensor:
        """Return one vector a text, (n, 192)."""
        vectors = self.word(tokens.words)
        if bool(tokens.unknown.any()):
            vectors = vectors.index_put(
                tuple(tokens.unknown.nonzero().T), self.group(tokens.groups[tokens.unknown])
            )
        past_the_end = (tokens.words == 0) & ~tokens.unknown
        states = self.norm(vectors) + self.position[: vectors.shape[1]]
        states = self.layers(states, src_key_padding_mask=past_the_end)
        weights = self.pooling(states)[..., 0].masked_fill(past_the_end, -1e4).softmax(dim=1)
        pooled: torch.Tensor = (weights[..., None] * states).sum(dim=1)
        return pooled

    def forward(self, tokens: Tokens) -> Meaning:
        """Return what the texts mean."""
        normalize = nn.functional.normalize
        hidden = self.hidden(tokens)
        sentence = normalize(self.sentence(hidden), dim=1)
        closeness = sentence @ normalize(self.key, dim=1).T * self.sharpness.exp().clamp(max=60)
        concepts = closeness.log_softmax(dim=1)
        named = normalize(concepts.exp() @ normalize(self.direction, dim=1), dim=1)
        residual = self.residual(hidden)
        color = self.color(hidden)
        return Meaning(
            sentence=sentence,
            concepts=concepts,
            thing=normalize(named + residual, dim=1),
            residual=residual,
            color=normalize(color[:, 1:], dim=1),
            has_color=color[:, 0],
            known=self.known(hidden)[:, 0],
        )
