"""The encoder of one open catalog: loaded at the first use, or in the background of a server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from imgsearch.core.background import BackgroundThread
from imgsearch.core.errors import EncoderUnavailable, ImgSearchError
from imgsearch.encoders import load_encoder, resolve_auto
from imgsearch.encoders.base import Encoder
from imgsearch.encoders.batching import BatchingEncoder
from imgsearch.store.catalog import CatalogStore

ENCODER_LOAD_TIMEOUT_S = 120.0
"""How long `get` waits for an encoder that loads in the background."""
ENCODER_CLOSE_TIMEOUT_S = 10.0
"""How long `close` waits: an interpreter that ends while a thread is inside torch aborts."""
CLOSED = "The catalog was closed while its model was loading."

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EncoderState:
    """Whether texts and uploads can be searched yet; `reason` says in a sentence why not."""

    status: Literal["loading", "ready", "failed"]
    reason: str
    spec: str


class EncoderProvider:
    """Loads a catalog's encoder once and binds it to the catalog; safe to use from any thread."""

    def __init__(
        self,
        catalog: CatalogStore,
        *,
        device: str = "",
        backend: str = "torch",
        progress: Callable[[str], None] | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        """Provide `encoder`, or else load the one that the catalog names, at the first `get`."""
        self._catalog = catalog
        self._device = device
        self._backend = backend
        self._progress = progress
        self.loaded = encoder  # None while it is not loaded
        self._error: ImgSearchError | None = None
        self._lock = threading.RLock()
        self._thread: BackgroundThread | None = None
        self._done = threading.Event()

    @property
    def state(self) -> EncoderState:
        """Whether the encoder is loaded; does not wait."""
        spec = self._catalog.encoder_spec
        if self._error is not None:
            return EncoderState("failed", str(self._error), spec)
        if self.loaded is not None:
            return EncoderState("ready", "", spec)
        return EncoderState("loading", f"The model {spec} is still loading.", spec)

    def get(self) -> Encoder:
        """Return the encoder; loads it now, or waits for the background thread where `start` was called.

        Raises what loading raises: `EncoderUnavailable` (also after `ENCODER_LOAD_TIMEOUT_S`), `EncoderMismatch`.
        """
        if self.loaded is not None:
            return self.loaded
        if self._thread is None:
            with self._lock:
                return self.loaded or self.load(self._catalog.encoder_spec, self._catalog.encoder_reason)
        if not self._done.wait(ENCODER_LOAD_TIMEOUT_S):
            raise EncoderUnavailable(
                f"The model {self._catalog.encoder_spec} is still loading; try again in a minute."
            )
        if self._error is not None:
            raise self._error.with_traceback(None)  # one error, raised by many searches
        assert self.loaded is not None
        return self.loaded

    def choose(self, wanted: str | None, default: str) -> tuple[str, str]:
        """Return (spec, why it was chosen) for indexing: `wanted`, else the catalog's encoder, else `default`.

        `auto` is resolved. Loading refuses a spec that is not the catalog's.
        """
        explicit = wanted if wanted not in (None, "auto") else self._catalog.encoder_spec
        spec, reason = explicit or default, self._catalog.encoder_reason
        if spec == "auto":
            spec, reason = resolve_auto()
            if self._progress is not None:
                self._progress(f"Encoder {spec}: {reason}.")
        return spec, reason

    def for_indexing(self, wanted: str | None, default: str) -> Encoder:
        """Return the encoder that indexing uses: the catalog's, or for a new catalog the one that `choose` chooses.

        Raises `EncoderMismatch` where `wanted` is not the catalog's.
        """
        spec, reason = self.choose(wanted, default)
        return self.get() if spec == self._catalog.encoder_spec else self.load(spec, reason)

    def load(self, spec: str, reason: str = "") -> Encoder:
        """Load the encoder that `spec` names, bind it to the catalog and provide it from now on.

        `reason` says why it was chosen. Raises `EncoderMismatch` where the catalog has another encoder.
        """
        with self._lock:
            encoder = load_encoder(
                spec, progress=self._progress, device=self._device or None, backend=self._backend
            )
            self._catalog.bind_encoder(encoder.spec, encoder.id, encoder.dim, reason=reason)
            # A server whose catalog was empty batches the requests of its visitors too.
            self.loaded = encoder if self._thread is None else BatchingEncoder(encoder)
            self._error = None
            return self.loaded

    def start(self, then: Callable[[], None] | None = None) -> None:
        """Load the encoder in a background thread and encode once; single requests are then encoded in batches.

        `then` runs in the same thread afterwards, also where loading failed, but not after `close`.
        """
        self._thread = BackgroundThread("load-encoder", lambda: self._run(then))
        self._thread.start()

    def close(self) -> None:
        """Wait for a model that is still loading, at most `ENCODER_CLOSE_TIMEOUT_S`; closing twice is fine."""
        if self._thread is not None:
            self._thread.stop(ENCODER_CLOSE_TIMEOUT_S)
            if not self._done.is_set():
                self._error = self._error or EncoderUnavailable(CLOSED)
                self._done.set()

    def _run(self, then: Callable[[], None] | None) -> None:
        try:
            self._load_and_warm_up()
        except ImgSearchError as error:
            self._error = error
        except Exception as error:
            _log.exception("the encoder could not be loaded")
            self._error = EncoderUnavailable(
                f"The model {self._catalog.encoder_spec} could not be loaded ({type(error).__name__}: {error})."
            )
        finally:
            self._done.set()
        if then is not None and self._thread is not None and not self._thread.stopping:
            then()

    def _load_and_warm_up(self) -> None:
        if self.loaded is not None:
            return
        spec = self._catalog.encoder_spec
        if not spec:
            raise EncoderUnavailable("The catalog is empty, so it has no model yet; index photos first.")
        encoder = BatchingEncoder(
            load_encoder(spec, progress=self._progress, device=self._device or None, backend=self._backend)
        )
        if self._thread is not None and self._thread.stopping:
            raise EncoderUnavailable(CLOSED)
        self._catalog.bind_encoder(encoder.spec, encoder.id, encoder.dim)
        # The first call of each kind allocates memory and compiles: it must not slow a visitor's first search.
        encoder.encode_texts(["warm up"])
        encoder.encode_images([Image.new("RGB", (encoder.input_px, encoder.input_px), "white")])
        self.loaded = encoder
