"""Feeds: shops' tables of products as sources of photos with metadata."""

from imgsearch.ingest.feeds.feed import Feed
from imgsearch.ingest.feeds.formats import FORMATS
from imgsearch.ingest.feeds.metadata_file import MetadataFile
from imgsearch.ingest.feeds.opening import open_feed
from imgsearch.ingest.feeds.options import FeedOptions
from imgsearch.ingest.feeds.preview import FeedPreview, PreviewColumn

__all__ = ["FORMATS", "Feed", "FeedOptions", "FeedPreview", "MetadataFile", "PreviewColumn", "open_feed"]
