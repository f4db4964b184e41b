"""Own the check that a model holds together. It knows geometry, not what the product is."""

from typing import Any

import numpy as np
from mathutils.bvhtree import BVHTree


def floating_parts(parts: list[Any], gap_m: float) -> list[str]:
    """Return the names of parts that touch nothing connected to the first, largest group (gaps over `gap_m`)."""
    clouds, trees = [], []
    for part in parts:
        cloud = np.array([tuple(v.co) for v in part.data.vertices])
        clouds.append(cloud)
        trees.append(BVHTree.FromPolygons(cloud.tolist(), [tuple(f.vertices) for f in part.data.polygons]))
    groups = list(range(len(parts)))

    def find(i: int) -> int:
        while groups[i] != i:
            groups[i] = groups[groups[i]]
            i = groups[i]
        return i

    for i in range(len(parts)):
        for j in range(i):
            if find(i) != find(j) and _touch(clouds[i], trees[i], clouds[j], trees[j], gap_m):
                groups[find(i)] = find(j)
    weight: dict[int, float] = {}
    for i, cloud in enumerate(clouds):
        weight[find(i)] = weight.get(find(i), 0.0) + float(np.ptp(cloud, axis=0).sum())
    body = max(weight, key=lambda g: weight[g])
    return [part.name for i, part in enumerate(parts) if find(i) != body]


def _touch(a: Any, tree_a: Any, b: Any, tree_b: Any, gap: float) -> bool:
    if (a.min(0) > b.max(0) + gap).any() or (b.min(0) > a.max(0) + gap).any():
        return False
    if tree_a.overlap(tree_b):
        return True
    for cloud, tree, box in ((a, tree_b, b), (b, tree_a, a)):
        inside = (cloud > box.min(0)).all(1) & (cloud < box.max(0)).all(1)
        if inside.all():
            return True  # wholly within the other's box: a thing in a thing
        for point in cloud[:: max(1, len(cloud) // 300)]:
            if tree.find_nearest(point.tolist(), gap)[0] is not None:
                return True
    return False
