"""The application as one ASGI app: the Streamlit pages and the HTTP API over one service."""

from __future__ import annotations

import logging
import math
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
import pyarrow
import streamlit as st
import streamlit.config
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from imgsearch.app.api.routes import PREFIXES, create_api
from imgsearch.app.base_path import BasePathMiddleware
from imgsearch.app.service import close_service, get_service
from imgsearch.core.config import Settings
from imgsearch.core.errors import ImgSearchError

UI_FOLDER = Path(__file__).parent.parent / "ui"

_LOG = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> st.App:
    """Return the application for an ASGI server; by default with the environment's settings."""
    return st.App(**app_arguments(settings))


def app_arguments(settings: Settings | None = None) -> dict[str, Any]:
    """Return the arguments of `st.App` for `app.py`: `streamlit run` finds only an app that is created there."""
    settings = settings or Settings.load()
    _use_system_memory_for_arrow()
    _set_streamlit_options(settings)
    api = create_api(lambda: get_service(settings), settings)
    return {
        "script_path": UI_FOLDER / "main.py",
        "routes": [_ApiRoute(api)],
        "middleware": [
            Middleware(BasePathMiddleware, base_path=settings.base_path),
            Middleware(_OddPaths, api=api),
        ],
        "lifespan": _lifespan(settings),
    }


def _is_of_api(scope: Scope) -> bool:
    path: str = scope["path"].removeprefix(scope.get("root_path", "")) if scope["type"] == "http" else ""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in PREFIXES)


class _OddPaths:
    """Hands paths of the API that Streamlit refuses to the API: its errors are JSON, and ids are no file names."""

    def __init__(self, app: ASGIApp, api: ASGIApp) -> None:
        self._app = app
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        odd = _is_of_api(scope) and any(part in scope["path"] for part in ("..", "\x00", "\\"))
        await (self._api if odd else self._app)(scope, receive, send)


class _ApiRoute(BaseRoute):
    """Passes every request below the API's prefixes to the API, with its whole path.

    It is one route for all, because Streamlit answers unknown paths with its own page and a 200.
    """

    def __init__(self, api: ASGIApp) -> None:
        self.path = PREFIXES[0]
        self._api = api

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match by prefix, at a slash."""
        return (Match.FULL if _is_of_api(scope) else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the API answer."""
        await self._api(scope, receive, send)


def _lifespan(settings: Settings) -> Callable[[st.App], AbstractAsyncContextManager[dict[str, Any] | None]]:
    @asynccontextmanager
    async def lifespan(app: st.App) -> AsyncIterator[None]:
        try:
            await anyio.to_thread.run_sync(get_service, settings)
        except ImgSearchError as error:
            # The app starts anyway: its page and /healthz report the error, and try again.
            _LOG.error("%s", error)
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(close_service)

    return lifespan


def _use_system_memory_for_arrow() -> None:
    """Store pandas' Arrow data (its texts) in the system allocator's memory.

    Arrow's default, mimalloc 3, crashes processes whose threads end, as this server's do (apache/arrow, issues 50471
    and 50908). The data is small, and access is not slower.
    """
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())


def _set_streamlit_options(settings: Settings) -> None:
    """Set the Streamlit options that the app needs, except those that the user has set."""
    options = {
        "server.maxUploadSize": math.ceil(settings.max_upload_bytes / 1024**2),
        "server.enableStaticServing": False,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
        "runner.magicEnabled": False,
        # A run that is stopped before it begins would lose the click that started it.
        "runner.fastReruns": False,
        **_theme_options(UI_FOLDER / "theme.toml"),
    }
    for name, value in options.items():
        if not streamlit.config.is_manually_set(name):
            streamlit.config.set_option(name, value)


def _theme_options(path: Path) -> dict[str, Any]:
    """Return a theme file's values by their dotted option names: theme.dark.sidebar.borderColor, ..."""

    def flat(name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            return {name: value}
        return {key: leaf for part in value for key, leaf in flat(f"{name}.{part}", value[part]).items()}

    return flat("theme", tomllib.loads(path.read_text(encoding="utf-8"))["theme"])
