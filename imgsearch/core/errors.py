"""The error tree: every deliberate failure of the library is one of these, with a one-sentence message.

Errors of other libraries are translated into these where they are caught.
"""

from __future__ import annotations


class ImgSearchError(Exception):
    """Any deliberate failure; `code` is its stable machine name, `str(error)` one sentence for people."""

    code = "error"

    def __init_subclass__(cls, *, code: str | None = None) -> None:
        cls.code = code or cls.code


class ConfigError(ImgSearchError, code="bad_setting"):
    """A setting has a value that cannot be used."""


class ImageError(ImgSearchError, code="bad_image"):
    """The bytes are not a picture that can be decoded."""


class ImageTooLarge(ImageError, code="image_too_large"):
    """The picture is over the limit of bytes or pixels."""


class EncoderError(ImgSearchError, code="encoder_error"):
    """The encoder cannot be loaded or used."""


class EncoderUnavailable(EncoderError, code="encoder_unavailable"):
    """The encoder's weights are not available now."""


class EncoderMismatch(EncoderError, code="encoder_mismatch"):
    """The catalog's embeddings come from another encoder."""


class CatalogError(ImgSearchError, code="catalog_error"):
    """The catalog folder cannot be used."""


class CatalogNotFound(CatalogError, code="catalog_not_found"):
    """There is no catalog in that folder."""


class CatalogLocked(CatalogError, code="catalog_locked"):
    """Another process has the catalog open; the message names it."""


class CatalogCorrupt(CatalogError, code="catalog_corrupt"):
    """The stored data contradicts itself; `imgsearch verify --repair` repairs it."""


class BackupError(ImgSearchError, code="backup_error"):
    """A backup cannot be written, read or restored."""


class DiskFull(ImgSearchError, code="disk_full"):
    """The disk has no space for what was to be stored; nothing of it is."""


class IndexCorrupt(ImgSearchError, code="index_corrupt"):
    """An index file does not match its checksum or header; it can be rebuilt from the embeddings."""


class IndexBehind(IndexCorrupt, code="index_behind"):
    """The index is sound but older than the catalog: a run was interrupted. The next command brings it in step."""


class IndexUnavailable(ImgSearchError, code="index_unavailable"):
    """The index is on another machine, which does not answer."""


class SourceError(ImgSearchError, code="bad_source"):
    """A folder, archive or manifest cannot be read."""


class NoPhotoColumn(SourceError, code="no_photo_column"):
    """A table has no column of photos: it can only describe photos."""


class QueryError(ImgSearchError, code="bad_query"):
    """The search request is not valid."""


class FilterError(QueryError, code="bad_filter"):
    """A filter cannot be parsed, or names no column."""


class UnknownItem(QueryError, code="unknown_item"):
    """No item of that id is in the catalog."""


class CollectionError(ImgSearchError, code="bad_collection"):
    """A collection cannot be created or changed as requested."""


class UnknownCollection(CollectionError, code="unknown_collection"):
    """There is no collection of that id."""


class FeedbackError(ImgSearchError, code="bad_feedback"):
    """A click or judgment cannot be recorded as given."""


class JudgingError(FeedbackError, code="bad_judging"):
    """A judging set, a labeler's act or an import of judgments is not valid."""


class EvaluationError(ImgSearchError, code="bad_evaluation"):
    """Qrels, topics or measures cannot be used as given."""


class ExperimentError(ImgSearchError, code="bad_experiment"):
    """A system or an experiment cannot be defined, started or stopped as requested."""


class UnknownSystem(ExperimentError, code="unknown_system"):
    """There is no system of that name."""


class UnknownImport(ImgSearchError, code="unknown_import"):
    """There is no import of that number."""


class ImportRefused(ImgSearchError, code="bad_import"):
    """An import cannot be started or changed as requested."""


class NotAWriter(ImgSearchError, code="not_a_writer"):
    """Only the writer of a catalog does this, and for requests with its token."""


class TokenRequired(ImgSearchError, code="token_required"):
    """Changing the catalog over HTTP needs a valid token here."""


class WriteRefused(ImgSearchError, code="write_refused"):
    """The catalog may not be changed by this request."""


class MetadataError(ImgSearchError, code="bad_metadata"):
    """A column's name or a value is not one that an item can have."""


class IdError(ImgSearchError, code="bad_item_id"):
    """A new item may not have this id."""


class EtagMismatch(ImgSearchError, code="etag_mismatch"):
    """The item is not in the state that the request expects: another request changed it."""


class IdempotencyConflict(ImgSearchError, code="idempotency_conflict"):
    """A request with the same idempotency key is still running."""


class IdempotencyMismatch(ImgSearchError, code="idempotency_mismatch"):
    """The idempotency key belongs to another request."""


class JobRunning(ImgSearchError, code="job_running"):
    """Another background job is still running."""


class AdaptationError(ImgSearchError, code="bad_adaptation"):
    """A head cannot be trained or published as requested."""


class ExploreError(ImgSearchError, code="bad_map"):
    """A map of the catalog cannot be laid out or shown as requested."""
