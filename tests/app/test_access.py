"""Who may change the catalog over HTTP: tokens, programs of this machine, and no other site's page."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import Route

from imgsearch.app.access import WriteAccess, is_loopback, local_token, pages_may_edit
from imgsearch.app.api.routes import create_api
from imgsearch.core.config import Settings
from imgsearch.core.errors import NotAWriter, TokenRequired, WriteRefused

COMMANDS = {"run_command", "cancel_command"}
"""Routes of the command line, which check the local token themselves."""
LOCAL = Settings(catalog=Path("unused"), local_only=True)
PUBLIC = Settings(catalog=Path("unused"))
TOKEN = "s3cret-täken"
FEEDBACK_AND_SEARCHES = {"search_posted", "feedback", "replica_feedback", "judging"}
"""Routes with a body that change nothing of the catalog: searches, and what visitors, labelers and replicas send."""


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(os.environ, "IMGSEARCH_WRITE_TOKEN", TOKEN)
    return TOKEN


def request(client: str | None = "127.0.0.1", host: str = "localhost:8501", **headers: str) -> Request:
    """Return a request with headers, named with underscores."""
    given = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Request(
        {
            "type": "http",
            "method": "PUT",
            "path": "/api/v1/items/x",
            "client": None if client is None else (client, 50_000),
            "headers": [(name.encode(), value.encode()) for name, value in given.items() if value],
        }
    )


def test_a_program_of_this_machine_writes_to_a_server_of_this_machine() -> None:
    access = WriteAccess(LOCAL)
    assert access.check(request()) == "this machine"
    assert access.check(request(client="::1", host="[::1]:8501")) == "this machine"
    assert access.check(request(origin="http://LOCALHOST:8501", sec_fetch_site="same-origin"))


@pytest.mark.parametrize(
    "refused",
    [
        request(client="192.0.2.7"),
        request(client=None),
        request(x_forwarded_for="192.0.2.7"),
        request(x_forwarded_host="shop.example"),
        request(forwarded="for=192.0.2.7"),
        request(x_real_ip="127.0.0.1"),
    ],
)
def test_other_machines_and_proxies_need_a_token(refused: Request) -> None:
    with pytest.raises(TokenRequired, match="IMGSEARCH_WRITE_TOKEN"):
        WriteAccess(LOCAL).check(refused)


@pytest.mark.parametrize(
    "refused",
    [
        request(host="evil.example:8501"),
        request(host="127.0.0.1.evil.example"),
        request(host="localhost@evil.example"),
        request(host="[::1"),
        request(host=""),
        request(origin="https://evil.example"),
        request(origin="http://localhost:3000"),
        request(origin="null"),
        request(sec_fetch_site="cross-site"),
        request(sec_fetch_site="same-site"),
    ],
)
def test_pages_of_other_sites_are_refused(refused: Request) -> None:
    with pytest.raises(WriteRefused):
        WriteAccess(LOCAL).check(refused)


def test_a_server_that_others_reach_needs_a_token_of_everyone(token: str) -> None:
    access = WriteAccess(PUBLIC)
    with pytest.raises(TokenRequired):
        access.check(request())
    assert access.check(request(client="192.0.2.7", authorization=f"Bearer {token}")) == "write token"
    assert access.check(request(authorization=f"bearer  {local_token()}")) == "local token"


@pytest.mark.parametrize(
    "authorization", ["Bearer wrong", "Bearer ", "Bearer", f"Basic {TOKEN}", TOKEN, "Bearer \xff"]
)
@pytest.mark.parametrize("settings", [LOCAL, PUBLIC])
def test_a_wrong_token_is_refused_everywhere(token: str, authorization: str, settings: Settings) -> None:
    with pytest.raises(TokenRequired):
        WriteAccess(settings).check(request(authorization=authorization))


def test_without_the_setting_an_empty_token_opens_nothing() -> None:
    for authorization in ("Bearer ", "Bearer", "Bearer  "):
        with pytest.raises(TokenRequired):
            WriteAccess(PUBLIC).check(request(authorization=authorization))


def test_a_replica_names_its_writer(token: str) -> None:
    replica = WriteAccess(LOCAL.model_copy(update={"replica_of": "http://writer:8501"}))
    with pytest.raises(NotAWriter, match="http://writer:8501"):
        replica.check(request(authorization=f"Bearer {token}"))


def test_pages_edit_on_this_machine_or_by_the_setting() -> None:
    here = {"Host": "localhost:8501", "Origin": "http://localhost:8501"}
    assert pages_may_edit(LOCAL, here)
    assert not pages_may_edit(PUBLIC, here)
    assert pages_may_edit(PUBLIC.model_copy(update={"edit_pages": True}), {"Host": "shop.example"})
    assert not pages_may_edit(LOCAL.model_copy(update={"replica_of": "http://writer"}), here)


def test_pages_behind_a_proxy_of_this_machine_do_not_edit() -> None:
    for headers in ({"Host": "shop.example"}, {"Host": "localhost", "X-Forwarded-For": "192.0.2.7"}):
        assert not pages_may_edit(LOCAL, headers)


def test_a_proxy_that_speaks_http_1_0_needs_a_token() -> None:
    old = request(host="127.0.0.1:8501")
    old.scope["http_version"] = "1.0"
    with pytest.raises(TokenRequired, match="proxy"):
        WriteAccess(LOCAL).check(old)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_addresses_are_this_machine(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.1", "localhost", "", "::ffff:10.0.0.1"])
def test_other_addresses_and_names_are_not_this_machine(address: str) -> None:
    assert not is_loopback(address)


def test_every_route_that_changes_the_catalog_says_so() -> None:
    api = create_api(lambda: pytest.fail("not called"), PUBLIC)
    routes = [route for route in api.routes if isinstance(route, Route | APIRoute)]
    changing = [route for route in routes if (route.methods or set()) - {"GET", "HEAD"}]
    silent = {
        route.name for route in changing if not (getattr(route, "openapi_extra", {}) or {}).get("x-writes")
    }
    assert silent == FEEDBACK_AND_SEARCHES | COMMANDS


@pytest.mark.parametrize("further", [{"x_forwarded_for": "192.0.2.7"}, {"client": "192.0.2.7"}])
def test_a_token_does_not_turn_another_machine_into_this_one(token: str, further: dict[str, str]) -> None:
    access = WriteAccess(LOCAL)
    assert access.is_of_this_machine(request(authorization=f"Bearer {token}"))
    assert not access.is_of_this_machine(request(authorization=f"Bearer {token}", **further))
    assert not WriteAccess(PUBLIC).is_of_this_machine(request())
