"""Adaptation on the Sample Store: it learns a known simulated preference, and nothing from random feedback.

The ground truth, nDCG@10 of the taste over the whole catalog for held-out products, is hidden from `adapt`.
`scripts/simulate_adaptation.py` runs the same with more seeds, tastes and visits.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from imgsearch.demo import ensure_demo_catalog
from imgsearch.encoders import Encoder

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from simulate_adaptation import simulate
from simulation import Taste

pytestmark = pytest.mark.slow

TASTE = Taste({"type": 1, "colour": 2})
QUERIES = 1_189


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a Sample Store catalog, for reading only."""
    return ensure_demo_catalog(folder=tmp_path_factory.mktemp("store") / "catalog")


@pytest.fixture
def shop(store: Path, tmp_path: Path) -> Path:
    """Return a fresh copy of the Sample Store catalog."""
    return Path(shutil.copytree(store, tmp_path / "shop"))


def test_clicks_of_thirty_visits_per_photo_train_a_preference_for_colour(shop: Path, lite: Encoder) -> None:
    row = simulate(shop, lite, kind="clicks", taste=TASTE, seed=0, queries=QUERIES, visits=30)
    assert row["publishes"], row["reason"]
    assert float(str(row["after"])) >= 1.1 * float(str(row["true nDCG@10 before"]))


@pytest.mark.parametrize("kind", ["clicks", "judgments"])
def test_random_feedback_publishes_no_head(shop: Path, lite: Encoder, kind: str) -> None:
    row = simulate(
        shop, lite, kind=kind, taste=TASTE, seed=0, queries=QUERIES, visits=10, judged=600, random=True
    )
    assert not row["publishes"], row["reason"]
    assert row["after"] == row["true nDCG@10 before"]
