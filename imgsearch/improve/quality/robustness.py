"""Robustness: does the search find the same photos if a picture is mirrored, cropped or saved again?

A metamorphic test that needs no judgments (Segura et al., "A Survey on Metamorphic Testing", IEEE TSE 2016): each
photo of a sample is searched like an upload. Unchanged, it must find itself first; changed, its neighbours must stay.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image
from pydantic import BaseModel

from imgsearch.core.errors import EvaluationError, ImageError, SourceError
from imgsearch.core.query import Query
from imgsearch.core.records import Item, SearchResult
from imgsearch.improve.quality.measures import bootstrap_interval
from imgsearch.store.catalog import CatalogStore
from imgsearch.vision.images import decode_image

Search = Callable[[Query], SearchResult]

SELF_FIRST = "finds itself first"
NEIGHBOURS = 10
TARGET_PX = 768
"""Pictures are changed at about this size: no encoder uses more pixels."""
MAX_SAMPLE = 10_000
SAME_SCORE = 1e-5
"""Photos this close in score to the first hit are copies of it; either may come first."""
MANY_UNREADABLE = 0.1
CROPPED_MARGIN = 0.05
JPEG_QUALITY = 40
DEGREES = 5.0


class RobustnessScore(BaseModel, frozen=True):
    """One change's score over the sample, with its 95% interval.

    For `SELF_FIRST` it is the share of photos that find themselves first (Wilson's interval); for a change the mean
    share of the 10 nearest photos that stay (percentile bootstrap).
    """

    change: str
    mean: float
    low: float
    high: float
    photos: int


class RobustnessReport(BaseModel, frozen=True):
    """What a robustness check found, the JSON of `imgsearch robustness --json`.

    `score` is the mean over the changes, `lost` the photos that do not find themselves. `unreadable` maps photos that
    could not be read to the reason.
    """

    scores: tuple[RobustnessScore, ...]
    score: float
    neighbours: int
    seed: int
    encoder: str
    lost: tuple[str, ...]
    unreadable: Mapping[str, str]
    warnings: tuple[str, ...]


def check_robustness(
    search: Search,
    catalog: CatalogStore,
    read_photo: Callable[[Item], bytes],
    *,
    n: int = 100,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> RobustnessReport:
    """Search for up to `n` photos of the catalog unchanged and changed, and return how many neighbours stay.

    The same `seed` draws the same photos of the same catalog. `read_photo` returns a photo's bytes; photos that
    cannot be read are left out and listed. `progress` is called with (photos done, photos in all).

    Raises `EvaluationError` for an `n` out of range, a catalog of fewer than two items, or if no photo can be read;
    and what the encoder raises.
    """
    if not 1 <= n <= MAX_SAMPLE:
        raise EvaluationError(f"The sample has {n} photos, but must have from 1 to {MAX_SAMPLE:,}.")
    k = min(NEIGHBOURS, len(catalog) - 1)
    if k < 1:
        raise EvaluationError("A catalog needs at least two photos for this check; index some more.")
    items = catalog.by_keys(np.random.default_rng(seed).permutation(catalog.keys())[:n])
    finds_itself: dict[str, bool] = {}
    kept: dict[str, list[float]] = {change: [] for change in TRANSFORMATIONS}
    unreadable: dict[str, str] = {}
    encoder = catalog.encoder_id
    for done, item in enumerate(items, start=1):
        try:
            plain, shares = _check_photo(search, item.item_id, read_photo(item), k)
        except (ImageError, SourceError) as error:
            unreadable[item.item_id] = str(error)
        else:
            encoder = plain.encoder
            finds_itself[item.item_id] = _finds_itself(plain, item.item_id)
            for change, share in shares.items():
                kept[change].append(share)
        if progress is not None:
            progress(done, len(items))
    if not finds_itself:
        item_id, reason = next(iter(unreadable.items()))
        raise EvaluationError(f"None of the {len(items)} photos drawn can be read; {item_id!r}: {reason}")
    lost = tuple(item_id for item_id, found in finds_itself.items() if not found)
    scores = _scores(list(finds_itself.values()), kept, seed)
    return RobustnessReport(
        scores=scores,
        score=float(np.mean([score.mean for score in scores[1:]])),
        neighbours=k,
        seed=seed,
        encoder=encoder,
        lost=lost,
        unreadable=unreadable,
        warnings=_warnings(lost, unreadable, len(items)),
    )


def _check_photo(search: Search, item_id: str, photo: bytes, k: int) -> tuple[SearchResult, dict[str, float]]:
    """Return the unchanged photo's result, and the share of its k neighbours that stay, by change."""
    image = decode_image(photo, target_px=TARGET_PX)
    plain = search(Query.of(image=photo, n=k + 1))
    neighbours = _neighbours(plain, item_id, k)
    shares = {}
    for change, apply in TRANSFORMATIONS.items():
        changed = _neighbours(search(Query.of(image=apply(image), n=k + 1)), item_id, len(neighbours))
        shares[change] = len(neighbours & changed) / max(1, len(neighbours))
    return plain, shares


def _finds_itself(result: SearchResult, item_id: str) -> bool:
    """Return whether the item is the first hit or has its score: a copy of its photo may come before it."""
    best = max((hit.score for hit in result.hits), default=0.0)
    return any(hit.item_id == item_id and hit.score >= best - SAME_SCORE for hit in result.hits)


def _neighbours(result: SearchResult, item_id: str, k: int) -> set[str]:
    """Return the k nearest items other than the item itself."""
    return set([hit.item_id for hit in result.hits if hit.item_id != item_id][:k])


def _scores(
    found: Sequence[bool], kept: Mapping[str, Sequence[float]], seed: int
) -> tuple[RobustnessScore, ...]:
    rows: list[tuple[str, Sequence[float], tuple[float, float]]] = [
        (SELF_FIRST, found, wilson_interval(sum(found), len(found))),
        *((change, shares, bootstrap_interval(shares, seed)) for change, shares in kept.items()),
    ]
    return tuple(
        RobustnessScore(change=change, mean=float(np.mean(values)), low=low, high=high, photos=len(values))
        for change, values, (low, high) in rows
    )


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95% interval of a share; at 0 and 1 it does not collapse to a point.

    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 1927.
    """
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def _warnings(lost: Sequence[str], unreadable: Mapping[str, str], drawn: int) -> tuple[str, ...]:
    warnings = []
    if lost:
        warnings.append(
            f"{_photos(len(lost))} of {drawn:,} did not find themselves first, such as {lost[0]!r}: the photos may "
            "have changed since they were indexed; run `imgsearch index` to update the catalog."
        )
    if len(unreadable) > MANY_UNREADABLE * drawn:
        item_id, reason = next(iter(unreadable.items()))
        warnings.append(f"{_photos(len(unreadable))} could not be read; {item_id!r}: {reason}")
    return tuple(warnings)


def _photos(count: int) -> str:
    return f"{count:,} photo{'' if count == 1 else 's'}"


def _encoded(image: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **(options or {"compress_level": 1}))
    return buffer.getvalue()


def _mirrored(image: Image.Image) -> bytes:
    return _encoded(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def _cropped(image: Image.Image) -> bytes:
    width, height = image.size
    left, top = round(width * CROPPED_MARGIN), round(height * CROPPED_MARGIN)
    return _encoded(image.crop((left, top, max(left + 1, width - left), max(top + 1, height - top))))


def _half_size(image: Image.Image) -> bytes:
    size = (max(1, image.width // 2), max(1, image.height // 2))
    return _encoded(image.resize(size, Image.Resampling.LANCZOS))


def _rotated(image: Image.Image, degrees: float) -> bytes:
    # The corners get the median colour of the border, like the background of a scanner or a studio.
    pixels = np.asarray(image)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    background = tuple(int(level) for level in np.median(border, axis=0))
    return _encoded(image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=background))


TRANSFORMATIONS: Mapping[str, Callable[[Image.Image], bytes]] = {
    "mirrored": _mirrored,
    "cropped by 10%": _cropped,
    "saved as JPEG, quality 40": lambda image: _encoded(image, "JPEG", quality=JPEG_QUALITY),
    "half the size": _half_size,
    "turned left by 5°": lambda image: _rotated(image, DEGREES),
    "turned right by 5°": lambda image: _rotated(image, -DEGREES),
}
"""The changes by name, in the order of a report: an upright RGB image in, an encoded picture out."""
