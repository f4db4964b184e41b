"""What an import is to bring into the catalog, and how; stored as JSON, so that it can be run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from imgsearch.core.errors import SourceError
from imgsearch.store.originals import is_url

Gone = Literal["keep", "hide", "remove"]
MAX_CHARS = 4000


@dataclass(frozen=True, slots=True)
class ImportSpec:
    """One of `url` (a feed), `path` (a feed, folder, archive or manifest here) and `upload` (files sent before).

    `source` is the name under which the items are known: importing it again updates them. By default it is the URL,
    the path, or the name of the uploaded feed. What the source no longer lists is kept, hidden from visitors or
    removed (`gone`), at most the share `max_removed` of its items unless `accept_removal`. The other fields replace
    what is recognised. With `private_hosts`, URLs may point into the local network.
    """

    url: str = ""
    path: str = ""
    upload: str = ""
    source: str = ""
    gone: Gone = "keep"
    max_removed: str = ""
    accept_removal: bool = False
    format: str = ""
    id_column: str = ""
    image_columns: tuple[str, ...] = ()
    encoding: str = ""
    separator: str = ""
    root: str = ""
    private_hosts: bool = False

    def __post_init__(self) -> None:
        """Check the values; raises `SourceError`."""
        if sum(map(bool, (self.url, self.path, self.upload))) != 1:
            raise SourceError("An import needs exactly one of url, path and files.")
        if self.url and not is_url(self.url):
            raise SourceError("The url of an import must begin with http:// or https://.")
        if self.gone not in get_args(Gone):
            raise SourceError(f"gone must be keep, hide or remove, not {str(self.gone)[:20]!r}.")
        texts = [getattr(self, each.name) for each in fields(self) if each.name != "image_columns"]
        if any(isinstance(text, str) and len(text) > MAX_CHARS for text in (*texts, *self.image_columns)):
            raise SourceError(f"A value of an import has more than {MAX_CHARS:,} characters.")

    @property
    def place(self) -> str:
        """The URL or path, or "" for uploaded files."""
        return self.url or self.path

    def as_dict(self) -> dict[str, Any]:
        """Return the values that are not the defaults."""
        plain = {each.name: each.default for each in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != plain[name]}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> ImportSpec:
        """Return the spec of `as_dict`; raises `SourceError` for values that it never returns."""
        known = {each.name for each in fields(ImportSpec)}
        for name in values:
            if name not in known:
                raise SourceError(f"An import has no option {str(name)[:40]!r}.")
        return ImportSpec(**{**values, "image_columns": tuple(values.get("image_columns", ()))})
