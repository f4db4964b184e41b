"""The error tree: every deliberate failure of the library is one of these, with a one-sentence message.

It owns the classes and nothing else; lower libraries' errors are translated into these where they are caught.

    ImgSearchError
    ├── ConfigError            a setting that cannot be used
    ├── ImageError             bytes that are not a usable picture
    │   └── ImageTooLarge      over the byte or pixel limit
    ├── EncoderError           an encoder that cannot be loaded or used
    │   ├── EncoderUnavailable weights that cannot be had now (no network, no cache)
    │   └── EncoderMismatch    embeddings of one encoder met another's
    ├── CatalogError           a catalog folder that cannot be used
    │   ├── CatalogNotFound    no catalog in that folder
    │   ├── CatalogLocked      another process holds it
    │   └── CatalogCorrupt     the stored data contradicts itself
    ├── IndexCorrupt           an index file fails its checksum or header
    ├── IndexUnavailable       an index on another machine that does not answer
    ├── SourceError            a folder, archive or manifest that cannot be read
    ├── QueryError             a search request that makes no sense
    │   ├── FilterError        a filter that cannot be parsed or names no column
    │   └── UnknownItem        an item id that is not in the catalog
    ├── CollectionError        a collection that cannot be made or changed as asked
    │   └── UnknownCollection  no collection of that id
    ├── FeedbackError          a click or judgment that cannot be recorded
    │   └── JudgingError       a judging set, a labeler's act or an import that makes no sense
    ├── NotAWriter             a replica, or a stranger, asked for what only the writer does
    ├── JobRunning             another job is still running in the background
    ├── EvaluationError        qrels, topics or measures that cannot be used
    ├── ExperimentError        a system or an experiment that cannot be used
    │   └── UnknownSystem      no system of that name
    ├── AdaptationError        a head that cannot be learned or put in force
    └── ExploreError           a map that cannot be laid out or shown as asked
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
    """The encoder's weights cannot be had at this moment."""

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
    """Another process holds the catalog; the message names it."""

    code = "catalog_locked"


class CatalogCorrupt(CatalogError):
    """What is stored contradicts itself; `imgsearch verify --repair` mends it."""

    code = "catalog_corrupt"


class IndexCorrupt(ImgSearchError):
    """An index file does not match its checksum or header; it can be rebuilt from the embeddings."""

    code = "index_corrupt"


class IndexUnavailable(ImgSearchError):
    """The index lies on another machine, which does not answer."""

    code = "index_unavailable"


class SourceError(ImgSearchError):
    """A folder, archive or manifest cannot be read."""

    code = "bad_source"


class QueryError(ImgSearchError):
    """The search request makes no sense."""

    code = "bad_query"


class FilterError(QueryError):
    """A filter cannot be parsed, or names no column."""

    code = "bad_filter"


class UnknownItem(QueryError):
    """No item of that id is in the catalog."""

    code = "unknown_item"


class CollectionError(ImgSearchError):
    """A collection cannot be made or changed as asked."""

    code = "bad_collection"


class UnknownCollection(CollectionError):
    """No collection of that id is there."""

    code = "unknown_collection"


class FeedbackError(ImgSearchError):
    """A click or judgment cannot be recorded as given."""

    code = "bad_feedback"


class JudgingError(FeedbackError):
    """A judging set, what a labeler does in it, or judgments to import make no sense."""

    code = "bad_judging"


class EvaluationError(ImgSearchError):
    """Qrels, topics or measures cannot be used as given."""

    code = "bad_evaluation"


class ExperimentError(ImgSearchError):
    """A system or an experiment cannot be defined, started or stopped as asked."""

    code = "bad_experiment"


class UnknownSystem(ExperimentError):
    """There is no system of that name."""

    code = "unknown_system"


class NotAWriter(ImgSearchError):
    """Only the one writer of a catalog does this, for those who know its token."""

    code = "not_a_writer"


class JobRunning(ImgSearchError):
    """One background job at a time, and another one is still running."""

    code = "job_running"


class AdaptationError(ImgSearchError):
    """A head cannot be learned or put in force as asked."""

    code = "bad_adaptation"


class ExploreError(ImgSearchError):
    """A map of the catalog cannot be laid out or shown as asked."""

    code = "bad_map"
