"""Checks of texts that come from outside: length and valid Unicode."""

from __future__ import annotations

from imgsearch.core.errors import ImgSearchError, QueryError


def is_unicode(text: str) -> bool:
    """Return whether the text can be encoded in UTF-8: whether it holds no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_text(
    text: object,
    name: str,
    *,
    max_chars: int | None,
    may_be_empty: bool = True,
    error: type[ImgSearchError] = QueryError,
) -> str:
    """Return the text if it is a valid one of at most `max_chars` characters; raises `error`."""
    if not isinstance(text, str):
        raise error(f"{name} must be a text.")
    if not (may_be_empty or text.strip()):
        raise error(f"{name} is empty.")
    if max_chars is not None and len(text) > max_chars:
        raise error(f"{name} has {len(text):,} characters; shorten it to at most {max_chars:,}.")
    if not is_unicode(text):
        raise error(f"{name} is not valid Unicode text: it contains a lone surrogate.")
    return text


def error_line(error: Exception, *, max_chars: int = 150) -> str:
    """Return the text of an error in one line; the name of its type where it has none."""
    return " ".join(str(error).split())[:max_chars].rstrip(".") or type(error).__name__
