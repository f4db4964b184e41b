"""What an interrupted run leaves is told apart from damage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from shop_folder import SmallShop, fill


def test_verify_says_to_run_index_again_where_nothing_is_damaged(
    small_shop: SmallShop, tmp_path: Path
) -> None:
    fill(tmp_path / "photos", 4)
    small_shop.index(tmp_path / "photos")
    shutil.rmtree(small_shop.folder / "index")
    output, problem = small_shop.run("verify", "--json", code=1)
    found = json.loads(output)
    assert (found["clean"], found["unfinished"]) == (False, True)
    assert "run imgsearch index again" in found["problems"][0]
    assert "damaged" not in problem
    assert "run imgsearch index again" in problem
    small_shop.index(tmp_path / "photos")
    assert "sound" in small_shop.run("verify")[0]


def test_damage_is_still_called_damage(small_shop: SmallShop, tmp_path: Path) -> None:
    fill(tmp_path / "photos", 4)
    small_shop.index(tmp_path / "photos")
    vectors = small_shop.folder / "embeddings/vectors.f16"
    vectors.write_bytes(b"\x01" + vectors.read_bytes()[1:])
    _, problem = small_shop.run("verify", code=1)
    assert "damaged" in problem
    assert "verify --repair" in problem
