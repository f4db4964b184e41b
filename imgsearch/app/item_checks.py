"""Checks of changes that come from outside, before anything is read or written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from imgsearch.app.service import SearchService
from imgsearch.core.errors import EncoderUnavailable, EtagMismatch, IdError, ImageTooLarge, UnknownItem
from imgsearch.core.item_limits import check_metadata, check_new_id
from imgsearch.ingest.item_changes import ItemChange, etag_of


class ItemChecks:
    """Checks the changes of one request, in order: a column that one adds is known to the next."""

    def __init__(self, service: SearchService) -> None:
        self._service = service
        self._columns = set(service.catalog.metadata.columns)

    def check(self, change: ItemChange) -> None:
        """Raise `MetadataError`, `IdError`, `ImageTooLarge` or `EncoderUnavailable` for a change not to be made."""
        if change.metadata is not None:
            check_metadata(change.metadata, columns=self._columns)
            self._columns.update(change.metadata)
        if change.kind != "put":
            return
        self._check_id(change.item_id)
        most = self._service.settings.max_upload_bytes
        if change.picture is not None and len(change.picture) > most:
            raise ImageTooLarge(f"The photo has {len(change.picture):,} bytes; at most {most:,} are allowed.")
        if change.picture is not None or change.url:
            require_encoder(self._service)

    def _check_id(self, item_id: str) -> None:
        try:
            check_new_id(item_id)
        except IdError:
            if find_etag(self._service, item_id) is None:
                raise

    def expecting(self, change: ItemChange, etags: Sequence[str], *, create_only: bool = False) -> ItemChange:
        """Return the change with the one of the ETags that the item has now; raises `EtagMismatch` for none."""
        if len(etags) < 2:
            return replace(change, if_match=etags[0] if etags else "", create_only=create_only)
        present = find_etag(self._service, change.item_id)
        if present is None or present not in etags:
            raise EtagMismatch(f"The item {change.item_id[:100]!r} has none of the ETags in If-Match.")
        return replace(change, if_match=present)


def find_etag(service: SearchService, item_id: str) -> str | None:
    """Return the present ETag of an item, None where there is no such item."""
    try:
        return etag_of(service.catalog.get(item_id).revision)
    except UnknownItem:
        return None


def require_encoder(service: SearchService) -> None:
    """Raise `EncoderUnavailable` rather than let a request wait for a model that is loading or has failed."""
    state = service.engine.encoder.state
    if state.status == "loading":
        raise EncoderUnavailable("The encoder is still loading; searching by item works already.")
    if state.status == "failed":
        raise EncoderUnavailable(f"Texts and pictures cannot be searched: {state.reason}")
