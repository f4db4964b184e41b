"""Composition: term weights are scaled by cosine spread, and a single term is unchanged."""

from __future__ import annotations

import numpy as np

from imgsearch.search.query_encoder import composed


def unit_rows(n: int, dim: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_single_term_is_unchanged() -> None:
    rows = unit_rows(200, 16)
    assert np.array_equal(composed(rows[:1], np.array([1.0]), rows), rows[0])


def test_a_term_with_a_small_cosine_spread_has_more_weight() -> None:
    rows = unit_rows(500, 16)
    rows[:, 15] *= 0.1
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    terms = np.eye(16, dtype=np.float32)[[0, 15]]
    mixed = composed(terms, np.array([1.0, 1.0]), rows)
    assert mixed[15] > 5 * mixed[0] > 0


def test_without_a_sample_composition_is_the_weighted_mean() -> None:
    terms = unit_rows(3, 8)
    weights = np.array([1.0, 0.5, -0.4])
    assert np.allclose(composed(terms, weights, terms[:0]), (weights[:, None] * terms).sum(0))


def test_equal_terms_keep_their_weights() -> None:
    rows = unit_rows(300, 8)
    terms = rows[[0, 0]]
    assert np.allclose(composed(terms, np.array([2.0, -1.0]), rows), rows[0], atol=1e-6)


def test_a_term_alone_ranks_itself_first() -> None:
    rows = unit_rows(300, 32)
    assert int(np.argmax(rows @ composed(rows[[7]], np.array([1.0]), rows))) == 7
