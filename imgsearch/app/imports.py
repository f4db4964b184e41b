"""Imports as jobs: one at a time, with a queue, progress, pause, cancel, history and failures.

An import gives way to searches: it rests after each step while visitors search. One that the end of the process
interrupted can be resumed, and continues where it was, because unchanged photos are skipped.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from imgsearch.core.background import BackgroundThread, GiveWay
from imgsearch.core.errors import ImgSearchError, ImportRefused, SourceError
from imgsearch.core.records import Failure, IndexingReport
from imgsearch.ingest.feed_state import feed_state
from imgsearch.ingest.import_sources import source_name
from imgsearch.ingest.import_spec import ImportSpec
from imgsearch.ingest.importing import preview_import, run_import
from imgsearch.ingest.item_editor import ItemEditor
from imgsearch.ingest.run import Progress
from imgsearch.ingest.staged_files import StagedFiles, without_folder
from imgsearch.search.engine import SearchEngine
from imgsearch.store.import_log import UNFINISHED, ImportLog, ImportStatus, LoggedImport

STOP_TIMEOUT_S = 60.0
WAIT_S = 0.5

_log = logging.getLogger(__name__)


class _Cancelled(Exception):
    pass


@dataclass(slots=True)
class _Run:
    """The import that runs: how far it is, and what was requested of it."""

    import_id: int
    progress: Progress = field(default_factory=lambda: Progress(0, None, 0, 0))
    paused: bool = False
    cancelled: bool = False


class ImportJobs:
    """The imports of one open catalog; safe to use from any thread."""

    def __init__(
        self,
        engine: SearchEngine,
        editor: ItemEditor,
        *,
        searched_at: Callable[[], float] = lambda: 0.0,
        then: Callable[[], object] = lambda: None,
        threads: int = 1,
    ) -> None:
        """Import with an open engine; `editor` changes items whose rows come without photos.

        `searched_at` returns the `time.monotonic` of the last search, `then` is called after each import that changed
        something. `threads` decode photos.
        """
        self.log = ImportLog(engine.catalog.database)
        self.staged = StagedFiles(engine.catalog.folder / "imports")
        self._engine = engine
        self._editor = editor
        self._searched_at = searched_at
        self._then = then
        self._threads = threads
        self._changed = threading.Condition()
        self._one = threading.Lock()
        self._run: _Run | None = None
        self._closing = False
        self._thread = BackgroundThread("imports", self._run_queue)

    def open(self) -> None:
        """Note which imports an earlier process left unfinished, and delete files that no import needs."""
        self.log.interrupt_unfinished()
        self._remove_unused_files()

    def close(self) -> None:
        """Interrupt the import that runs, between two batches, and start no other."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.stop(STOP_TIMEOUT_S)

    # --- starting ---------------------------------------------------------------------------------------------

    def stage(self, files: Iterator[tuple[str, IO[bytes]]]) -> str:
        """Store files by (name, content) for an import and return the `upload` of its spec; raises `SourceError`."""
        self._remove_unused_files()
        return self.staged.add(files)

    def preview(self, spec: ImportSpec) -> dict[str, Any]:
        """Return what was understood of an import, as JSON values; changes nothing. Raises `SourceError`."""
        folder = self._folder(spec)
        try:
            preview: dict[str, Any] = without_folder(preview_import(self._engine, spec, folder), folder)
        except SourceError as error:
            raise type(error)(without_folder(str(error), folder)) from error
        return preview

    def start(self, spec: ImportSpec, actor: str) -> int:
        """Queue an import and return its number; raises `SourceError` where its uploaded files are gone."""
        number = self.log.add(self._named(spec).as_dict(), actor)
        self._thread.start()
        return number

    def run(self, spec: ImportSpec, actor: str, progress: Callable[[Progress], None]) -> dict[str, Any]:
        """Import in this thread, once no other import runs, and return what `get` returns.

        Raises what the import and `progress` raise; the import is then failed or cancelled.
        """
        spec = self._named(spec)
        with self._alone(progress):
            number = self.log.add(spec.as_dict(), actor, "running")
            self._execute(number, spec, progress)
        return self.get(number)

    def sync(
        self, spec: ImportSpec, actor: str, progress: Callable[[Progress], None]
    ) -> dict[str, Any] | None:
        """Import a feed or folder as `run` does, unless it is as it was when it was last imported: then return None.

        Raises what `run` raises, and `SourceError` for a feed that cannot be read.
        """
        spec = self._named(spec)
        before = self.log.feed_state(spec.source)
        state = feed_state(spec, before)
        if state is None:
            return None
        done = self.run(spec, actor, progress)
        if done["status"] == "done":
            self.log.save_feed_state(spec.source, state)
        return done

    # --- reading ----------------------------------------------------------------------------------------------

    def latest(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return the latest imports, the newest first."""
        return [self._document(each) for each in self.log.latest(limit)]

    def get(self, import_id: int) -> dict[str, Any]:
        """Return an import; raises `UnknownImport`."""
        return self._document(self.log.get(import_id))

    def failures(self, import_id: int, *, offset: int = 0, limit: int = 1000) -> list[Failure]:
        """Return what an import could not import, in its order; raises `UnknownImport`."""
        return self.log.failures(import_id, offset=offset, limit=limit)

    def wait(self, timeout_s: float) -> bool:
        """Wait until the queue is empty; return False if that takes longer than `timeout_s`."""
        return self._thread.wait(timeout_s)

    # --- changing ---------------------------------------------------------------------------------------------

    def pause(self, import_id: int) -> dict[str, Any]:
        """Let the import that runs wait after this batch; raises `ImportRefused` for one that does not run."""
        with self._changed:
            run = self._running(import_id, "paused")
            if not run.paused:
                run.paused = True
                self.log.note(import_id, "paused")
        return self.get(import_id)

    def resume(self, import_id: int) -> dict[str, Any]:
        """Continue a paused import, or queue one again that was interrupted, failed or cancelled.

        Raises `UnknownImport`, `ImportRefused`, and `SourceError` where its uploaded files are gone.
        """
        with self._changed:
            if self._run is not None and self._run.import_id == import_id:
                if self._run.paused:
                    self._run.paused = False
                    self.log.note(import_id, "running")
                    self._changed.notify_all()
                return self.get(import_id)
            logged = self.log.get(import_id)
            if logged.status in ("done", "queued", "running"):
                raise ImportRefused(f"Import {import_id} is {logged.status}; start a new one.")
            if upload := str(logged.spec.get("upload", "")):
                self.staged.folder(upload)
            self.log.note(import_id, "queued")
        self._thread.start()
        return self.get(import_id)

    def cancel(self, import_id: int) -> dict[str, Any]:
        """End an import after this batch; what it has imported stays. Raises `ImportRefused` for an ended one."""
        with self._changed:
            if self._run is not None and self._run.import_id == import_id:
                self._run.cancelled = True
                self._changed.notify_all()
                return self.get(import_id)
            if (status := self.log.get(import_id).status) != "queued":
                raise ImportRefused(f"Import {import_id} cannot be cancelled: it is {status}.")
            self.log.note(import_id, "cancelled")
        return self.get(import_id)

    # --- internal ---------------------------------------------------------------------------------------------

    def _named(self, spec: ImportSpec) -> ImportSpec:
        return replace(spec, source=source_name(spec, self._folder(spec)))

    def _remove_unused_files(self) -> None:
        used = {
            str(each.spec.get("upload", ""))
            for each in self.log.latest(1000)
            if each.status == "interrupted" or each.status in UNFINISHED
        }
        self.staged.remove_unused(used)

    def _folder(self, spec: ImportSpec) -> Path | None:
        """Return the folder of the files that were sent; None where none were. Raises `SourceError`."""
        return self.staged.folder(spec.upload) if spec.upload else None

    def _running(self, import_id: int, wanted: str) -> _Run:
        if self._run is None or self._run.import_id != import_id:
            status = self.log.get(import_id).status
            raise ImportRefused(f"Import {import_id} cannot be {wanted}: it is {status}.")
        return self._run

    def _run_queue(self) -> None:
        while not self._closing:
            queued = [each for each in self.log.latest(1000) if each.status == "queued"]
            if not queued:
                return
            try:
                self._run_queued(queued[-1])
            except (_Cancelled, ImgSearchError):
                pass  # noted in the log
            except Exception:
                _log.exception("import %d failed", queued[-1].import_id)

    def _run_queued(self, logged: LoggedImport) -> None:
        give_way = GiveWay(self._searched_at)

        def stop_waiting(progress: Progress) -> None:
            if self._closing:
                raise _Cancelled

        with self._alone(stop_waiting):
            try:
                spec = ImportSpec.from_dict(logged.spec)
            except SourceError as error:
                self.log.note(logged.import_id, "failed", {"reason": str(error)})
                return
            self._execute(logged.import_id, spec, lambda progress: give_way.rest(), queued=True)

    @contextmanager
    def _alone(self, show: Callable[[Progress], None]) -> Iterator[None]:
        """Wait until no other import runs; `show` may raise to give up."""
        while not self._one.acquire(timeout=WAIT_S):
            show(Progress(0, None, 0, 0))
        try:
            yield
        finally:
            self._one.release()

    def _execute(
        self, number: int, spec: ImportSpec, show: Callable[[Progress], None], *, queued: bool = False
    ) -> None:
        run = _Run(number)
        with self._changed:  # no import may be cancelled between the check and its start
            if queued and self.log.get(number).status != "queued":
                return
            self._run = run
            self.log.note(number, "running")
        status: ImportStatus = "failed"
        details: dict[str, Any] = {}
        folder = None
        try:
            folder = self._folder(spec)
            report = self._import(run, spec, show, folder)
            status, details = "done", {"report": _summary(report), "reason": report.problem}
            if report.problem:
                status = "failed"
        except (_Cancelled, KeyboardInterrupt):
            status = "interrupted" if self._closing and not run.cancelled else "cancelled"
            raise
        except ImgSearchError as error:
            details = {"reason": str(error)}
            raise
        except Exception as error:
            details = {"reason": f"It failed unexpectedly ({type(error).__name__}: {error})."[:1000]}
            raise
        finally:
            with self._changed:  # no pause may be noted after the end
                self._run = None
                details = without_folder(details, folder)
                self.log.note(number, status, {**details, "progress": _counts(run.progress)})
        if spec.upload and status == "done":
            self.staged.remove(spec.upload)
        self._then()

    def _import(
        self, run: _Run, spec: ImportSpec, show: Callable[[Progress], None], folder: Path | None
    ) -> IndexingReport:
        def step(progress: Progress) -> None:
            run.progress = progress
            show(progress)
            self._check(run)

        report = run_import(self._engine, self._editor, spec, folder, threads=self._threads, progress=step)
        failed = [Failure(each.path, without_folder(each.reason, folder)) for each in report.failed]
        self.log.save_failures(run.import_id, failed)
        return report

    def _check(self, run: _Run) -> None:
        """Wait while the import is paused; raises `_Cancelled` where it is to end."""
        with self._changed:
            self._changed.wait_for(lambda: not run.paused or run.cancelled or self._closing)
            if run.cancelled or self._closing:
                raise _Cancelled

    def _document(self, logged: LoggedImport) -> dict[str, Any]:
        spec = ImportSpec.from_dict(logged.spec)
        run = self._run
        running = run is not None and run.import_id == logged.import_id
        now = _counts(run.progress) if run is not None and running else logged.details.get("progress")
        ended = logged.status not in UNFINISHED
        return {
            "id": logged.import_id,
            "status": logged.status,
            "source": spec.source,
            "spec": spec.as_dict(),
            "actor": logged.actor,
            "created_at": _moment(logged.created_at),
            "started_at": _moment(logged.started_at),
            "ended_at": _moment(logged.changed_at) if ended else None,
            "progress": now or _counts(Progress(0, None, 0, 0)),
            "report": logged.details.get("report"),
            "reason": logged.details.get("reason", ""),
        }


def _counts(progress: Progress) -> dict[str, Any]:
    return {
        "done": progress.done,
        "total": progress.total,
        "encoded": progress.encoded,
        "failed": progress.failed,
    }


def _summary(report: IndexingReport) -> dict[str, Any]:
    """Return the report with the number of failures: they are stored beside it."""
    document = report.as_dict()
    return {**document, "failed": len(report.failed), "moved": len(report.moved)}


def _moment(moment: Any) -> str | None:
    return f"{moment.isoformat(timespec='seconds')}Z" if moment else None
