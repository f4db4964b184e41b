"""The path parameter of item ids, which may hold every character."""

from __future__ import annotations

from typing import ClassVar

from starlette.convertors import Convertor, register_url_convertor

__all__ = ["ID"]


class _AnythingConvertor(Convertor[str]):
    # Starlette's own `path` stops at newlines.
    regex: ClassVar[str] = r"[\s\S]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("anything", _AnythingConvertor())

ID = "{id:anything}"
"""An item's id in a route's path."""
