"""Adaptation on the Sample Store: people whose taste is known teach it that taste, and chance teaches it nothing.

The truth beside which it is held, nDCG@10 of the taste over the whole catalog for products held out, is what
`adapt` itself never sees. `scripts/simulate_adaptation.py` shows the same for more seeds, tastes and visits.
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
    """Return the folder of a catalog of the Sample Store: read only."""
    return ensure_demo_catalog(folder=tmp_path_factory.mktemp("store") / "catalog")


@pytest.fixture
def shop(store: Path, tmp_path: Path) -> Path:
    """Return a fresh copy of the catalog of the Sample Store."""
    return Path(shutil.copytree(store, tmp_path / "shop"))


def test_clicks_of_thirty_visits_a_photo_teach_a_taste_for_colour(shop: Path, lite: Encoder) -> None:
    row = simulate(shop, lite, kind="clicks", taste=TASTE, seed=0, queries=QUERIES, visits=30)
    assert row["publishes"], row["reason"]
    assert float(str(row["after"])) >= 1.1 * float(str(row["true nDCG@10 before"]))


@pytest.mark.parametrize("kind", ["clicks", "judgments"])
def test_chance_teaches_nothing(shop: Path, lite: Encoder, kind: str) -> None:
    row = simulate(
        shop, lite, kind=kind, taste=TASTE, seed=0, queries=QUERIES, visits=10, judged=600, random=True
    )
    assert not row["publishes"], row["reason"]
    assert row["after"] == row["true nDCG@10 before"]
