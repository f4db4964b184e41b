"""The real app over a catalog of generated photos by the real `lite` encoder, and pages of a real Chromium."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from running_app import chromium_flags, find_chromium, running_app

TIMEOUT_MS = 90_000
"""How long a page may take to show what a test waits for: far longer than it does, for machines that do much else."""
HARMLESS = (
    # Streamlit looks for its own server below a page's path first, and then at the root.
    "status of 404",
    # A test that cuts pictures off.
    "net::ERR_FAILED",
)


@pytest.fixture(scope="session")
def app_catalog(shared_lite_catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the catalog that the running app holds."""
    return Path(shutil.copytree(shared_lite_catalog, tmp_path_factory.mktemp("app") / "catalog"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Return a running Chromium; skips where there is none."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium or Chrome is installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=chromium_flags())
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def app(chromium: Any, app_catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of the running app."""
    with running_app(app_catalog, log=tmp_path_factory.mktemp("log") / "app.log") as address:
        yield address


@pytest.fixture
def new_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Return a maker of pages, each in a fresh profile; a script error or console error fails the test."""
    contexts, complaints = [], []

    def make(width: int = 1440, *, scheme: str = "light", touch: bool = False, **options: Any) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            has_touch=touch,
            is_mobile=touch,
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        return page

    yield make
    for context in contexts:
        context.close()
    assert [text for text in complaints if not any(part in text for part in HARMLESS)] == []


@pytest.fixture(scope="session")
def settled() -> Callable[[Any], None]:
    """Return what waits until the page is drawn to its end, as a person does before the next click.

    While it is being drawn, what is inserted above a button moves it away between the press and the release.
    """

    def wait(page: Any) -> None:
        page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()

    return wait
