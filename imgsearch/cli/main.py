"""The `imgsearch` command: arguments in, one call of the library, results out.

It owns the words on the terminal and the exit codes: 0 done, 1 a failure said in one line on stderr, 2 wrong usage,
130 stopped by Ctrl-C. Data goes to stdout, everything else to stderr. torch, duckdb and streamlit are imported only
inside the commands that need them, so that `--help` is quick.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from imgsearch.cli import (
    adaptation,
    collections,
    experiments,
    judging,
    merchandising,
    monitoring,
    quality,
    side_by_side,
    tuning,
)
from imgsearch.cli.terminal import (
    CatalogOption,
    IndexOption,
    JsonOption,
    load_settings,
    many,
    new_table,
    one_line,
    open_searcher,
    print_json,
    print_table,
    progress,
    say,
)
from imgsearch.core.errors import ConfigError, ImageError, ImgSearchError, QueryError
from imgsearch.core.version import __version__

if TYPE_CHECKING:
    import uvicorn

    from imgsearch.core.config import Settings
    from imgsearch.core.records import Failure, IndexingReport, SearchResult
    from imgsearch.encoders import Encoder
    from imgsearch.index.live_index import LiveIndex
    from imgsearch.ingest.indexing import IndexingOptions, Progress
    from imgsearch.ingest.verification import Verification
    from imgsearch.store.catalog import CatalogStore
    from imgsearch.store.catalog_info import CatalogInfo
    from imgsearch.store.originals import Originals

__all__ = ["app", "main"]

SHOWN_FAILURES = 20
LEAST_DUPLICATES_S = 10.0
LARGE_THUMBNAIL_PX = 768

app = typer.Typer(
    name="imgsearch",
    help="Visual product search: index photos, find look-alikes, serve the web app and the HTTP API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(judging.app)
app.add_typer(collections.app)
experiments.register(app)
quality.register(app)
monitoring.register(app)
adaptation.register(app)
merchandising.register(app)
side_by_side.register(app)
tuning.register(app)


def main() -> NoReturn:
    """Run the command line and exit."""
    try:
        app()
    except ImgSearchError as error:
        _exit_with(str(error), 1)
    except KeyboardInterrupt:
        _exit_with("Stopped.", 130)
    except RuntimeError as error:
        if "interrupted" in str(error).lower():  # how DuckDB says that Ctrl-C came while it read
            _exit_with("Stopped.", 130)
        raise
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python would complain again when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)


def _exit_with(message: str, code: int) -> NoReturn:
    print(f"imgsearch: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"imgsearch {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Visual product search: index photos, find look-alikes, serve the web app and the HTTP API."""


# --- index ------------------------------------------------------------------------------------------------------


@app.command()
def index(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Folders (with all below them), also URLs such as `s3://bucket/photos`, .tar or .zip files of "
            "images, or CSV/Parquet manifests with an `image` column.",
        ),
    ],
    catalog: CatalogOption = None,
    metadata: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A .csv, .parquet or .jsonl with further columns, by `id` or `image`."
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="`auto`, `lite`, `open_clip:MODEL/TAG`, `open_clip:local-dir:FOLDER`, or `external:NAME` for "
            "imported embeddings of a model that is not here; a catalog keeps its first.",
        ),
    ] = None,
    embeddings: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Embeddings made before, .npy beside a manifest, .parquet, or a place with shards: no encoding.",
        ),
    ] = None,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(help="Who encodes into --shards: this process, or Ray's workers."),
    ] = "local",
    shards: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Encode first into shards of embeddings in this folder or URL, which every worker must be able to "
            "write; what is there already is not encoded again.",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Processes that read and encode in a long run, here or on Ray; 0: as many as there are processors "
            "or GPUs. With 1, a run here uses none but its own.",
        ),
    ] = 0,
    prune: Annotated[bool, typer.Option("--prune", help="Remove items whose photos have vanished.")] = False,
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where a manifest's photos may lie; else only below its own folder."
        ),
    ] = None,
    private_hosts: Annotated[
        bool, typer.Option("--private-hosts", help="Let a manifest's URLs point into the local network.")
    ] = False,
    index_at: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring photos into the catalog: new ones are added, changed ones read again, the rest left alone.

    Stop it at any moment and run it again: it goes on from there.

    Example: `imgsearch index photos/ --metadata products.csv`
    """
    from imgsearch.ingest.indexing import IndexingOptions
    from imgsearch.ingest.sources import open_source
    from imgsearch.vision.images import ImageLimits

    if shards and embeddings:
        raise typer.BadParameter("give --shards or --embeddings, not both")
    if engine == "ray" and not shards:
        raise typer.BadParameter("--engine ray needs --shards, a place that every worker can write")
    for source in sources:
        open_source(source, root=root)  # a wrong one is said before a catalog is made and a model loaded
    settings = load_settings(catalog=catalog, index=index_at, workers=workers or None)
    options = IndexingOptions(
        metadata=metadata,
        embeddings=embeddings,
        prune=prune,
        root=root,
        threads=settings.threads,
        workers=settings.worker_processes,
        limits=ImageLimits(max_pixels=settings.max_pixels),
    )
    model = None
    if shards:
        model = _encode_into(shards, settings, sources, encoder, options, engine, workers, private_hosts)
        options = replace(options, embeddings=shards)
    report = _index(settings, sources, encoder, options, private_hosts=private_hosts, model=model)
    if as_json:
        print_json(report.as_dict())
    else:
        _print_report(report, settings.catalog)


def _index(
    settings: Settings,
    sources: Sequence[str],
    encoder: str | None,
    options: IndexingOptions,
    *,
    private_hosts: bool,
    model: Encoder | None,
) -> IndexingReport:
    from imgsearch.index.opening import open_live_index
    from imgsearch.index.vector_space import live_space
    from imgsearch.ingest.indexing import index_sources
    from imgsearch.store.catalog import CatalogStore
    from imgsearch.store.originals import Originals
    from imgsearch.store.thumbnails import ThumbnailCache

    with CatalogStore.open(settings.catalog, create=True) as catalog:
        model = model or _bound_encoder(catalog, settings, encoder, options)
        catalog.bind_index(settings.index)
        index = open_live_index(catalog, threads=settings.worker_threads, space=live_space(catalog))
        originals = Originals(max_bytes=options.limits.max_bytes, private_hosts=private_hosts)
        thumbnails = ThumbnailCache(
            catalog.folder / "thumbnails", originals, max_bytes=settings.thumbnail_cache_bytes
        )
        try:
            with contextlib.closing(originals), _stop_between_batches() as check:
                with progress("Indexing") as show:

                    def after_each_batch(now: Progress) -> None:
                        show(now.done, now.total)
                        check()

                    report = index_sources(
                        catalog,
                        index,
                        model,
                        sources,
                        options=options,
                        originals=originals,
                        thumbnails=thumbnails,
                        progress=after_each_batch,
                    )
                if settings.find_duplicates:
                    report = _find_duplicates(catalog, index, originals, report, check)
                return report
        except KeyboardInterrupt:
            _exit_with(
                f"Stopped at {many(len(catalog), 'item')} in the catalog; the same command goes on from there.",
                130,
            )


def _find_duplicates(
    catalog: CatalogStore,
    index: LiveIndex,
    originals: Originals,
    report: IndexingReport,
    check: Callable[[], None],
) -> IndexingReport:
    """Look for duplicates of new photos for a tenth of the time that indexing took; serving does the rest."""
    from imgsearch.search.ranking.duplicates import Duplicates

    started = time.perf_counter()
    with progress("Looking for duplicates") as show:

        def after_each(done: int, total: int) -> None:
            show(done, total)
            check()

        Duplicates(catalog).find_new(
            index,
            lambda item: originals.read(item.location),
            progress=after_each,
            max_s=max(LEAST_DUPLICATES_S, 0.1 * report.seconds["total"]),
        )
    took = time.perf_counter() - started
    total = report.seconds["total"] + took
    return replace(report, seconds={**report.seconds, "duplicates": took, "total": total})


def _bound_encoder(
    catalog: CatalogStore, settings: Settings, encoder: str | None, options: IndexingOptions
) -> Encoder:
    """Return the catalog's encoder, or choose the one of a new catalog and bind it."""
    from imgsearch.encoders import load_encoder, resolve_auto
    from imgsearch.encoders.external import ExternalEncoder
    from imgsearch.ingest.precomputed import embedding_dim

    # A catalog keeps its encoder; another one that is asked for is refused by name when it is bound.
    wanted = encoder if encoder not in (None, "auto") else catalog.encoder_spec
    spec, reason = wanted or settings.encoder, catalog.encoder_reason
    if spec == "auto":
        spec, reason = resolve_auto()
        say(f"Encoder {spec}: {reason}.")
    if spec.startswith("external:") and options.embeddings:
        model: Encoder = ExternalEncoder(spec, embedding_dim(options.embeddings))
    else:
        model = load_encoder(spec, progress=say, device=settings.device or None, backend=settings.backend)
    catalog.bind_encoder(model.spec, model.id, model.dim, reason=reason)
    return model


def _encode_into(
    shards: str,
    settings: Settings,
    sources: Sequence[str],
    encoder: str | None,
    options: IndexingOptions,
    engine: Literal["local", "ray"],
    workers: int,
    private_hosts: bool,
) -> Encoder:
    """Encode all photos into shards, and return the encoder; the catalog is left free meanwhile."""
    from imgsearch.ingest.distributed import encode_to_shards
    from imgsearch.ingest.sources import open_source
    from imgsearch.store.catalog import CatalogStore

    # Shards of any machines are the same byte for byte, which two backends' are not.
    by_torch = settings.model_copy(update={"backend": "torch"})
    with CatalogStore.open(settings.catalog, create=True) as catalog:
        model = _bound_encoder(catalog, by_torch, encoder, options)
    with progress("Encoding") as show:
        done = encode_to_shards(
            shards,
            [open_source(source, root=options.root) for source in sources],
            model,
            engine=engine,
            workers=workers,
            device=settings.device,
            limits=options.limits,
            private_hosts=private_hosts,
            progress=show,
        )
    left = done.shards - done.finished_before
    say(
        f"Encoded {many(done.encoded, 'photo')} into {many(left, 'shard')} with {many(done.workers, 'worker')} in "
        f"{done.seconds:.0f} s; {many(done.finished_before, 'shard')} were there before."
    )
    return model


@contextlib.contextmanager
def _stop_between_batches() -> Iterator[Callable[[], None]]:
    """Give a function that raises KeyboardInterrupt once Ctrl-C was pressed; a second Ctrl-C stops at once.

    Between batches everything is whole. In the middle of one, DuckDB and usearch notice the signal by themselves
    and fail with errors of their own.
    """
    pressed = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()
        say("Stopping after this batch ...")

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)


def _print_report(report: IndexingReport, folder: Path) -> None:
    left = report.vanished - report.removed
    rows = [
        (report.added, "added", True),
        (report.changed, "changed", True),
        (report.unchanged, "unchanged", True),
        (report.removed, "removed", report.removed > 0),
        (left, "vanished from their source (--prune removes them)", left > 0),
        (len(report.failed), "failed", True),
    ]
    width = max(len(f"{count:,}") for count, _, _ in rows)
    for count, what, shown in rows:
        if shown:
            print(f"{count:>{width},}  {what}")
    print(f"\nTime: {', '.join(f'{stage} {seconds:.1f} s' for stage, seconds in report.seconds.items())}")
    print(f"Encoder: {report.encoder}\nCatalog: {folder}")
    if report.failed:
        print(f"\nFailed ({len(report.failed):,}):")
        _print_failures(report.failed)
    for note in report.notes:
        print(f"\nNote: {note}")


def _print_failures(failures: Sequence[Failure]) -> None:
    for failure in failures[:SHOWN_FAILURES]:
        print(f"  {one_line(failure.path)}: {failure.reason}")
    if len(failures) > SHOWN_FAILURES:
        print(f"  and {len(failures) - SHOWN_FAILURES:,} more; --json lists them all.")


# --- search -----------------------------------------------------------------------------------------------------


@app.command()
def search(
    text: Annotated[list[str] | None, typer.Option("--text", metavar="T", help="Words; repeatable.")] = None,
    image: Annotated[
        list[Path] | None, typer.Option("--image", metavar="FILE", help="A picture; repeatable.")
    ] = None,
    item: Annotated[
        list[str] | None, typer.Option("--item", metavar="ID", help="An item of the catalog; repeatable.")
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, max=10_000, help="How many hits.")] = 10,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="CONDITION",
            help="'category=shoes', 'price<50', 'price=10..50', 'colour in red|blue', 'title~oak'; repeatable.",
        ),
    ] = None,
    catalog: CatalogOption = None,
    index_at: IndexOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the items that look most alike to texts, pictures, items, or a mix of them.

    Example: `imgsearch search --text 'red mug' --filter 'price<20' -n 5`
    """
    if not (text or image or item):
        raise typer.BadParameter("give at least one of --text, --image and --item")
    from imgsearch.app.api.documents import result_document, words_document
    from imgsearch.core.filter_grammar import parse_filters
    from imgsearch.core.query import Query, Term
    from imgsearch.search.words.word_help import WordHelp

    terms = [Term("text", words) for words in text or ()]
    terms += [Term("image", _read_picture(path)) for path in image or ()]
    terms += [Term("item", item_id) for item_id in item or ()]
    query = Query(tuple(terms), n=n, filters=parse_filters(filters or ()))
    with open_searcher(load_settings(catalog=catalog, index=index_at)) as (opened, searcher):
        result = searcher.search(query)
        help_with = WordHelp(opened, searcher.encoder)
        suggestions, correction = help_with.suggestions(query), help_with.correction(query)
    if as_json:
        document = result_document(result, lambda hit: hit.image)
        print_json(document | words_document(suggestions, correction))
    else:
        if correction is not None:
            say(f"Did you mean {correction.text!r}?")
        _print_hits(result)


def _read_picture(path: Path) -> bytes:
    """Return a picture's bytes; one that is none is refused by name, and before any model is loaded."""
    from imgsearch.vision.images import decode_image

    try:
        data = path.read_bytes()
        decode_image(data)
    except OSError as error:
        raise QueryError(f"The picture {path} cannot be read: {error.strerror}.") from None
    except ImageError as error:
        raise QueryError(f"{path}: {error}") from None
    return data


def _print_hits(result: SearchResult) -> None:
    from rich.text import Text

    from imgsearch.search.ranking.confidence import WEAK_SENTENCE

    for note in result.notes:
        say(note)
    if result.confidence == "weak" and not result.notes:
        say(WEAK_SENTENCE)
    if not result.hits:
        say("No item passes the filters." if result.query.filters else "The catalog holds no other item.")
        return
    table = new_table()
    table.add_column("rank", justify="right")
    table.add_column("score", justify="right")
    table.add_column("id", overflow="fold")
    table.add_column("title", overflow="fold")
    for hit in result.hits:
        table.add_row(
            str(hit.rank), f"{hit.score:.3f}", Text(one_line(hit.item_id)), Text(one_line(hit.title))
        )
    print_table(table)


# --- remove, info, verify ---------------------------------------------------------------------------------------


@app.command()
def remove(
    item_ids: Annotated[list[str], typer.Argument(metavar="ITEM_ID...", help="The ids of the items.")],
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove items from the catalog; their photos stay where they are.

    All of them or none: an unknown id removes nothing.

    Example: `imgsearch remove shoes/1.jpg shoes/2.jpg`
    """
    from imgsearch.index.opening import open_live_index
    from imgsearch.index.vector_space import live_space
    from imgsearch.store.catalog import CatalogStore

    settings = load_settings(catalog=catalog)
    with CatalogStore.open(settings.catalog) as opened:
        for item_id in item_ids:
            opened.get(item_id)
        index = open_live_index(opened, threads=settings.worker_threads, space=live_space(opened))
        keys = opened.remove(item_ids)
        index.remove(keys)
        index.save()
        removed = len(keys)
    if as_json:
        print_json({"removed": removed})
    else:
        print(f"Removed {many(removed, 'item')}.")


@app.command()
def info(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Show the catalog in figures: items, encoder, columns, sources, index, size.

    Example: `imgsearch info --catalog shop/`
    """
    from imgsearch.app.api.documents import plain
    from imgsearch.index.info import catalog_info
    from imgsearch.index.opening import open_live_index
    from imgsearch.index.vector_space import live_space
    from imgsearch.store.catalog import CatalogStore

    settings = load_settings(catalog=catalog)
    with CatalogStore.open(settings.catalog) as opened:
        index = open_live_index(opened, threads=settings.worker_threads, space=live_space(opened))
        found = catalog_info(opened, index)
    if as_json:
        print_json(plain(found))
    else:
        _print_info(found)


def _print_info(found: CatalogInfo) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    columns = ", ".join(f"{name} ({kind})" for name, kind in found.columns.items())
    sources = "\n".join(
        f"{one_line(source)} ({many(count, 'item')})" for source, count in found.sources.items()
    )
    rows = [
        ("Catalog", found.folder),
        ("Items", f"{found.items:,}"),
        (
            "Encoder",
            f"{found.encoder_id or 'none yet'}{f' ({found.encoder_reason})' if found.encoder_reason else ''}",
        ),
        ("Columns", columns or "none"),
        ("Sources", sources or "none"),
        ("Index", f"generation {found.generation}, built {found.built_at or 'never'}"),
        ("Size", f"{found.bytes_on_disk / 1024**2:,.1f} MiB"),
        ("Last added", found.last_added_at or "never"),
    ]
    for name, value in rows:
        table.add_row(name, Text(value))
    print_table(table)


@app.command()
def verify(
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Mend what can be mended; photos whose embedding is lost are forgotten."
        ),
    ] = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that items, embeddings and index agree, by their checksums; exit 1 if they do not.

    Example: `imgsearch verify --repair`
    """
    from imgsearch.encoders import load_encoder
    from imgsearch.ingest.verification import repair_catalog, verify_catalog
    from imgsearch.store.catalog import CatalogStore

    settings = load_settings(catalog=catalog)
    with CatalogStore.open(settings.catalog) as opened:
        if repair:
            found = repair_catalog(
                opened,
                lambda: load_encoder(opened.encoder_spec, progress=say, device=settings.device or None),
                threads=settings.worker_threads,
            )
        else:
            found = verify_catalog(opened)
    if as_json:
        print_json(found.as_dict())
    else:
        _print_verification(found)
    if not found.clean:
        advice = "it could not all be mended" if repair else "mend it with imgsearch verify --repair"
        _exit_with(
            f"The catalog {settings.catalog} is damaged ({many(len(found.problems), 'problem')}); {advice}.",
            1,
        )


def _print_verification(found: Verification) -> None:
    for sentence in found.repaired:
        print(f"Mended: {sentence}")
    for problem in found.problems:
        print(f"Problem: {problem}")
    if found.failed:
        print("Lost:")
        _print_failures(found.failed)
    if found.clean:
        print(f"The catalog is sound: {many(found.items, 'item')}.")


# --- serve, demo ------------------------------------------------------------------------------------------------


@app.command()
def serve(
    catalog: CatalogOption = None,
    host: Annotated[
        str | None, typer.Option(metavar="H", help="The address to listen at; 0.0.0.0 is every one.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="P", min=0, max=65535, help="The port; 0 takes a free one.")
    ] = None,
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
    settings = load_settings(catalog=catalog, host=host, port=port, index=index_at, replica_of=replica_of)
    _serve(settings, open_browser=False)


@app.command()
def demo(
    port: Annotated[
        int | None, typer.Option(metavar="P", min=0, max=65535, help="The port; 0 takes a free one.")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the browser.")] = False,
) -> None:
    """Open the app on the bundled Sample Store; builds its catalog at the first time.

    Example: `imgsearch demo --port 8080`
    """
    from imgsearch.demo import ensure_demo_catalog

    with progress("Building the Sample Store") as show:
        folder = ensure_demo_catalog(lambda now: show(now.done, now.total))
    settings = load_settings(catalog=folder, port=port)
    _serve(settings, open_browser=sys.stdout.isatty() and not no_browser)


def _serve(settings: Settings, *, open_browser: bool) -> None:
    """Listen, open the catalog, and serve; in this order, so that a busy port is said at once."""
    listener = _listen(settings.host, settings.port)
    with contextlib.closing(listener):
        from imgsearch.app.service import get_service

        say("Opening the catalog ...")
        get_service(settings)
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
        url = _url(settings.host, listener.getsockname()[1])
        if open_browser:
            _open_when_ready(server, url)
        print(f"The app is at {url} (API: {url}/api/docs). Ctrl-C stops it.", file=sys.stderr, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
        if not server.started:
            raise ConfigError("The server could not start; the lines above say why.")
    say("Stopped.")
    # All is written and closed. A thread may still be loading a model, and nobody wants to wait for that.
    sys.stdout.flush()
    os._exit(0)


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises `ConfigError` in a sentence when the address cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            if os.name != "nt":  # there it would let two servers share the port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
    except socket.gaierror:
        raise ConfigError(f"There is no address {host!r} to listen at; give another --host.") from None
    except OSError as error:
        reason = (
            "is in use by another program"
            if error.errno == errno.EADDRINUSE
            else f"cannot be used ({error.strerror})"
        )
        raise ConfigError(f"Port {port} at {host} {reason}; give another one with --port.") from None
    return listener


def _url(host: str, port: int) -> str:
    shown = "localhost" if host in {"", "0.0.0.0", "::", "127.0.0.1"} else host  # noqa: S104  # only compared
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"


def _open_when_ready(server: uvicorn.Server, url: str) -> None:
    import threading
    import webbrowser

    def wait_and_open() -> None:
        while not server.started and not server.should_exit:
            time.sleep(0.1)
        if server.started:
            webbrowser.open(url)

    threading.Thread(target=wait_and_open, name="browser", daemon=True).start()
