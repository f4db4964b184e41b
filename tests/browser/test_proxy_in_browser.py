"""The app below a path of a host, behind nginx that keeps this path in its requests or removes it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running_app import free_port

pytestmark = pytest.mark.browser

NewPage = Callable[..., Any]

CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_http_version 1.1;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 404; }}
        location /removed/ {{
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header X-Forwarded-Prefix /removed;
            proxy_pass {app}/;
        }}
        location /shops/kept/ {{
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header X-Forwarded-Prefix /shops/kept;
            proxy_pass {app};
        }}
    }}
}}
"""


@pytest.fixture(scope="module")
def proxy(app: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of nginx in front of the app; skips if it is not installed."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    file: Path = folder / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, port=port, app=app))
    process = subprocess.Popen([program, "-c", str(file), "-p", str(folder)], stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(100):
            try:
                urllib.request.urlopen(f"{address}/removed/healthz", timeout=30).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(params=["/removed", "/shops/kept"])
def shop(proxy: str, request: pytest.FixtureRequest) -> str:
    """Return the address of the app behind a proxy that removes or keeps the path."""
    return f"{proxy}{request.param}"


def test_a_search_and_its_pictures_stay_below_the_path(shop: str, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{shop}/")
    picture = page.locator("ul.grid .tile img").first
    picture.wait_for()
    picture.evaluate("image => image.decode()")
    picture.click()
    page.wait_for_url("**item=*")
    assert page.url.startswith(f"{shop}/")


def test_a_link_to_another_page_opens_below_the_path(shop: str, new_page: NewPage) -> None:
    page = new_page()
    page.goto(f"{shop}/explore")
    page.locator("canvas").first.wait_for()
    assert page.url.startswith(f"{shop}/explore")


def test_answers_of_the_api_name_addresses_below_the_path(shop: str) -> None:
    with urllib.request.urlopen(f"{shop}/api/v1/search?text=red&n=1", timeout=60) as answer:
        hit = json.load(answer)["hits"][0]
    path = f"/{shop.split('/', 3)[3]}"
    assert hit["thumbnail"].startswith(f"{path}/thumbnails")
    host = shop.removesuffix(path)
    with urllib.request.urlopen(f"{host}{hit['thumbnail']}", timeout=60) as picture:
        assert picture.headers["Content-Type"] == "image/webp"
