"""Operations on sorted keys equal numpy's set functions, also for empty arrays."""

from __future__ import annotations

import numpy as np
import pytest

from imgsearch.core.key_arrays import is_in, positions_in, without


@pytest.mark.parametrize("many", [0, 1, 50])
@pytest.mark.parametrize("few", [0, 1, 30])
def test_key_operations_equal_numpys_set_functions(many: int, few: int) -> None:
    rng = np.random.default_rng(many + few)
    ascending = np.sort(rng.choice(100, many, replace=False)).astype(np.uint64)
    keys = rng.choice(100, few).astype(np.uint64)
    assert is_in(ascending, keys).tolist() == np.isin(keys, ascending).tolist()
    assert without(ascending, keys).tolist() == np.setdiff1d(ascending, keys).tolist()
    if many:
        places, there = positions_in(ascending, keys)
        assert ascending[places[there]].tolist() == keys[there].tolist()
