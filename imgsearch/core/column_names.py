"""What the name of a metadata column says: that it holds codes, prices, yes-or-no values, lists or titles."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_WORDS = re.compile(r"[^\W\d_]+|\d+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_CODES = frozenset(
    (
        *("sku", "ean", "gtin", "upc", "isbn", "asin", "mpn", "barcode", "plu", "id", "uuid", "guid"),
        *("zip", "plz", "postcode", "phone", "tel", "telephone", "fax", "artnr", "artikelnr", "vat", "iban"),
    )
)
"""A word of these makes a column one of codes, whatever its values."""
_NUMBERS = frozenset(
    (
        *("code", "number", "no", "nr", "num", "nummer", "numero", "article", "artikel", "artikelnummer"),
        *("ref", "reference", "serial", "model", "handle", "key", "part"),
    )
)
"""A last word of these makes texts codes; numbers of a typed file stay numbers."""
_PRICES = frozenset(
    (
        *("price", "prices", "preis", "preise", "prix", "precio", "prezzo", "preco", "prijs", "cena", "pris"),
        *("hinta", "cost", "kosten", "rrp", "msrp", "uvp", "listprice", "saleprice", "unitprice"),
        *("verkaufspreis", "einkaufspreis", "listenpreis", "bruttopreis", "nettopreis"),
    )
)
_BOOLEANS = frozenset(
    (
        *(
            "is",
            "has",
            "can",
            "in_stock",
            "instock",
            "available",
            "active",
            "enabled",
            "visible",
            "published",
        ),
        *(
            "featured",
            "new",
            "sale",
            "discontinued",
            "hidden",
            "deleted",
            "taxable",
            "organic",
            "vegan",
            "recyclable",
        ),
        *("verfuegbar", "verfugbar", "lieferbar", "aktiv", "neu", "sichtbar"),
    )
)
_LISTS = frozenset(
    (
        *("tags", "colors", "colours", "sizes", "materials", "keywords", "categories", "features", "styles"),
        *(
            "collections",
            "flags",
            "badges",
            "labels",
            "rooms",
            "occasions",
            "farben",
            "groessen",
            "kategorien",
        ),
        *("schlagworte", "stichworte", "variants", "options"),
    )
)
_USUAL_CURRENCIES = frozenset(
    (
        "EUR",
        "USD",
        "GBP",
        "CHF",
        "JPY",
        "CNY",
        "INR",
        "PLN",
        "SEK",
        "NOK",
        "DKK",
        "CZK",
        "HUF",
        "AUD",
        "CAD",
        "NZD",
    )
)
_PROSE = frozenset(
    ("description", "beschreibung", "body", "text", "html", "comment", "note", "notes", "summary")
)

_TITLES = (
    *("title", "name", "label"),
    *("producttitle", "productname", "itemtitle", "itemname", "displayname", "displaytitle", "articlename"),
    *("producttitel", "titel", "produktname", "produkttitel", "produktbezeichnung", "artikelname"),
    *("artikelbezeichnung", "bezeichnung", "titre", "nomproduit", "nomduproduit", "nom", "titulo", "nombre"),
    *("nombreproducto", "titolo", "nomeprodotto", "nome", "productnaam", "naam", "nazwaproduktu", "nazwa"),
    *("headline", "posttitle", "ogtitle", "producttitleen", "titleen", "nameen"),
)
_TITLE_RANKS = {name: rank for rank, name in enumerate(dict.fromkeys(_TITLES))}


def name_words(name: str) -> tuple[str, ...]:
    """Return the words of a column's name in lower case without accents: `priceEUR_2` is price, eur and 2."""
    spaced = _HUMP.sub(" ", name[:200])
    decomposed = unicodedata.normalize("NFKD", spaced.casefold())
    return tuple(_WORDS.findall("".join(each for each in decomposed if not unicodedata.combining(each))))


def holds_codes(name: str, *, typed: bool = False) -> bool:
    """Return whether the name is one of codes; `typed` where the values are numbers of a typed file."""
    words = name_words(name)
    return bool(_CODES & set(words)) or (not typed and bool(words) and words[-1] in _NUMBERS)


def holds_prices(name: str) -> bool:
    """Return whether the name is one of prices."""
    return bool(_PRICES & set(name_words(name)))


def currency_in_name(name: str) -> str:
    """Return the ISO 4217 code of a usual currency that is a word of the name, as in `price_eur`; "" for none."""
    codes = (word.upper() for word in name_words(name))
    return next((code for code in codes if code in _USUAL_CURRENCIES), "")


def holds_booleans(name: str) -> bool:
    """Return whether 1 and 0 in a column of this name mean yes and no."""
    words = name_words(name)
    return bool(_BOOLEANS & {*words[:1], *words[-1:], "_".join(words)})


def holds_lists(name: str) -> bool:
    """Return whether the name is a plural that suggests several values in a cell."""
    words = name_words(name)
    return bool(words) and words[-1] in _LISTS


def holds_prose(name: str) -> bool:
    """Return whether the name is one of titles or of running text, in which a separator separates nothing."""
    return title_rank(name) is not None or bool(_PROSE & set(name_words(name)))


@lru_cache(maxsize=4096)
def title_rank(name: str) -> int | None:
    """Return the preference (0 is the best) of a column as the items' title; None where it is not one.

    Case, accents and separators do not count: `Product Title`, `product_title` and `productTitle` are the same.
    """
    if len(name) > 60:
        return None
    return _TITLE_RANKS.get("".join(name_words(name)))


def holds_titles(name: str) -> bool:
    """Return whether the name is one of titles, which are text also where all of them are numbers.

    A `label` may be a title, but is often the number of a class.
    """
    return title_rank(name) is not None and "".join(name_words(name)) != "label"


def title_columns(names: Iterable[str], stated: str = "") -> list[str]:
    """Return the columns that may hold titles, the preferred first: `stated`, then by `title_rank`.

    Of equal ranks (`title`, `Title`) the one in lower case comes first, then the earlier one.
    """
    ranked = [
        (rank, name != name.casefold(), name)
        for name in names
        if name != stated and (rank := title_rank(name)) is not None
    ]
    ordered = [name for _, _, name in sorted(ranked, key=lambda each: each[:2])]
    return [stated, *ordered] if stated else ordered
