"""The Sample Store: the bundled catalog of rendered products that the demo opens and the tests measure on.

`scripts/render_sample_store.py` makes photos, manifest and ground truth, `scripts/embed_sample_store.py` the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from imgsearch.core.config import Settings, user_data_dir
from imgsearch.core.errors import SourceError
from imgsearch.encoders.lite.weights import lite_id
from imgsearch.ingest.indexing import IndexingOptions, index_sources
from imgsearch.ingest.pruning import NO_LIMIT
from imgsearch.ingest.run import ProgressCallback
from imgsearch.search.engine import SearchEngine
from imgsearch.search.ranking.confidence import Kind
from imgsearch.store.catalog import CatalogStore
from imgsearch.vision.looks import LOOK_VERSION, Look

LOOKS_FILE = "looks.npz"


@dataclass(frozen=True, slots=True)
class SampleStore:
    """The bundled files: `manifest.csv` lists the photos, `topics.tsv` and the `.trec` files are the ground truth."""

    folder: Path

    @property
    def manifest(self) -> Path:
        """The table of photos: id, image, title, product_id, view, type, category, material, colour, ..."""
        return self.folder / "manifest.csv"

    @property
    def topics(self) -> Path:
        """The queries of the ground truth, `qid<TAB>kind<TAB>query`."""
        return self.folder / "topics.tsv"

    @property
    def embeddings(self) -> Path:
        """The `lite` embeddings of the photos, row by row of the manifest, float16."""
        return self.folder / "embeddings.lite.npy"

    def embeddings_of(self, encoder_id: str) -> Path | None:
        """Return the file of shipped embeddings if this encoder made them, else None."""
        try:
            made_by = json.loads(self.embeddings.with_suffix(".json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return self.embeddings if made_by == self._stamp(encoder_id) else None

    def write_embeddings(self, encoder_id: str, vectors: NDArray[np.float32]) -> None:
        """Write embeddings, (photos, dim) float32 unit rows in the manifest's order, with the encoder's id."""
        np.save(self.embeddings, vectors.astype(np.float16))
        stamp = json.dumps(self._stamp(encoder_id), indent=2)
        self.embeddings.with_suffix(".json").write_text(stamp + "\n", encoding="utf-8")

    def looks(self) -> dict[str, Look]:
        """Return the shipped looks by item id; empty if they have another version or are of other photos."""
        try:
            with np.load(self.folder / LOOKS_FILE, allow_pickle=False) as shipped:
                if str(shipped["stamp"]) != self._looks_stamp():
                    return {}
                rows = zip(
                    shipped["ids"].tolist(), shipped["vectors"], shipped["phashes"].tolist(), strict=True
                )
                return {item_id: Look(row.astype(np.float32), phash) for item_id, row, phash in rows}
        except FileNotFoundError:
            return {}

    def write_looks(self, looks: Mapping[str, Look]) -> None:
        """Write looks by item id, with their version and that of the photos."""
        np.savez_compressed(
            self.folder / LOOKS_FILE,
            stamp=np.array(self._looks_stamp()),
            ids=np.array(list(looks)),
            vectors=np.array([look.vector for look in looks.values()], np.float16),
            phashes=np.array([look.phash for look in looks.values()], np.uint64),
        )

    @property
    def version(self) -> str:
        """A hash that changes with the bundled photos or their metadata."""
        return hashlib.sha256(self.manifest.read_bytes()).hexdigest()[:16]

    def _stamp(self, encoder_id: str) -> dict[str, str]:
        return {"encoder": encoder_id, "manifest": self.version}

    def _looks_stamp(self) -> str:
        return f"looks {LOOK_VERSION} of {self.version}"


def sample_store() -> SampleStore:
    """Return the bundled Sample Store; raises `SourceError` when this installation lacks it."""
    folder = Path(str(resources.files("imgsearch") / "data" / "sample_store"))
    store = SampleStore(folder)
    if not store.manifest.is_file():
        raise SourceError(
            f"The Sample Store is missing from this installation ({folder}); install imgsearch again."
        )
    return store


def ensure_demo_catalog(progress: ProgressCallback | None = None, *, folder: Path | None = None) -> Path:
    """Return the folder of the demo's catalog, by default in the user's data folder; builds or updates it first.

    A demo catalog of an older encoder is renamed, not deleted: it may contain judgments.
    """
    store = sample_store()
    folder = folder or user_data_dir() / "demo"
    mark = folder / "sample-store-version"
    encoder_id = lite_id()  # from the files alone: loading the encoder takes seconds
    current = f"{store.version} {encoder_id}"
    if mark.is_file() and mark.read_text(encoding="utf-8") == current:
        return folder
    if (folder / "catalog.duckdb").is_file():
        with CatalogStore.open(folder) as catalog:
            made_by = catalog.encoder_id
        if made_by not in ("", encoder_id):
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
            folder.rename(folder.with_name(f"{folder.name}-before-{stamp}"))
    with SearchEngine(Settings(catalog=folder), create=True) as engine:
        encoder = engine.encoder.load("lite")
        vectors = store.embeddings_of(encoder_id)
        options = IndexingOptions(embeddings=vectors, prune=True, prune_limit=NO_LIMIT)
        index_sources(
            engine.catalog, engine.index, encoder, [store.manifest], options=options, progress=progress
        )
        engine.reopen_index()
        _store_looks(engine.catalog, store)
        for kind in get_args(Kind):  # so that the first search reports its confidence
            engine.calibration.levels(engine.index, kind)
    mark.write_text(current, encoding="utf-8")
    return folder


def _store_looks(catalog: CatalogStore, store: SampleStore) -> None:
    """Store the shipped looks of the photos, so that colours count from the first search."""
    looks = store.looks()
    items = catalog.get_many(list(looks))
    catalog.looks.store(
        np.array([item.key for item in items], np.uint64), [looks[item.item_id] for item in items]
    )
