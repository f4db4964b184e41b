"""Spelling: unknown words are corrected to known ones, and known words are unchanged."""

from __future__ import annotations

import pytest

from imgsearch.encoders import Encoder
from imgsearch.encoders.base import HasVocabulary
from imgsearch.search.words.word_help import Correction, Speller

CATALOG = {"mug": 40, "red": 30, "sneakers": 20, "chair": 10, "armchair": 5, "label": 1}
MODEL = ("the", "table", "sneaker", "credenza", "mum", "wooden", "cable")


@pytest.fixture(scope="module")
def speller() -> Speller:
    return Speller(CATALOG, MODEL, complete=True)


@pytest.mark.parametrize(
    ("text", "corrected", "unasked"),
    [
        ("mugg", "mug", True),
        ("Mugg", "mug", True),
        ("snekaers", "sneakers", True),
        ("chiar", "chair", True),
        ("armchiar", "armchair", True),
        ("chiar mugg", "chair mug", True),
        # With a known word, the correction is only offered.
        ("red mugg", "red mug", False),
        ("the  chiar, 42", "the chair, 42", False),
        ("chiar qqqqqq", "chair qqqqqq", False),
        # In three-letter words, the last two letters may be swapped if the catalog has the result.
        ("Rde mgu", "red mug", True),
        ("rde mug qqq", "red mug qqq", False),
        # At equal distance, catalog words win.
        ("lable", "label", True),
    ],
)
def test_unknown_words_are_corrected(speller: Speller, text: str, corrected: str, unasked: bool) -> None:
    assert speller.correct(text) == Correction(corrected, unasked)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "mug",
            "mugs",
            "MUGS",
            "credenza",
            "credenzas",
            "table",
            "tables",
            "mub",
            "umg",
            "mmu",
            "42",
            "xqzwv",
            "стул",
            "🙂",
        ),
        *("the wooden table", "\ud800", "x" * 5000, "mum"),
    ],
)
def test_known_short_and_uncorrectable_words_are_unchanged(speller: Speller, text: str) -> None:
    assert speller.correct(text) is None


def test_a_wrong_first_letter_is_not_corrected(speller: Speller) -> None:
    assert speller.correct("kable") is None
    assert speller.correct("tabel") == Correction("table", automatic=True)


def test_with_an_incomplete_vocabulary_corrections_are_only_offered() -> None:
    speller = Speller(CATALOG, MODEL, complete=False)
    assert speller.correct("mugg") == Correction("mug", automatic=False)


def test_without_a_vocabulary_nothing_is_corrected() -> None:
    assert Speller(CATALOG, complete=True).correct("mugg") is None


def test_accents_are_ignored(speller: Speller) -> None:
    folded = Speller({"cafe": 1}, MODEL, complete=True)
    assert folded.correct("Café") is None


def test_lite_lists_its_single_token_words(lite: Encoder) -> None:
    assert isinstance(lite, HasVocabulary)
    words = lite.vocabulary()
    assert len(words) > 10_000
    assert {"mug", "sneakers", "credenza"} <= set(words)
    assert "mugg" not in words
