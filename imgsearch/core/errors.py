"""The error tree: every deliberate failure of the library is one of these, with a one-sentence message.

Errors of other libraries are translated into these where they are caught.

    ImgSearchError
    ├── ConfigError            a setting that cannot be used
    ├── ImageError             bytes that are not a usable picture
    │   └── ImageTooLarge      over the byte or pixel limit
    ├── EncoderError           an encoder that cannot be loaded or used
    │   ├── EncoderUnavailable weights that are not available now (no network, no cache)
    │   └── EncoderMismatch    embeddings of another encoder
    ├── CatalogError           a catalog folder that cannot be used
    │   ├── CatalogNotFound    no catalog in that folder
    │   ├── CatalogLocked      another process has it open
    │   └── CatalogCorrupt     the stored data contradicts itself
    ├── IndexCorrupt           an index file fails its checksum or header
    ├── IndexUnavailable       an index on another machine that does not answer
    ├── SourceError            a folder, archive or manifest that cannot be read
    ├── QueryError             a search request that is not valid
    │   ├── FilterError        a filter that cannot be parsed or names no column
    │   └── UnknownItem        an item id that is not in the catalog
    ├── CollectionError        a collection that cannot be created or changed
    │   └── UnknownCollection  no collection of that id
    ├── FeedbackError          a click or judgment that cannot be recorded
    │   └── JudgingError       a judging set, a labeler's act or an import that is not valid
    ├── NotAWriter             a request that only the writer of a catalog may answer
    ├── JobRunning             another job is still running in the background
    ├── EvaluationError        qrels, topics or measures that cannot be used
    ├── ExperimentError        a system or an experiment that cannot be used
    │   └── UnknownSystem      no system of that name
    ├── AdaptationError        a head that cannot be trained or published
    └── ExploreError           a map that cannot be laid out or shown as requested
"""

from __future__ import annotations

__all__ = [
    "AdaptationError",
    "CatalogCorrupt",
    "CatalogError",
    "CatalogLocked",
    "CatalogNotFound",
    "CollectionError",
    "ConfigError",
    "EncoderError",
    "EncoderMismatch",
    "EncoderUnavailable",
    "EvaluationError",
    "ExperimentError",
    "ExploreError",
    "FeedbackError",
    "FilterError",
    "ImageError",
    "ImageTooLarge",
    "ImgSearchError",
    "IndexCorrupt",
    "IndexUnavailable",
    "JobRunning",
    "JudgingError",
    "NotAWriter",
    "QueryError",
    "SourceError",
    "UnknownCollection",
    "UnknownItem",
    "UnknownSystem",
]


class ImgSearchError(Exception):
    """Any deliberate failure; `code` is its stable machine name, `str(error)` one sentence for people."""

    code = "error"


class ConfigError(ImgSearchError):
    """A setting has a value that cannot be used."""

    code = "bad_setting"


class ImageError(ImgSearchError):
    """The bytes are not a picture that can be decoded."""

    code = "bad_image"


class ImageTooLarge(ImageError):
    """The picture is over the limit of bytes or pixels."""

    code = "image_too_large"


class EncoderError(ImgSearchError):
    """The encoder cannot be loaded or used."""

    code = "encoder_error"


class EncoderUnavailable(EncoderError):
    """The encoder's weights are not available now."""

    code = "encoder_unavailable"


class EncoderMismatch(EncoderError):
    """The catalog's embeddings come from another encoder."""

    code = "encoder_mismatch"


class CatalogError(ImgSearchError):
    """The catalog folder cannot be used."""

    code = "catalog_error"


class CatalogNotFound(CatalogError):
    """There is no catalog in that folder."""

    code = "catalog_not_found"


class CatalogLocked(CatalogError):
    """Another process has the catalog open; the message names it."""

    code = "catalog_locked"


class CatalogCorrupt(CatalogError):
    """The stored data contradicts itself; `imgsearch verify --repair` repairs it."""

    code = "catalog_corrupt"


class IndexCorrupt(ImgSearchError):
    """An index file does not match its checksum or header; it can be rebuilt from the embeddings."""

    code = "index_corrupt"


class IndexUnavailable(ImgSearchError):
    """The index is on another machine, which does not answer."""

    code = "index_unavailable"


class SourceError(ImgSearchError):
    """A folder, archive or manifest cannot be read."""

    code = "bad_source"


class QueryError(ImgSearchError):
    """The search request is not valid."""

    code = "bad_query"


class FilterError(QueryError):
    """A filter cannot be parsed, or names no column."""

    code = "bad_filter"


class UnknownItem(QueryError):
    """No item of that id is in the catalog."""

    code = "unknown_item"


class CollectionError(ImgSearchError):
    """A collection cannot be created or changed as requested."""

    code = "bad_collection"


class UnknownCollection(CollectionError):
    """There is no collection of that id."""

    code = "unknown_collection"


class FeedbackError(ImgSearchError):
    """A click or judgment cannot be recorded as given."""

    code = "bad_feedback"


class JudgingError(FeedbackError):
    """A judging set, a labeler's act or an import of judgments is not valid."""

    code = "bad_judging"


class EvaluationError(ImgSearchError):
    """Qrels, topics or measures cannot be used as given."""

    code = "bad_evaluation"


class ExperimentError(ImgSearchError):
    """A system or an experiment cannot be defined, started or stopped as requested."""

    code = "bad_experiment"


class UnknownSystem(ExperimentError):
    """There is no system of that name."""

    code = "unknown_system"


class NotAWriter(ImgSearchError):
    """Only the writer of a catalog does this, and for requests with its token."""

    code = "not_a_writer"


class JobRunning(ImgSearchError):
    """Another background job is still running."""

    code = "job_running"


class AdaptationError(ImgSearchError):
    """A head cannot be trained or published as requested."""

    code = "bad_adaptation"


class ExploreError(ImgSearchError):
    """A map of the catalog cannot be laid out or shown as requested."""

    code = "bad_map"
