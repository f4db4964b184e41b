"""Fixtures shared by all tests: generated photos, indexed catalogs, real encoders.

Folders from function-scoped fixtures are fresh copies and may be modified.
"""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colour_encoder import ColourEncoder
from numpy.typing import NDArray
from photos import write_photos
from samples import Vectors, index_into, raw_items

from imgsearch.app.service import SearchService, set_service
from imgsearch.core.config import Settings
from imgsearch.encoders import Encoder, load_encoder
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.database import Database

Keys = NDArray[np.uint64]


def pytest_configure(config: pytest.Config) -> None:
    """Isolate the tests from the user's settings."""
    for name in [name for name in os.environ if name.startswith("IMGSEARCH_")]:
        del os.environ[name]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the fast tests first, then the slow ones, then the browser.

    `make test` gives all tests of a file to one worker (`--dist loadfile`): they share fixtures, which other workers
    would have to make again. Groups by a mark (`--dist loadgroup`) are the same to pytest-xdist 3.8 under pytest 9.2
    as no groups: it writes them where pytest no longer looks.
    """

    def kind(item: pytest.Item) -> int:
        return 2 if item.get_closest_marker("browser") else int(bool(item.get_closest_marker("slow")))

    items.sort(key=kind)


# --- photos -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shared_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 48 photos `<shape>/<colour>-<variant>.jpg`, `metadata.csv` beside it: read only."""
    folder = tmp_path_factory.mktemp("shop") / "photos"
    write_photos(folder)
    return folder


@pytest.fixture
def photos(shared_photos: Path, tmp_path: Path) -> Path:
    """Return a fresh copy of the photos' folder, `metadata.csv` beside it."""
    shutil.copytree(shared_photos, tmp_path / "photos")
    shutil.copy(shared_photos.parent / "metadata.csv", tmp_path / "metadata.csv")
    return tmp_path / "photos"


@pytest.fixture
def web(photos: Path) -> Iterator[str]:
    """Serve the photos' folder with a real web server and return its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(photos)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def metadata_csv(photos: Path) -> Path:
    """Return the metadata of `photos`: image, title, category, colour, price, in_stock."""
    return photos.parent / "metadata.csv"


# --- encoders ---------------------------------------------------------------------------------------------------


@pytest.fixture
def colours() -> ColourEncoder:
    """Return the fast encoder for tests that are independent of the model."""
    return ColourEncoder()


@pytest.fixture(scope="session")
def lite() -> Encoder:
    """Return the real `lite` encoder."""
    return load_encoder("lite")


# --- catalogs ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shared_colour_catalog(shared_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a catalog of the 48 photos with their metadata, by the fast encoder: read only."""
    folder = tmp_path_factory.mktemp("colour-catalog") / "catalog"
    index_into(folder, ColourEncoder(), [shared_photos], metadata=shared_photos.parent / "metadata.csv")
    return folder


@pytest.fixture
def colour_catalog(shared_colour_catalog: Path, tmp_path: Path) -> Path:
    """Return a fresh copy of the catalog of the 48 photos by the fast encoder (its photos are read only)."""
    return Path(shutil.copytree(shared_colour_catalog, tmp_path / "colour-catalog"))


@pytest.fixture(scope="session")
def shared_lite_catalog(lite: Encoder, shared_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a catalog of the 48 photos with their metadata, by the real `lite`: read only."""
    folder = tmp_path_factory.mktemp("lite-catalog") / "catalog"
    index_into(folder, lite, [shared_photos], metadata=shared_photos.parent / "metadata.csv")
    return folder


@pytest.fixture
def lite_catalog(shared_lite_catalog: Path, tmp_path: Path) -> Path:
    """Return a fresh copy of the catalog of the 48 photos by the real `lite` (its photos are read only)."""
    return Path(shutil.copytree(shared_lite_catalog, tmp_path / "lite-catalog"))


@pytest.fixture
def catalog(colour_catalog: Path) -> Iterator[CatalogStore]:
    """Return an open catalog of the 48 photos with their metadata, by the fast encoder."""
    with CatalogStore.open(colour_catalog) as opened:
        yield opened


# --- services ---------------------------------------------------------------------------------------------------


@pytest.fixture
def service_settings(colour_catalog: Path) -> Settings:
    """Return the settings of `service`; test files override it."""
    return Settings.load({}, catalog=colour_catalog)


@pytest.fixture
def service(service_settings: Settings) -> Iterator[SearchService]:
    """Return an open service of a fresh catalog, which is also this process's service (`get_service`)."""
    with contextlib.closing(SearchService.open(service_settings)) as opened:
        set_service(opened)
        yield opened
        set_service(None)


@pytest.fixture(scope="module")
def shared_service_settings(shared_lite_catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return the settings of `shared_service`; test files override it."""
    folder = tmp_path_factory.mktemp("service") / "catalog"
    return Settings.load({}, catalog=shutil.copytree(shared_lite_catalog, folder))


@pytest.fixture(scope="module")
def shared_service(shared_service_settings: Settings) -> Iterator[SearchService]:
    """Return an open service with its encoder loaded, shared by the tests of a file."""
    with contextlib.closing(SearchService.open(shared_service_settings)) as opened:
        opened.engine.encoder.get()
        yield opened


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Return a new, empty database of a catalog."""
    opened = Database(tmp_path)
    yield opened
    opened.close()


# --- catalogs of raw vectors ------------------------------------------------------------------------------------


@pytest.fixture
def make_catalog(tmp_path: Path) -> Iterator[Callable[..., CatalogStore]]:
    """Return a factory of open catalogs of raw vectors: `make_catalog(vectors, metadata=None, ids=None)`."""
    opened: list[CatalogStore] = []

    def make(
        vectors: Vectors,
        metadata: Sequence[dict[str, Any]] | None = None,
        ids: Sequence[str] | None = None,
    ) -> CatalogStore:
        catalog = CatalogStore.open(tmp_path / f"raw-{len(opened)}", create=True)
        opened.append(catalog)
        catalog.bind_encoder("test:raw", f"test:raw@{vectors.shape[1]}", vectors.shape[1])
        names = ids or [f"{number:05d}.jpg" for number in range(len(vectors))]
        if len(vectors):
            catalog.store(raw_items(names, metadata), vectors)
        return catalog

    yield make
    for catalog in opened:
        catalog.close()
