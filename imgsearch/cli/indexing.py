"""`imgsearch index`: bring photos into the catalog."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from imgsearch.cli import terminal
from imgsearch.cli.feed_preview import (
    DryRunOption,
    EncodingOption,
    FormatOption,
    IdColumnOption,
    ImageColumnOption,
    SchemaOption,
    feed_options,
    print_dry_run,
)
from imgsearch.cli.session import session
from imgsearch.cli.terminal import (
    CatalogOption,
    IndexOption,
    JsonOption,
    many,
    one_line,
    say,
    stop_between_batches,
)

if TYPE_CHECKING:
    from imgsearch.core.config import Settings
    from imgsearch.core.records import Failure, IndexingReport
    from imgsearch.encoders import Encoder
    from imgsearch.ingest.indexing import IndexingOptions
    from imgsearch.ingest.run import Progress
    from imgsearch.ingest.sources import Source
    from imgsearch.search.engine import SearchEngine
    from imgsearch.store.originals import Originals

MAX_SHOWN_FAILURES = 20
MIN_DUPLICATES_S = 10.0

SourcesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="Folders (with their subfolders), also URLs such as `s3://bucket/photos`, .tar or .zip files of "
        "images, or tables of products: CSV, Excel, JSON, XML, Parquet.",
    ),
]
MetadataOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A table with more columns, by `id` or `image`."),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="`auto`, `lite`, `open_clip:MODEL/TAG`, `open_clip:local-dir:FOLDER`, or `external:NAME` for "
        "imported embeddings of a model that is not installed; a catalog keeps its first encoder.",
    ),
]
EmbeddingsOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Precomputed embeddings, instead of encoding: .npy beside a manifest, .parquet, or a folder of shards.",
    ),
]
EngineOption = Annotated[
    Literal["local", "ray"], typer.Option(help="What encodes into --shards: this process, or Ray's workers.")
]
ShardsOption = Annotated[
    str | None,
    typer.Option(
        metavar="PLACE",
        help="First encode into shards of embeddings in this folder or URL, which every worker must be able to "
        "write; photos in existing shards are not encoded again.",
    ),
]
WorkersOption = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Processes that read and encode in a long run, here or on Ray; 0: as many as there are processors "
        "or GPUs; 1: no process but this one.",
    ),
]
PruneOption = Annotated[bool, typer.Option("--prune", help="Remove items whose photos have vanished.")]
YesOption = Annotated[
    bool, typer.Option("--yes", help="With --prune: remove vanished items even if they are most of a source.")
]
MaxRemovedOption = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="With --prune: remove at most this share (`60%`) or number of a source's items; where more have "
        "vanished, remove nothing and exit with 1. By default $IMGSEARCH_MAX_REMOVED, else 20%.",
    ),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Leave out files and folders of this pattern, as in .gitignore; may be repeated. A file "
        "`.imgsearchignore` in a folder holds such patterns too.",
    ),
]
IncludeAllOption = Annotated[
    bool,
    typer.Option(
        "--include-all",
        help="Also index what is left out by default: hidden names, folders of storage systems and bins, copies "
        "in other sizes.",
    ),
]
TakeOverOption = Annotated[
    bool,
    typer.Option("--take-over", help="Let photos replace those of other sources that have the same ids."),
]
SourceOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="The name of the source, such as `shop`: a run compares with the items of that name, even if the files "
        "are at another place today. By default the place is the name.",
    ),
]
RestoreOption = Annotated[
    bool, typer.Option("--restore", help="Also index photos whose items were removed by hand.")
]
RefreshOption = Annotated[
    bool | None,
    typer.Option(
        "--refresh/--no-refresh",
        help="Read all photos at URLs again, or none that is known. By default those are read whose server says "
        "that they have changed (entity tag, time or size).",
    ),
]
RootOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Another folder that may contain a manifest's photos; by default only its own."
    ),
]
PrivateHostsOption = Annotated[
    bool, typer.Option("--private-hosts", help="Allow a manifest's URLs to point into the local network.")
]

app = typer.Typer()


@app.command()
def index(
    sources: SourcesArgument,
    catalog: CatalogOption = None,
    metadata: MetadataOption = None,
    encoder: EncoderOption = None,
    embeddings: EmbeddingsOption = None,
    engine: EngineOption = "local",
    shards: ShardsOption = None,
    workers: WorkersOption = 0,
    prune: PruneOption = False,
    yes: YesOption = False,
    max_removed: MaxRemovedOption = None,
    exclude: ExcludeOption = None,
    include_all: IncludeAllOption = False,
    source: SourceOption = "",
    take_over: TakeOverOption = False,
    restore: RestoreOption = False,
    refresh: RefreshOption = None,
    root: RootOption = None,
    private_hosts: PrivateHostsOption = False,
    index_at: IndexOption = None,
    table_format: FormatOption = "",
    id_column: IdColumnOption = "",
    image_column: ImageColumnOption = None,
    schema: SchemaOption = None,
    encoding: EncodingOption = "",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring photos into the catalog: new ones are added, changed ones encoded again, unchanged ones skipped.

    It can be stopped at any time; the next run continues. Photos that fail are listed, with exit code 0 as long as
    some photo of the sources is in the catalog.

    Example: `imgsearch index photos/ --metadata products.csv`
    """
    _check_shards(shards, embeddings, engine)
    feed = feed_options(table_format, id_column, image_column, schema, encoding, private_hosts)
    sources = [terminal.place(source) for source in sources]
    if dry_run:
        return print_dry_run(sources, metadata, root, feed, exclude, include_all, as_json=as_json)
    settings = terminal.load_settings(catalog=catalog, index=index_at, workers=workers or None)
    terminal.leave_to_server(settings.catalog)
    chosen = _Choice(prune, yes, max_removed, tuple(exclude or ()), include_all)
    options = replace(
        _options(settings, chosen),
        source=source,
        metadata=metadata,
        embeddings=embeddings and terminal.place(embeddings),
        take_over=take_over,
        restore=restore,
        refresh=refresh,
        root=root,
        feed=feed,
    )
    report = _index(settings, _Given(sources, encoder, shards, engine, workers, private_hosts), options)
    terminal.output(as_json, report.as_dict(), lambda: _print_report(report, settings.catalog))
    if report.problem:
        terminal.exit_with(report.problem, 1)


@dataclass(frozen=True, slots=True)
class _Given:
    """What the command line says apart from the options of the run."""

    sources: Sequence[str]
    encoder: str | None
    shards: str | None
    engine: Literal["local", "ray"]
    workers: int
    private_hosts: bool


def _check_shards(shards: str | None, embeddings: str | None, engine: str) -> None:
    if shards and embeddings:
        raise typer.BadParameter("give --shards or --embeddings, not both")
    if engine == "ray" and not shards:
        raise typer.BadParameter("--engine ray needs --shards, a place that every worker can write")


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the command line says of photos to leave out and of items to remove."""

    prune: bool
    yes: bool
    max_removed: str | None
    exclude: tuple[str, ...]
    include_all: bool


def _options(settings: Settings, chosen: _Choice) -> IndexingOptions:
    """Return the options that follow from the settings and from what the command line chooses."""
    from imgsearch.ingest.exclusions import ExclusionRules
    from imgsearch.ingest.indexing import IndexingOptions
    from imgsearch.ingest.pruning import NO_LIMIT, PruneLimit
    from imgsearch.vision.images import ImageLimits

    limit = PruneLimit.chosen(chosen.max_removed, settings.max_removed)
    return IndexingOptions(
        prune=chosen.prune,
        prune_limit=NO_LIMIT if chosen.yes else limit,
        rules=ExclusionRules(chosen.exclude, chosen.include_all),
        threads=settings.threads,
        # A server that starts processes would need much more memory, and answer slower meanwhile.
        workers=1 if session() else settings.worker_processes,
        limits=ImageLimits(max_pixels=settings.max_pixels),
    )


def _index(settings: Settings, given: _Given, options: IndexingOptions) -> IndexingReport:
    from imgsearch.ingest.indexing import index_sources
    from imgsearch.ingest.sources import open_sources
    from imgsearch.store.originals import Originals

    if given.shards:
        terminal.refuse_in_server("index --shards")
    # A wrong source is reported before a catalog is made and a model is loaded.
    opened = open_sources(given.sources, root=options.root, feed=options.feed, rules=options.rules)
    model = None
    if given.shards:
        model = _encode_into(settings, opened, given, options)
        options = replace(options, embeddings=given.shards)
    with terminal.open_engine(None, settings=settings, create=True) as engine:
        is_new = not engine.catalog.encoder_id
        model = model or _choose_encoder(engine, given.encoder, options)
        if is_new:
            engine.reopen_index()  # in the space of the encoder that the catalog now has
        originals = Originals(max_bytes=options.limits.max_bytes, private_hosts=given.private_hosts)
        try:
            with contextlib.closing(originals), stop_between_batches() as check:
                with terminal.progress("Indexing") as show:

                    def after_each_batch(now: Progress) -> None:
                        show(now.done, now.total)
                        check()

                    report = index_sources(
                        engine.catalog,
                        engine.index,
                        model,
                        opened,
                        options=options,
                        originals=originals,
                        thumbnails=engine.thumbnails,
                        progress=after_each_batch,
                    )
                entered = session()
                if entered is not None:
                    for other in engine.indexes()[1:]:  # those of saved systems follow the catalog too
                        other.sync()
                if settings.find_duplicates and entered is not None:
                    entered.service.look_for_duplicates()
                elif settings.find_duplicates:
                    report = _find_duplicates(engine, originals, report, check)
                return report
        except KeyboardInterrupt:
            items = many(len(engine.catalog), "item")
            terminal.exit_with(
                f"Stopped at {items} in the catalog; the same command continues from there.", 130
            )


def _find_duplicates(
    engine: SearchEngine, originals: Originals, report: IndexingReport, check: Callable[[], None]
) -> IndexingReport:
    """Look for duplicates of new photos for a tenth of the indexing time; serving does the rest."""
    started = time.perf_counter()
    with terminal.progress("Looking for duplicates") as show:

        def after_each(done: int, total: int) -> None:
            show(done, total)
            check()

        engine.duplicates.find_new(
            engine.index,
            lambda item: originals.read(item.location),
            progress=after_each,
            max_s=max(MIN_DUPLICATES_S, 0.1 * report.seconds["total"]),
        )
    took = time.perf_counter() - started
    total = report.seconds["total"] + took
    return replace(report, seconds={**report.seconds, "duplicates": took, "total": total})


def _choose_encoder(engine: SearchEngine, requested: str | None, options: IndexingOptions) -> Encoder:
    """Return the catalog's encoder, or choose and bind that of a new catalog."""
    from imgsearch.encoders.loading import ExternalEncoder
    from imgsearch.ingest.precomputed import embedding_dim

    spec, reason = engine.encoder.choose(requested, engine.settings.encoder)
    if not (spec.startswith("external:") and options.embeddings):
        known = spec == engine.catalog.encoder_spec
        return engine.encoder.get() if known else engine.encoder.load(spec, reason)
    model = ExternalEncoder(spec, embedding_dim(options.embeddings))
    engine.catalog.bind_encoder(model.spec, model.id, model.dim, reason=reason)
    return model


def _encode_into(
    settings: Settings, sources: Sequence[Source], given: _Given, options: IndexingOptions
) -> Encoder:
    """Encode all photos into shards and return the encoder; the catalog is closed meanwhile."""
    from imgsearch.ingest.distributed import encode_to_shards
    from imgsearch.search.engine import SearchEngine

    # Shards of all machines must be the same byte for byte; those of two backends are not.
    by_torch = settings.model_copy(update={"backend": "torch"})
    with SearchEngine(by_torch, create=True, progress=say) as opened:
        model = _choose_encoder(opened, given.encoder, options)
    with terminal.progress("Encoding") as show:
        done = encode_to_shards(
            given.shards or "",
            sources,
            model,
            engine=given.engine,
            workers=given.workers,
            device=settings.device,
            limits=options.limits,
            private_hosts=given.private_hosts,
            progress=show,
        )
    left = done.shards - done.finished_before
    say(
        f"Encoded {many(done.encoded, 'photo')} into {many(left, 'shard')} with {many(done.workers, 'worker')} in "
        f"{done.seconds:.0f} s; {many(done.finished_before, 'shard')} already existed."
    )
    return model


def _print_report(report: IndexingReport, folder: Path) -> None:
    left = report.vanished - report.removed
    rows = {"added": report.added, "changed": report.changed, "unchanged": report.unchanged}
    if report.moved:
        rows["moved"] = len(report.moved)
    if report.removed:
        rows["removed"] = report.removed
    if left > 0:
        rows["vanished from their source (--prune removes them)"] = left
    rows["failed"] = len(report.failed)
    width = max(len(f"{count:,}") for count in rows.values())
    for what, count in rows.items():
        print(f"{count:>{width},}  {what}")
    print(f"\nTime: {', '.join(f'{stage} {seconds:.1f} s' for stage, seconds in report.seconds.items())}")
    print(f"Encoder: {report.encoder}\nCatalog: {folder}")
    if report.left_out:
        print("\nLeft out (--include-all indexes them, except other kinds of files):")
        for one in report.left_out:
            print(f"  {one.count:,} {one.reason}: {', '.join(map(one_line, one.examples))}")
    if report.moved:
        print("\nMoved (old -> new):")
        for old, new in report.moved[:MAX_SHOWN_FAILURES]:
            print(f"  {one_line(old)} -> {one_line(new)}")
        print_more(len(report.moved))
    if report.failed:
        print(f"\nFailed ({len(report.failed):,}):")
        print_failures(report.failed)
    for note in report.notes:
        print(f"\nNote: {note}")


def print_failures(failures: Sequence[Failure]) -> None:
    """Print the first failures, a line each."""
    for failure in failures[:MAX_SHOWN_FAILURES]:
        print(f"  {one_line(failure.path)}: {failure.reason}")
    print_more(len(failures))


def print_more(entries: int) -> None:
    """Print how many entries of a list were not shown, if any."""
    if entries > MAX_SHOWN_FAILURES:
        print(f"  and {entries - MAX_SHOWN_FAILURES:,} more; --json lists them all.")
