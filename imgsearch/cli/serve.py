"""`imgsearch serve` and `imgsearch demo`: the web app and the HTTP API in one process."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import time
import webbrowser
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from imgsearch.cli import terminal
from imgsearch.cli.session import divide_streams, run_command
from imgsearch.cli.terminal import CatalogOption, IndexOption, say
from imgsearch.core.errors import ConfigError

if TYPE_CHECKING:
    import uvicorn

    from imgsearch.core.config import Settings

LISTEN_BACKLOG = 2048

PortOption = Annotated[
    int | None, typer.Option(metavar="P", min=0, max=65535, help="The port; 0 picks a free one.")
]

app = typer.Typer()


@app.command()
def serve(
    catalog: CatalogOption = None,
    host: Annotated[
        str | None, typer.Option(metavar="H", help="The address to listen at; 0.0.0.0 is every address.")
    ] = None,
    port: PortOption = None,
    replica_of: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Serve a copy of the catalog: search, and send feedback to the writer at this address.",
        ),
    ] = None,
    index_at: IndexOption = None,
) -> None:
    """Serve the web app and the HTTP API until Ctrl-C.

    Example: `imgsearch serve --catalog shop/ --port 8080`
    """
    settings = terminal.load_settings(
        catalog=catalog, host=host, port=port, index=index_at, replica_of=replica_of
    )
    _serve(settings, open_browser=False)


@app.command()
def demo(
    port: PortOption = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the browser.")] = False,
) -> None:
    """Open the app on the bundled Sample Store; the first run builds its catalog.

    Example: `imgsearch demo --port 8080`
    """
    from imgsearch.demo import ensure_demo_catalog

    terminal.refuse_in_server("demo")
    with terminal.progress("Building the Sample Store") as show:
        folder = ensure_demo_catalog(lambda now: show(now.done, now.total))
    settings = terminal.load_settings(catalog=folder, port=port)
    _serve(settings, open_browser=sys.stdout.isatty() and not no_browser)


def _serve(settings: Settings, *, open_browser: bool) -> None:
    """Listen, open the catalog, and serve; in this order, so that a busy port is reported at once."""
    terminal.refuse_in_server("serve")
    listener = _listen(settings.host, settings.port)
    with contextlib.closing(listener):
        from imgsearch.app.access import is_loopback, local_token
        from imgsearch.app.service import get_service

        # IMGSEARCH_LOCAL_ONLY=false stays: a proxy of this machine passes on what others send.
        refused = "local_only" in settings.model_fields_set and not settings.local_only
        local_only = not refused and is_loopback(listener.getsockname()[0])
        settings = settings.model_copy(update={"local_only": local_only})
        say("Opening the catalog ...")
        service = get_service(settings)
        service.commands.runner = partial(run_command, service)
        divide_streams()
        import uvicorn

        from imgsearch.app.asgi import create_app

        config = uvicorn.Config(
            create_app(settings),
            log_level="warning",
            access_log=False,
            ws="websockets-sansio",
            # A pasted picture comes through the page's socket, in base64.
            ws_max_size=2 * settings.max_upload_bytes,
            timeout_graceful_shutdown=3,
        )
        server = uvicorn.Server(config)
        port = listener.getsockname()[1]
        url = _url(settings.host, port)
        own_url = _own_url(settings.host, port)
        announce = partial(service.catalog.database.announce, own_url, local_token())
        _when_ready(server, announce)
        if open_browser:
            _when_ready(server, partial(webbrowser.open, url))
        print(f"The app is at {url} (API: {url}/api/docs). Ctrl-C stops it.", file=sys.stderr, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
        if not server.started:
            raise ConfigError("The server could not start; the lines above say why.")
    say("Stopped.")
    # All is written and closed. A thread may still be loading a model; do not wait for it.
    sys.stdout.flush()
    os._exit(0)


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises `ConfigError` for an address that cannot be used."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        listener = socket.create_server(address, family=family, backlog=LISTEN_BACKLOG, dualstack_ipv6=both)
        listener.setblocking(False)
    except socket.gaierror:
        raise ConfigError(f"There is no address {host!r} to listen at; give another --host.") from None
    except OSError as error:
        code = error.errno or 0
        busy = code == errno.EADDRINUSE
        reason = "is in use by another program" if busy else f"cannot be used ({os.strerror(code)})"
        raise ConfigError(f"Port {port} at {host} {reason}; give another one with --port.") from None
    return listener


def _url(host: str, port: int) -> str:
    shown = "localhost" if host in {"", "0.0.0.0", "::", "127.0.0.1"} else host  # noqa: S104  # only compared
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"


def _own_url(host: str, port: int) -> str:
    """Return the URL at which processes of this machine reach the server."""
    own = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # only compared
    return f"http://{f'[{own}]' if ':' in own else own}:{port}"


def _when_ready(server: uvicorn.Server, act: Callable[[], object]) -> None:
    """Call `act` once the server answers."""
    from imgsearch.core.background import BackgroundThread

    def wait_and_act() -> None:
        while not server.started and not server.should_exit:
            time.sleep(0.02)
        if server.started:
            act()

    BackgroundThread("when-ready", wait_and_act).start()
