"""What the field cases share."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop_folder import SmallShop


@pytest.fixture
def small_shop(tmp_path: Path) -> SmallShop:
    """Return a shop without a catalog yet."""
    (tmp_path / "small-shop").mkdir()
    return SmallShop(tmp_path / "small-shop")
