"""Fixtures: the app over a `lite` catalog of generated photos, and Chromium pages."""

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
"""The longest wait for a page; far longer than usual, for busy machines."""
EXPECTED_ERRORS = (
    # Streamlit requests its server first below a page's path, then at the root.
    "status of 404",
    # A test blocks images.
    "net::ERR_FAILED",
)


@pytest.fixture(scope="session")
def app_catalog(shared_lite_catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the running app's catalog."""
    return Path(shutil.copytree(shared_lite_catalog, tmp_path_factory.mktemp("app") / "catalog"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Return a running Chromium; skips if none is installed."""
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
    """Return a function that opens a page in a fresh profile; a script or console error fails the test."""
    contexts, errors = [], []

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
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        return page

    yield make
    for context in contexts:
        context.close()
    assert [text for text in errors if not any(part in text for part in EXPECTED_ERRORS)] == []


@pytest.fixture(scope="session")
def settled() -> Callable[[Any], None]:
    """Return a function that waits until the page is rendered, as users do before the next click.

    During rendering, elements inserted above a button can move it between press and release.
    """

    def wait(page: Any) -> None:
        page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()

    return wait
