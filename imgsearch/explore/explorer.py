"""The map of the catalog: where every photo stands among the others, in what colour, in which group.

It owns `<catalog>/explore/` (`pca.npz` and `layout.npz`, each put in place whole, with the space, generation and
moment that it is of), the background job that lays a map out, and how a map travels to a browser. The principal axes
are there at once; groups and UMAP come from a process of its own (`imgsearch.explore.worker`), so that searches go
on, and a machine that is short of memory loses that process and not this one. It draws nothing.

How a map travels: 4 bytes (little-endian, how long the header is), the header (JSON, filled up to a multiple of 4
bytes), then `keys` (n) uint32, `places` (n, 2 or 3) uint16 over the longest side, and `colors` (n) uint16: the number
of the value in the header's list, or for numbers how far between its `low` and `high`; 65535 is no value.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.background import JobRunner, Progress
from imgsearch.core.errors import ExploreError, ImgSearchError, QueryError
from imgsearch.core.files import flush_to_disk
from imgsearch.core.key_arrays import places_in
from imgsearch.core.memory import available_bytes
from imgsearch.core.records import Item
from imgsearch.encoders.base import Encoder
from imgsearch.explore.cluster_words import cluster_words, shared_values
from imgsearch.explore.clusters import Clustering, medoids
from imgsearch.explore.projection import Axes, principal_axes, project
from imgsearch.explore.worker import NO_MEMORY, has_umap
from imgsearch.index.live_index import LiveIndex
from imgsearch.store.catalog import CatalogStore

__all__ = ["ClusterCard", "Explorer", "Layout", "MapState", "Plan", "plan_for"]

Keys = NDArray[np.uint64]
Rows = NDArray[np.float32]
Projection = Literal["pca", "umap"]

FORMAT = 1
MAX_POINTS = 200_000
"""More photos than these are sampled: a browser draws so many smoothly, and no eye tells more apart."""
MAX_FIT = 20_000
"""How many photos UMAP lays out itself; the others are placed among them by their neighbours."""
MIN_FIT = 500
FEW = 8
"""Fewer photos than these make no map worth laying out by UMAP."""
AXES = 50
AXES_FROM = 20_000
WORKER_BYTES = 700 * 1024**2
FIT_ROW_BYTES = 24 * 1024
POINT_BYTES = 2 * 1024
POLL_S = 0.2
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
MOST_WORDS = 5
OUT_OF_MEMORY = (-9, NO_MEMORY)
"""How the worker ends where memory runs short: the system kills it, or it notices itself."""
COLORS = 20
"""How many values of a column get a place in the legend; the rest is "Other"."""
NO_VALUE = 65535


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a map is made: `points` photos on it, `fit` of them laid out by UMAP; `notes` say what was cut."""

    points: int
    fit: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Layout:
    """A map that was laid out: photos by ascending key, their groups, and with UMAP their places.

    `plane` is (n, 2) and `solid` (n, 3) float32, or with no rows where UMAP did not run. `labels` (n,) int32 are the
    groups, `loneliness` (n,) float32 the mean distance to the nearest photos, `middles` (k,) uint64 the keys of the
    photos in the middle of each group, `words` what fits it.
    """

    keys: Keys
    plane: Rows
    solid: Rows
    labels: NDArray[np.int32]
    loneliness: Rows
    middles: Keys
    words: tuple[tuple[str, ...], ...]
    space: str
    generation: int
    made_at: str
    notes: tuple[str, ...] = ()

    @property
    def has_umap(self) -> bool:
        """Whether the photos were laid out by UMAP."""
        return len(self.plane) == len(self.keys) > 0


@dataclass(frozen=True, slots=True)
class MapState:
    """How the map stands: `made_at` is "" before the first one, `new` and `gone` count photos since.

    `other_space` says that it is of another model or head. `umap` says that there is such a layout, `can_umap` that
    one could be made here.
    """

    made_at: str
    generation: int
    new: int
    gone: int
    other_space: bool
    umap: bool
    can_umap: bool
    notes: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether there are groups of the present space."""
        return bool(self.made_at) and not self.other_space


@dataclass(frozen=True, slots=True)
class ClusterCard:
    """One group: its number in the legend, how many photos, the one in the middle, and the words that fit it."""

    number: int
    size: int
    middle: Item
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """A few words for people."""
        return " · ".join(self.words[:2]) or self.middle.title


@dataclass(frozen=True, eq=False)
class _Points:
    """Photos on a map and where they stand, (n, 3) float32 for the principal axes."""

    keys: Keys
    places: Rows


def plan_for(items: int, budget_bytes: int, *, can_umap: bool = True) -> Plan:
    """Return how large a map of `items` photos may be made within `budget_bytes` of memory."""
    notes = []
    points = min(items, MAX_POINTS, max(1000, budget_bytes // POINT_BYTES))
    if points < items:
        notes.append(f"The map shows {points:,} of {items:,} photos, drawn at random.")
    if not can_umap or points < FEW:
        return Plan(points, 0, tuple(notes))
    room = (budget_bytes - WORKER_BYTES) // FIT_ROW_BYTES
    wanted = min(points, MAX_FIT)
    if room < min(wanted, MIN_FIT):
        notes.append(
            f"Memory is short ({budget_bytes // 1024**2:,} MB to spare), so UMAP did not run; PCA shows the catalog."
        )
        return Plan(points, 0, tuple(notes))
    fit = min(wanted, room)
    return Plan(points, fit, (*notes, *_sample_note(points, fit, short=fit < wanted)))


def _sample_note(points: int, fit: int, *, short: bool) -> tuple[str, ...]:
    if fit >= points:
        return ()
    why = "Memory is short, so UMAP" if short else "UMAP"
    return (f"{why} laid out {fit:,} photos; the other {points - fit:,} stand among their nearest ones.",)


class Explorer:
    """The maps of one open catalog; safe to use from any thread."""

    def __init__(
        self,
        catalog: CatalogStore,
        index: Callable[[], LiveIndex],
        encoder: Callable[[], Encoder],
        *,
        hidden: Callable[[], Keys] | None = None,
        memory_bytes: int = 0,
    ) -> None:
        """Take the index in force, the encoder (for words; it may raise), and the keys of photos never to be shown.

        `memory_bytes` limits what a map may take; 0 stands for half of what is available.
        """
        self.jobs = JobRunner()
        self._catalog = catalog
        self._index = index
        self._encoder = encoder
        self._hidden = hidden or (lambda: np.zeros(0, np.uint64))
        self._memory_bytes = memory_bytes
        self._folder = catalog.folder / "explore"
        self._lock = threading.Lock()
        self._projecting = threading.Lock()
        self._pca: tuple[tuple[str, int], _Points] | None = None
        self._layout: Layout | None = None
        self._layout_read = False

    def close(self) -> None:
        """Stop the job in the background, if one runs."""
        self.jobs.close()

    # --- how it stands ----------------------------------------------------------------------------------------

    def state(self) -> MapState:
        """Return how the map stands against the catalog now."""
        layout = self.layout()
        if layout is None:
            return MapState("", 0, 0, 0, False, False, has_umap())
        keys = self._catalog.keys()
        sampled = len(layout.keys) >= MAX_POINTS
        return MapState(
            layout.made_at,
            layout.generation,
            0 if sampled else len(np.setdiff1d(keys, layout.keys, assume_unique=True)),
            len(np.setdiff1d(layout.keys, keys, assume_unique=True)),
            layout.space != self._index().space.id,
            layout.has_umap,
            has_umap(),
            layout.notes,
        )

    def layout(self) -> Layout | None:
        """Return the layout that was made last, or None; one that cannot be read counts as none."""
        with self._lock:
            if not self._layout_read:
                self._layout = _read_layout(self._folder / "layout.npz")
                self._layout_read = True
            return self._layout

    # --- laying it out ----------------------------------------------------------------------------------------

    def start(self, *, seed: int = 0) -> None:
        """Begin to lay the map out in the background; raises `JobRunning` while that goes on."""
        self.jobs.start("Laying out the map", lambda progress: self.lay_out(seed=seed, progress=progress))

    def lay_out(self, *, seed: int = 0, progress: Progress | None = None) -> str:
        """Lay the map out, keep it, and return when it was made; takes seconds to minutes.

        Raises `ExploreError` where the process that does it fails; what was there before stays then.
        """
        say = progress or (lambda done, total: None)
        say(0, 100)
        plan = plan_for(len(self._catalog), self._budget_bytes(), can_umap=has_umap())
        index = self._index()
        generation, space = index.generation, index.space
        self._principal()  # what is looked at meanwhile comes first
        keys = _drawn(self._catalog.keys(), plan.points, seed)
        rows = project(keys, space.vectors, self._axes(keys, seed))
        shutil.rmtree(self._folder / "work", ignore_errors=True)  # of a process that was killed
        work = self._folder / "work"
        work.mkdir(parents=True)
        try:
            np.save(work / "rows.npy", rows)
            _check(work, _run_worker(work, 0, seed, say))
            layout = self._grouped(work, keys, rows, space.id, generation, plan.notes)
            if plan.fit:
                if not self.state().usable:  # groups at once, UMAP as soon as it is there
                    self._keep(layout)
                layout = _with_umap(work, layout, plan, seed, say)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        say(100, 100)  # the last moment to be stopped
        self._keep(layout)
        return layout.made_at

    def _grouped(
        self, work: Path, keys: Keys, rows: Rows, space: str, generation: int, notes: tuple[str, ...]
    ) -> Layout:
        """Return the layout without UMAP that the worker's groups make."""
        with np.load(work / "clusters.npz") as made:
            clustering, lonely = Clustering(made["labels"], made["centres"]), made["loneliness"]
        return Layout(
            keys,
            np.zeros((0, 2), np.float32),
            np.zeros((0, 3), np.float32),
            clustering.labels,
            lonely,
            keys[medoids(rows, clustering)],
            self._words(keys, clustering),
            space,
            generation,
            datetime.now(UTC).isoformat(timespec="seconds"),
            notes,
        )

    def _keep(self, layout: Layout) -> None:
        _write_layout(self._folder / "layout.npz", layout)
        with self._lock:
            self._layout, self._layout_read = layout, True

    def _budget_bytes(self) -> int:
        available = available_bytes()
        free = 4 * 1024**3 if available is None else available // 2
        return min(self._memory_bytes, free) if self._memory_bytes else free

    def _axes(self, keys: Keys, seed: int) -> Axes:
        return principal_axes(self._index().space.vectors(_drawn(keys, AXES_FROM, seed)), AXES)

    def _words(self, keys: Keys, clustering: Clustering) -> tuple[tuple[str, ...], ...]:
        """Return the words of each group: what its photos share, then what the encoder says where it can be had."""
        shared = shared_values(self._catalog, keys, clustering.labels)
        try:
            fitting = cluster_words(self._catalog, self._encoder(), keys, clustering.labels)
        except ImgSearchError:
            fitting = tuple(() for _ in shared)
        return tuple(
            tuple({word.casefold(): word for word in (*few, *more)}.values())[:MOST_WORDS]
            for few, more in zip(shared, fitting, strict=True)
        )

    # --- what is on it ----------------------------------------------------------------------------------------

    def clusters(self) -> list[ClusterCard]:
        """Return the groups of the present layout, largest first; photos that are gone or hidden are not counted."""
        layout = self.layout()
        if layout is None or layout.space != self._index().space.id:
            return []
        shown = self._shown(layout.keys)
        sizes = np.bincount(layout.labels[shown], minlength=len(layout.middles))
        middles = {item.key: item for item in self._catalog.by_keys(layout.middles)}
        cards = []
        for number in np.flatnonzero(sizes).tolist():
            members = layout.keys[shown & (layout.labels == number)]
            key = int(layout.middles[number])
            middle = middles.get(key) if key in members else None
            stand_in = [middle] if middle is not None else self._catalog.by_keys(members[:1])
            cards += [
                ClusterCard(number, int(sizes[number]), item, layout.words[number]) for item in stand_in
            ]
        return cards

    def members(self, cluster: int) -> Keys:
        """Return the keys of a group's photos, those in the middle first; none for a group that there is not."""
        layout = self.layout()
        if layout is None:
            return np.zeros(0, np.uint64)
        found = np.flatnonzero(self._shown(layout.keys) & (layout.labels == cluster))
        return layout.keys[found[np.argsort(layout.loneliness[found], kind="stable")]]

    def outliers(self, n: int) -> list[Item]:
        """Return the n photos that look least like any other, the loneliest first."""
        layout = self.layout()
        if layout is None or layout.space != self._index().space.id:
            return []
        shown = np.flatnonzero(self._shown(layout.keys))
        order = shown[np.argsort(-layout.loneliness[shown], kind="stable")]
        return self._catalog.by_keys(layout.keys[order[:n]])

    def photos(self, keys: Sequence[int]) -> list[Item]:
        """Return the items of the keys that are alive and not hidden, in the order asked for."""
        wanted = np.array([key for key in keys if 0 <= key < 2**63], np.uint64)
        return self._catalog.by_keys(wanted[self._shown(wanted)])

    def document(self, projection: Projection, dimensions: Literal[2, 3], by: str = "") -> tuple[bytes, str]:
        """Return a map as it travels, and its entity tag.

        `by` is "" (one colour), `cluster`, `outlier`, or `column:NAME`. Raises `ExploreError` for a layout or groups
        that are not there yet, `QueryError` for another `by` and `FilterError` for an unknown column.
        """
        points = self._points(projection, dimensions)
        shown = self._shown(points.keys)
        keys, places = points.keys[shown], points.places[shown]
        colors, legend = self._colors(keys, by)
        header = {
            "format": FORMAT,
            "count": len(keys),
            "dimensions": dimensions,
            "projection": projection,
            "legend": legend,
        }
        body = _packed(header, [keys.astype("<u4"), _quantised(places), colors.astype("<u2")])
        return body, f'"{hashlib.sha256(body).hexdigest()[:24]}"'

    def _points(self, projection: Projection, dimensions: int) -> _Points:
        if projection == "pca":
            found = self._principal()
            return _Points(found.keys, found.places[:, :dimensions])
        layout = self.layout()
        if layout is None or not layout.has_umap or layout.space != self._index().space.id:
            raise ExploreError(
                "There is no UMAP layout of this catalog yet; lay the map out on the Explore page."
            )
        return _Points(layout.keys, layout.plane if dimensions == 2 else layout.solid)

    def _principal(self) -> _Points:
        """Return the photos along the principal axes, made anew when the catalog or the space has changed."""
        version, space = self._catalog.version, self._index().space
        with self._projecting:
            if self._pca is not None and self._pca[0] == (space.id, version):
                return self._pca[1]
            keys = _drawn(self._catalog.keys(), MAX_POINTS, 0)
            path = self._folder / "pca.npz"
            places = _read_pca(path, space.id, keys)
            if places is None:
                axes = principal_axes(space.vectors(_drawn(keys, AXES_FROM, 0)), 3)
                found = project(keys, space.vectors, axes)
                places = np.zeros((len(keys), 3), np.float32)
                places[:, : found.shape[1]] = found
                _write(path, {"space": space.id}, {"keys": keys, "places": places})
            self._pca = ((space.id, version), _Points(keys, places))
            return self._pca[1]

    def _shown(self, keys: Keys) -> NDArray[np.bool_]:
        """Return which of the keys are of photos that are there and not hidden."""
        alive = np.isin(keys, self._catalog.keys())
        hidden = self._hidden()
        return alive & ~np.isin(keys, hidden) if len(hidden) else alive

    # --- colours ----------------------------------------------------------------------------------------------

    def _colors(self, keys: Keys, by: str) -> tuple[NDArray[np.uint16], dict[str, Any]]:
        if not by:
            return np.zeros(len(keys), np.uint16), {"kind": "none", "by": ""}
        if by in ("cluster", "outlier"):
            return self._layout_colors(keys, by)
        if not by.startswith("column:"):
            raise QueryError(
                f"The map cannot be coloured by {by[:40]!r}; give cluster, outlier or column:NAME."
            )
        name = by.removeprefix("column:")
        there, found, kind = self._catalog.metadata.column(name, keys)
        place = np.searchsorted(keys, there)
        if kind == "number":
            numbers = np.full(len(keys), np.nan)
            numbers[place] = found
            return _ramp(numbers, by)
        values = np.full(len(keys), None, object)  # also of photos that are gone this very moment
        values[place] = found
        names = {value: _label(value) for value in set(values.tolist())}
        return _choices(list(map(names.__getitem__, values.tolist())), by)

    def _layout_colors(self, keys: Keys, by: str) -> tuple[NDArray[np.uint16], dict[str, Any]]:
        layout = self.layout()
        if layout is None or layout.space != self._index().space.id or len(layout.keys) == 0:
            raise ExploreError(
                "There are no groups of this catalog yet; lay the map out on the Explore page."
            )
        place, known = places_in(layout.keys, keys)
        if by == "outlier":
            return _ramp(np.where(known, layout.loneliness[place], np.nan), by)
        codes = np.where(known, layout.labels[place], NO_VALUE).astype(np.uint16)
        counts = np.bincount(codes[known], minlength=len(layout.middles)).tolist()
        names = {card.number: card.name for card in self.clusters()}
        values = [{"label": names.get(number, ""), "count": count} for number, count in enumerate(counts)]
        return codes, {"kind": "choice", "by": by, "values": values, "none": int((~known).sum())}


def _label(value: Any) -> str | None:
    if value is None or value != value:
        return None
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return str(value)


def _choices(labels: Sequence[str | None], by: str) -> tuple[NDArray[np.uint16], dict[str, Any]]:
    """Return a number for each label, most frequent first; those beyond the legend share one, "Other"."""
    counts = Counter(label for label in labels if label is not None)
    order = sorted(counts, key=lambda label: (-counts[label], label))
    listed, rest = order[:COLORS], order[COLORS:]
    numbers: dict[str | None, int] = {label: number for number, label in enumerate(listed)}
    numbers |= dict.fromkeys(rest, len(listed)) | {None: NO_VALUE}
    values: list[dict[str, Any]] = [{"label": label, "count": counts[label]} for label in listed]
    if rest:
        values.append({"label": "Other", "count": sum(counts[label] for label in rest), "other": True})
    codes = np.fromiter(map(numbers.__getitem__, labels), np.uint16, len(labels))
    legend = {"kind": "choice", "by": by, "values": values, "none": int((codes == NO_VALUE).sum())}
    return codes, legend


def _ramp(values: NDArray[np.float64], by: str) -> tuple[NDArray[np.uint16], dict[str, Any]]:
    """Return how far each value lies from the 2nd to the 98th percentile: extremes would bleach the rest."""
    known = np.isfinite(values)
    if not known.any():
        codes = np.full(len(values), NO_VALUE, np.uint16)
        return codes, {"kind": "number", "by": by, "low": 0.0, "high": 0.0, "none": len(values)}
    low, high = (float(value) for value in np.percentile(values[known], (2, 98)))
    share = np.clip((np.where(known, values, low) - low) / max(high - low, 1e-12), 0.0, 1.0)
    codes = np.where(known, np.round(share * (NO_VALUE - 1)), NO_VALUE).astype(np.uint16)
    return codes, {"kind": "number", "by": by, "low": low, "high": high, "none": int((~known).sum())}


# --- the process that lays out ------------------------------------------------------------------------------------


def _with_umap(work: Path, layout: Layout, plan: Plan, seed: int, say: Progress) -> Layout:
    """Return the layout with places by UMAP: of ever fewer photos where memory runs short, of none at last."""
    fit = plan.fit
    while fit:
        status = _run_worker(work, fit, seed, say)
        if status == 0:
            cut = _sample_note(plan.points, fit, short=True) if fit < plan.fit else ()
            plane, solid = (np.load(work / f"{name}.npy") for name in ("plane", "solid"))
            return replace(layout, plane=plane, solid=solid, notes=(*layout.notes, *cut))
        if status not in OUT_OF_MEMORY:
            _check(work, status)
        fit = fit // 2 if fit // 2 >= MIN_FIT else 0
    short = "Memory is short, so UMAP did not run; PCA shows the catalog."
    return replace(layout, notes=(*layout.notes, short))


def _run_worker(work: Path, fit: int, seed: int, say: Progress) -> int:
    """Run the worker to its end and return its exit status; when `say` raises, the worker is ended too.

    It finds groups, or with `fit` lays out that many photos by UMAP.
    """
    (work / "job.json").write_text(json.dumps({"fit": fit, "seed": seed}), encoding="utf-8")
    command = [sys.executable, "-m", "imgsearch.explore.worker", str(work)]
    environment = {**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONPATH": _python_path()}
    with (work / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=work, env=environment, stdout=log, stderr=log)  # noqa: S603
    try:
        while True:
            try:
                return process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                say(*_progress_in(work / "progress"))
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _check(work: Path, status: int) -> None:
    if status:
        reason = "memory ran short." if status in OUT_OF_MEMORY else _last_line(work / "log")
        raise ExploreError(f"The map could not be laid out: {reason}")


def _python_path() -> str:
    """Return where the worker finds this package, wherever it was imported from."""
    package = str(Path(__file__).resolve().parent.parent.parent)
    return os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH", ""))))


def _progress_in(path: Path) -> tuple[int, int]:
    with suppress(OSError, ValueError):
        done, total = path.read_text(encoding="ascii").split()
        return int(done), int(total)
    return 0, 100


def _last_line(path: Path) -> str:
    with suppress(OSError):
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if lines:
            return lines[-1][:300]
    return "its process ended without a word."


# --- files and bytes ----------------------------------------------------------------------------------------------


def _drawn(keys: Keys, most: int, seed: int) -> Keys:
    """Return at most so many of the keys, drawn at random, ascending."""
    if len(keys) <= most:
        return keys
    return np.asarray(keys[np.sort(np.random.default_rng(seed).permutation(len(keys))[:most])], np.uint64)


def _write(path: Path, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Put a file of arrays in place of what is there; a reader, or a killed process, leaves the old or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"format": FORMAT, **header}).encode()
    data = BytesIO()
    np.savez(data, header=np.frombuffer(text, np.uint8), **arrays)  # type: ignore[arg-type]
    part = path.with_name(path.name + ".part")
    part.write_bytes(data.getvalue())
    flush_to_disk(part)
    part.replace(path)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
    """Return a file's header and arrays, or None where it is missing, damaged, or of another format."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop("header").tobytes())
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    return (header, arrays) if header.get("format") == FORMAT else None


def _read_pca(path: Path, space: str, keys: Keys) -> Rows | None:
    found = _read(path)
    if found is None or found[0].get("space") != space or not np.array_equal(found[1].get("keys", ()), keys):
        return None
    return np.asarray(found[1]["places"], np.float32)


_ARRAYS = ("keys", "plane", "solid", "labels", "loneliness", "middles")
_FACTS = ("words", "space", "generation", "made_at", "notes")


def _write_layout(path: Path, layout: Layout) -> None:
    header = {name: getattr(layout, name) for name in _FACTS}
    _write(path, header, {name: getattr(layout, name) for name in _ARRAYS})


def _read_layout(path: Path) -> Layout | None:
    found = _read(path)
    if found is None:
        return None
    header, arrays = found
    try:
        return Layout(
            **{name: arrays[name] for name in _ARRAYS},
            words=tuple(tuple(words) for words in header["words"]),
            space=header["space"],
            generation=header["generation"],
            made_at=header["made_at"],
            notes=tuple(header["notes"]),
        )
    except KeyError:
        return None


def _quantised(places: Rows) -> NDArray[np.uint16]:
    """Return (n, d) places as uint16, one scale for all sides, so that distances keep their proportions."""
    if len(places) == 0:
        return np.zeros(places.shape, np.uint16)
    low, high = places.min(axis=0), places.max(axis=0)
    side = float((high - low).max()) or 1.0
    centred = (places - (low + high) / 2) / side + 0.5
    return np.asarray(np.round(np.clip(centred, 0.0, 1.0) * 65535), np.dtype("<u2"))


def _packed(header: dict[str, Any], arrays: Sequence[NDArray[Any]]) -> bytes:
    text = json.dumps(header, ensure_ascii=False).encode("utf-8", errors="replace")
    text += b" " * (-len(text) % 4)
    return b"".join([len(text).to_bytes(4, "little"), text, *(array.tobytes() for array in arrays)])
