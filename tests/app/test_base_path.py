"""The base path of requests: from the setting, from a proxy's header, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from imgsearch.app.base_path import BasePathMiddleware
from imgsearch.core.base_path import served_path
from imgsearch.core.config import Settings
from imgsearch.core.errors import ConfigError

Ask = Callable[..., tuple[str, str]]


@pytest.fixture(params=["", "/search"])
def base_path(request: pytest.FixtureRequest) -> str:
    """Return the setting `base_path`."""
    return str(request.param)


@pytest.fixture
def ask(base_path: str) -> Ask:
    """Return a function that requests a path, and returns (the path that arrives, an address in the answer)."""

    def answer(request: Request) -> JSONResponse:
        return JSONResponse([request.url.path, served_path("/thumbnails/1")])

    app = Starlette(routes=[Route("/{path:path}", answer)])
    client = TestClient(BasePathMiddleware(app, base_path))

    def request(path: str, **headers: str) -> tuple[str, str]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return tuple(client.get(path, headers=given).json())

    return request


def test_the_path_arrives_without_the_base_path_whether_the_proxy_removes_it_or_not(
    ask: Ask, base_path: str
) -> None:
    for path in ("/api/v1/x", f"{base_path}/api/v1/x"):
        assert ask(path) == ("/api/v1/x", f"{base_path}/thumbnails/1")


def test_a_proxy_s_header_names_the_base_path_of_its_request_alone(ask: Ask, base_path: str) -> None:
    assert ask("/a", X_Forwarded_Prefix="/shop/de/") == ("/a", "/shop/de/thumbnails/1")
    assert ask("/shop/de/a", X_Forwarded_Prefix="/shop/de") == ("/a", "/shop/de/thumbnails/1")
    assert ask("/a")[1] == f"{base_path}/thumbnails/1"


def test_another_path_that_begins_alike_is_left_alone(ask: Ask) -> None:
    assert ask("/searching/a")[0] == "/searching/a"


@pytest.mark.parametrize(
    "header",
    ["https://evil.example", "/a/../b", "/a b", '/"><script>', "/" + "a" * 300, "/a\\b", "/%2e"],
)
def test_a_header_that_is_no_path_is_ignored(ask: Ask, base_path: str, header: str) -> None:
    assert ask("/a", X_Forwarded_Prefix=header) == ("/a", f"{base_path}/thumbnails/1")


def test_an_address_in_an_answer_never_names_another_host(ask: Ask) -> None:
    assert ask("/a", X_Forwarded_Prefix="//other.example")[1] == "/other.example/thumbnails/1"


@pytest.mark.parametrize("path", ["search/", "/search", " /search/ "])
def test_the_setting_takes_a_path_with_or_without_slashes(path: str) -> None:
    assert Settings.load({"IMGSEARCH_BASE_PATH": path}).base_path == "/search"


@pytest.mark.parametrize("path", ["https://shop.example", "/a?b", "/../a", "/" + "a" * 300])
def test_a_setting_that_is_no_path_is_refused_by_name(path: str) -> None:
    with pytest.raises(ConfigError, match="IMGSEARCH_BASE_PATH"):
        Settings.load({"IMGSEARCH_BASE_PATH": path})
