"""Robustness: does the search still find the same photos when a picture is mirrored, cropped or saved again?

It owns the changes that are made to pictures and the scores; no judgments are needed (a metamorphic test: Segura et
al., "A Survey on Metamorphic Testing", IEEE TSE 2016). It is handed functions that search and that read photos.

For a seeded sample of the catalog, each photo is searched for as a visitor's upload would be. As it is, it must find
itself first; changed in a way that no shopper minds, its neighbours must stay.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from imgsearch.core.errors import EvaluationError, ImageError, SourceError
from imgsearch.core.query import Query
from imgsearch.core.records import Item, SearchResult
from imgsearch.improve.quality.evaluation import bootstrap_interval
from imgsearch.store.catalog import CatalogStore
from imgsearch.vision.images import decode_image

__all__ = [
    "SELF_FIRST",
    "TRANSFORMATIONS",
    "RobustnessReport",
    "RobustnessScore",
    "check_robustness",
    "wilson_interval",
]

SELF_FIRST = "finds itself first"
NEIGHBOURS = 10
TARGET_PX = 768
"""Pictures are changed at about this size: no encoder sees more of them."""
MAX_SAMPLE = 10_000
SAME_SCORE = 1e-5
"""Photos this close in score to the first hit are copies of it; either may come first."""
MANY_UNREADABLE = 0.1
DEGREES = 5.0


@dataclass(frozen=True, slots=True)
class RobustnessScore:
    """One change's score over the sample, with its 95% interval.

    For `SELF_FIRST` it is the share of photos that find themselves first (Wilson's interval); for a change the mean
    share of the 10 nearest photos that stay (percentile bootstrap).
    """

    change: str
    mean: float
    low: float
    high: float
    photos: int


@dataclass(frozen=True, slots=True)
class RobustnessReport:
    """What a robustness check found.

    `score` is the mean over the changes. `lost` names photos that do not find themselves, and `unreadable` maps
    those that could not be read to why.
    """

    scores: tuple[RobustnessScore, ...]
    score: float
    neighbours: int
    seed: int
    encoder: str
    lost: tuple[str, ...]
    unreadable: Mapping[str, str]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as the JSON of `imgsearch robustness --json`."""
        return {
            "score": self.score,
            "scores": [asdict(score) for score in self.scores],
            "neighbours": self.neighbours,
            "seed": self.seed,
            "encoder": self.encoder,
            "lost": list(self.lost),
            "unreadable": dict(self.unreadable),
            "warnings": list(self.warnings),
        }

    @staticmethod
    def from_dict(document: Mapping[str, Any]) -> RobustnessReport:
        """Return the report of an `as_dict`."""
        return RobustnessReport(
            scores=tuple(RobustnessScore(**score) for score in document["scores"]),
            score=document["score"],
            neighbours=document["neighbours"],
            seed=document["seed"],
            encoder=document["encoder"],
            lost=tuple(document["lost"]),
            unreadable=document["unreadable"],
            warnings=tuple(document["warnings"]),
        )


# --- the changes ------------------------------------------------------------------------------------------------


def _mirrored(image: Image.Image) -> bytes:
    return _png(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def _cropped(image: Image.Image) -> bytes:
    width, height = image.size
    left, top = round(width * 0.05), round(height * 0.05)
    return _png(image.crop((left, top, max(left + 1, width - left), max(top + 1, height - top))))


def _recompressed(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    return buffer.getvalue()


def _half_size(image: Image.Image) -> bytes:
    size = (max(1, image.width // 2), max(1, image.height // 2))
    return _png(image.resize(size, Image.Resampling.LANCZOS))


def _rotated(image: Image.Image, degrees: float) -> bytes:
    # The corners that open up take the colour that the border mostly has, as a scanner's or a studio's ground would.
    pixels = np.asarray(image)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    ground = tuple(int(level) for level in np.median(border, axis=0))
    return _png(image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=ground))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


TRANSFORMATIONS: Mapping[str, Callable[[Image.Image], bytes]] = {
    "mirrored": _mirrored,
    "cropped by 10%": _cropped,
    "saved as JPEG, quality 40": _recompressed,
    "half the size": _half_size,
    "turned left by 5°": lambda image: _rotated(image, DEGREES),
    "turned right by 5°": lambda image: _rotated(image, -DEGREES),
}
"""How a picture is changed: an upright RGB image in, an encoded picture out; in the order of a report."""


# --- checking ---------------------------------------------------------------------------------------------------


def check_robustness(
    search: Callable[[Query], SearchResult],
    catalog: CatalogStore,
    read_photo: Callable[[Item], bytes],
    *,
    n: int = 100,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> RobustnessReport:
    """Search for up to `n` photos of the catalog as they are and changed, and return how many neighbours stay.

    The same `seed` draws the same photos of the same catalog. `read_photo` gives a photo's bytes; those that cannot
    be read are left out and listed. `progress` is called with (photos done, photos in all).

    Raises `EvaluationError` for an `n` that makes no sense, a catalog of fewer than two items, or where no photo
    could be read; and what the encoder raises.
    """
    if not 1 <= n <= MAX_SAMPLE:
        raise EvaluationError(f"The sample has {n} photos, but must have from 1 to {MAX_SAMPLE:,}.")
    k = min(NEIGHBOURS, len(catalog) - 1)
    if k < 1:
        raise EvaluationError("A catalog needs at least two photos for this check; index some more.")
    keys = catalog.keys()
    items = catalog.by_keys(np.random.default_rng(seed).permutation(keys)[:n])
    found: list[bool] = []
    lost: list[str] = []
    kept: dict[str, list[float]] = {change: [] for change in TRANSFORMATIONS}
    unreadable: dict[str, str] = {}
    encoder = catalog.encoder_id
    for done, item in enumerate(items, start=1):
        try:
            original = read_photo(item)
            image = decode_image(original, target_px=TARGET_PX)
            plain = search(Query.of(image=original, n=k + 1))
        except (ImageError, SourceError) as error:
            unreadable[item.item_id] = str(error)
            continue
        finally:
            if progress is not None:
                progress(done, len(items))
        encoder = plain.encoder
        itself = _finds_itself(plain, item.item_id)
        found.append(itself)
        if not itself:
            lost.append(item.item_id)
        neighbours = _neighbours(plain, item.item_id, k)
        for change, apply in TRANSFORMATIONS.items():
            changed = _neighbours(
                search(Query.of(image=apply(image), n=k + 1)), item.item_id, len(neighbours)
            )
            kept[change].append(len(neighbours & changed) / max(1, len(neighbours)))
    if not found:
        item_id, reason = next(iter(unreadable.items()))
        raise EvaluationError(f"None of the {len(items)} photos drawn can be read; {item_id!r}: {reason}")
    scores = [
        RobustnessScore(
            SELF_FIRST, float(np.mean(found)), *wilson_interval(sum(found), len(found)), len(found)
        )
    ]
    for change, shares in kept.items():
        low, high = bootstrap_interval(shares, seed)
        scores.append(RobustnessScore(change, float(np.mean(shares)), low, high, len(shares)))
    return RobustnessReport(
        scores=tuple(scores),
        score=float(np.mean([score.mean for score in scores[1:]])),
        neighbours=k,
        seed=seed,
        encoder=encoder,
        lost=tuple(lost),
        unreadable=unreadable,
        warnings=_warnings(lost, unreadable, len(items)),
    )


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95% interval of a share; at 0 and 1 it does not collapse to a point.

    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 1927.
    """
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def _finds_itself(result: SearchResult, item_id: str) -> bool:
    """Say whether the item is the first hit, or level with the first: a copy of its photo may come before it."""
    best = max((hit.score for hit in result.hits), default=0.0)
    return any(hit.item_id == item_id and hit.score >= best - SAME_SCORE for hit in result.hits)


def _neighbours(result: SearchResult, item_id: str, k: int) -> set[str]:
    """Return the k nearest items beside the item itself."""
    return set([hit.item_id for hit in result.hits if hit.item_id != item_id][:k])


def _warnings(lost: list[str], unreadable: Mapping[str, str], drawn: int) -> tuple[str, ...]:
    warnings = []
    if lost:
        warnings.append(
            f"{_photos(len(lost))} of {drawn:,} did not find themselves first, such as {lost[0]!r}: the photos may "
            "have changed since they were indexed; `imgsearch index` brings the catalog up to date."
        )
    if len(unreadable) > MANY_UNREADABLE * drawn:
        item_id, reason = next(iter(unreadable.items()))
        warnings.append(f"{_photos(len(unreadable))} could not be read; {item_id!r}: {reason}")
    return tuple(warnings)


def _photos(count: int) -> str:
    return f"{count:,} photo{'' if count == 1 else 's'}"
