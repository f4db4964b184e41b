"""The compared composition methods: each ranks a single term's own row first."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from compare_composition import STRATEGIES


def test_every_strategy_ranks_the_term_itself_first() -> None:
    rows = np.random.default_rng(0).normal(size=(300, 32)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for score in STRATEGIES.values():
        assert int(np.argmax(score(rows, rows[[7]], np.array([1.0])))) == 7
