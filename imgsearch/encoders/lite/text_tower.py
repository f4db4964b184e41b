"""The text tower of `lite`: a vocabulary, a small transformer, and a bank of concepts (`scripts/train_lite.py`).

Unknown words get the mean vector of their character n-grams, so misspelt words are near their neighbours (Bojanowski
et al., "Enriching Word Vectors with Subword Information", TACL 2017). The sentence vector, distilled from a larger
encoder, is compared with the bank's keys; a text's meaning is the softmax-weighted sum of the concepts' directions
among images and a residual, for materials and patterns. Colour and language have heads of their own.
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

MAX_WORDS = 16
_BUCKETS = 8192  # of character n-grams
_MAX_NGRAMS = 24  # of a word
_WIDTH = 192
_SENTENCE = 384


def words_of(text: str) -> list[str]:
    """Return the first 16 words and numbers of a text, in lower case and without accents."""
    decomposed = unicodedata.normalize("NFKD", text.lower().replace("'", "").replace("’", ""))
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return re.findall(r"[a-z]+|[0-9]+", plain)[:MAX_WORDS]


def ngram_buckets(word: str) -> list[int]:
    """Return the buckets (from 1) of a word's character n-grams of 3 to 5, with its two ends marked."""
    marked = f"<{word}>"
    ngrams = [marked[i : i + size] for size in (3, 4, 5) for i in range(len(marked) - size + 1)]
    return [1 + zlib.crc32(ngram.encode()) % _BUCKETS for ngram in ngrams[:_MAX_NGRAMS] or [marked]]


@dataclass(frozen=True, slots=True)
class Tokens:
    """n texts of up to L words: `words` (n, L) positions in the vocabulary, 0 where `unknown` or past the end.

    `groups` (n, L, 24) has the n-grams of the unknown words, 0 elsewhere.
    """

    words: torch.Tensor
    groups: torch.Tensor
    unknown: torch.Tensor


class Vocabulary:
    """The known words, by position from 1."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._positions = {word: position for position, word in enumerate(self.words, start=1)}

    def __len__(self) -> int:
        return len(self.words)

    def tokens(self, texts: Sequence[str], forget: Callable[[], bool] = lambda: False) -> Tokens:
        """Return the texts' tokens; a known word counts as unknown where `forget` (of training) returns True."""
        split = [words_of(text) or [""] for text in texts]
        length = max((len(words) for words in split), default=1)
        words = torch.zeros(len(split), length, dtype=torch.int64)
        groups = torch.zeros(len(split), length, _MAX_NGRAMS, dtype=torch.int64)
        unknown = torch.zeros(len(split), length, dtype=torch.bool)
        for row, text in enumerate(split):
            for column, word in enumerate(text):
                position = self._positions.get(word, 0)
                if position and not forget():
                    words[row, column] = position
                else:
                    buckets = ngram_buckets(word)
                    groups[row, column, : len(buckets)] = torch.tensor(buckets)
                    unknown[row, column] = True
        return Tokens(words, groups, unknown)


@dataclass(frozen=True, slots=True)
class Meaning:
    """The outputs of the tower for n texts.

    `sentence` (n, 384) unit rows, `concepts` (n, concepts) log-probabilities, `thing` (n, 384) unit rows among the
    images, `residual` (n, 384) its part beside the concepts, `color` (n, 33) unit rows, `has_color` and `known` (is
    it language?) (n,) logits.
    """

    sentence: torch.Tensor
    concepts: torch.Tensor
    thing: torch.Tensor
    residual: torch.Tensor
    color: torch.Tensor
    has_color: torch.Tensor
    known: torch.Tensor


class TextTower(nn.Module):
    """The trained parts of the text side."""

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
        """Return one vector for each text, (n, 192)."""
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
        """Return the meaning of the texts."""
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
