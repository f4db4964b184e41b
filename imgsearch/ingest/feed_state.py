"""Whether a feed has changed since it was last imported, without reading it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from imgsearch.core.errors import SourceError
from imgsearch.ingest.import_spec import ImportSpec
from imgsearch.store.originals import Originals, is_url


def feed_state(spec: ImportSpec, before: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a feed is like now, to compare with later; None where it is as in `before`.

    A URL's server says so by `ETag` and `Last-Modified`; a file has the same size and time. A folder, and a URL whose
    server says nothing, count as changed. Raises `SourceError` where the feed cannot be read.
    """
    # Other options read the same feed in another way.
    options = {
        name: value for name, value in spec.as_dict().items() if name not in ("max_removed", "accept_removal")
    }
    same = before.get("options") == _plain(options)
    if is_url(spec.place):
        known = dict(before.get("validators", {})) if same else {}
        with closing(Originals(private_hosts=spec.private_hosts)) as originals:
            try:
                validators = originals.validators(spec.place, known)
            except SourceError as error:
                reason = str(error).replace("photo's URL", "feed's URL")
                raise SourceError(f"The feed {spec.place[:200]} cannot be read: {reason}") from None
        return None if validators is None else {"options": _plain(options), "validators": validators}
    state: dict[str, Any] = {"options": _plain(options)}
    path = Path(spec.place).expanduser()
    if path.is_file():
        status = path.stat()
        state["file"] = [status.st_size, status.st_mtime_ns]
        if state == before:
            return None
    return state


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as they come back from JSON."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
