"""The index of one vector space of a catalog, as searches and indexing runs see it.

`imgsearch.index.opening` opens the implementation that the catalog names: `LocalIndex` (files of the catalog) or
`SharedIndex` (Milvus). An index is a cache: the catalog's embeddings can rebuild it.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from imgsearch.core.background import BackgroundThread, Progress
from imgsearch.core.key_arrays import Keys
from imgsearch.core.query import Filter
from imgsearch.index.base import Vectors
from imgsearch.index.vector_space import VectorSpace
from imgsearch.store.catalog import CatalogStore

TARGET_RECALL = 0.99
SAVE_EVERY_S = 300.0
"""How often the changes of a served index are saved. After a kill, those since then are repeated at the start."""
STOP_TIMEOUT_S = 120.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IndexHeader:
    """What is known of an index: for one on disk, the content of its generation's `header.json`.

    `encoder_id` is the id of the indexed space: the encoder's, or with a learned head `VectorSpace.id`. `chosen` is
    how the engine was chosen: "by size", "by tuning", or "by recall" where codes missed the target.
    """

    generation: int
    encoder_id: str
    dim: int
    items: int
    dead: int
    sha256: str
    built_at: str
    ann_recall_at_10: float | None
    parameters: dict[str, Any] = field(default_factory=dict)
    chosen: str = "by size"
    target_recall: float = TARGET_RECALL


class LiveIndex(ABC):
    """An index that follows its catalog: any number of threads search it, one at a time changes it."""

    applies_filters = False
    """Whether `search` itself excludes items that do not pass its filters."""

    def __init__(self, catalog: CatalogStore, space: VectorSpace | None) -> None:
        """Index the vectors of `space`, by default the encoder's own."""
        self._catalog = catalog
        self.space = space or VectorSpace(catalog)
        self._changing = threading.RLock()
        self._upkeep: BackgroundThread | None = None
        self.rebuild_reason = ""
        """Why opening rebuilt the index; "" where it did not."""

    @property
    @abstractmethod
    def generation(self) -> int:
        """The number of the active generation; 0 before the first."""

    @property
    @abstractmethod
    def header(self) -> IndexHeader | None:
        """The header of the active generation, or None before the first."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of keys in the index."""

    @abstractmethod
    def search(
        self, vector: Vectors, k: int, *, expansion: int | None = None, filters: Sequence[Filter] = ()
    ) -> tuple[Keys, Vectors]:
        """Return up to k (keys, approximate cosine similarities) near a (dim,) unit vector, best first.

        Only an index that `applies_filters` uses the filters; the caller checks every hit in any case.
        """

    def candidates_for(self, n: int, *, cross_modal: bool) -> int:
        """Return how many candidates to request so that the n nearest are among them; 0 for no more than n.

        A `cross_modal` query is far from all items, as words are from photos.
        """
        return 0

    def search_subset(
        self, vector: Vectors, k: int, subset: Keys, *, expansion: int
    ) -> tuple[Keys, Vectors] | None:
        """Return up to k (keys, cosine similarities) of the subset near a (dim,) vector, best first.

        None where the engine cannot, or where comparing all of them is faster. `subset` is ascending and cached by
        identity: the caller must not change the array.
        """
        return None

    @abstractmethod
    def add(self, keys: Keys, vectors: Vectors) -> None:
        """Add new keys with their embeddings; they are found at once, and stored by the next `save`."""

    @abstractmethod
    def remove(self, keys: Keys) -> None:
        """Remove keys."""

    def refresh(self, keys: Keys) -> None:  # noqa: B027  # only a shared index holds metadata
        """Update the metadata of items, for an index that holds any."""

    def start_upkeep(self) -> None:
        """Save, and rebuild where that is due, in a background thread from now on, so that no change waits for it."""
        if self._upkeep is None:
            self._upkeep = BackgroundThread("index-upkeep", self._keep_up, every_s=SAVE_EVERY_S)
            self._upkeep.start(after_s=SAVE_EVERY_S)

    @property
    def kept_up(self) -> bool:
        """Whether `start_upkeep` was called."""
        return self._upkeep is not None

    def close(self) -> None:
        """Stop the upkeep, after a last one, so that the next process need not repeat it; closing twice is fine."""
        upkeep, self._upkeep = self._upkeep, None
        if upkeep is not None and upkeep.stop(STOP_TIMEOUT_S):
            try:
                self._save_changes()
            except Exception:  # such as a full disk: the index is brought in step when it is opened again
                _log.exception("the index could not be saved")

    def _keep_up(self) -> None:
        self._save_changes()

    def _save_changes(self) -> None:
        self.save()

    @abstractmethod
    def sync(self, *, progress: Progress | None = None) -> None:
        """Bring the index in step with the catalog's live keys, and save it if that changed anything."""

    @abstractmethod
    def rebuild(self, *, progress: Progress | None = None) -> None:
        """Build the index from the catalog's embeddings and save it; the old one is searched meanwhile."""

    @abstractmethod
    def save(self) -> None:
        """Store the index as a new generation if it has changed since the last one."""
