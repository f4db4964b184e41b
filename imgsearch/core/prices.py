"""Prices and numbers as people write them: "1.299,00 €", "$1,299.00", "CHF 1'299.-", "₹1,29,900".

The grammar reads each character once. The whole text must be a price: the library price-parser finds a number inside
any text ("Model 500" is 500), drops the sign, and needs seconds for a long text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple

Mark = Literal[".", ",", ""]
"""A decimal mark; "" where it is not known."""

MAX_PRICE_CHARS = 60
MAX_WHOLE_DIGITS = 14
MAX_DECIMALS = 4
"""A price is stored as DECIMAL(18, 4)."""

_SEPARATOR = re.compile(r"([.,' ])")
_DIGIT = re.compile(r"[0-9]")
_BODY = re.compile(r"[0-9](?:[0-9.,' ]*[0-9])?")
_ROUND_ENDS = (".--", ",--", ".-", ",-", ":-")
_INSIDE = re.compile(r"([0-9]+) ?([€$£]) ?([0-9]{2})\Z")
"""A sign between the digits: 19€99."""
_CLEAN = str.maketrans(
    {
        **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\ufe63", "-"),
        **dict.fromkeys("\u2018\u2019\u00b4`\u02bc", "'"),
        **dict.fromkeys("\t\n\r\f\v", " "),
    }
)

_ISO_CODES = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP "
    "CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG "
    "HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA "
    "MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD "
    "RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX "
    "USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL"
)
ISO_CODES = frozenset(_ISO_CODES.split())
"""The codes of ISO 4217 that a price may name, in capitals."""

_SYMBOLS = {
    "€": "EUR", "₹": "INR", "₽": "RUB", "₩": "KRW", "₺": "TRY", "₴": "UAH", "₫": "VND", "₪": "ILS", "₱": "PHP",
    "฿": "THB", "₦": "NGN", "₡": "CRC", "₲": "PYG", "₸": "KZT", "₼": "AZN", "₾": "GEL", "₵": "GHS", "₭": "LAK",
    "r$": "BRL", "us$": "USD", "u$s": "USD", "c$": "CAD", "ca$": "CAD", "a$": "AUD", "au$": "AUD", "nz$": "NZD",
    "hk$": "HKD", "s$": "SGD", "nt$": "TWD", "mx$": "MXN", "zł": "PLN", "zl": "PLN", "kč": "CZK", "円": "JPY",
    "元": "CNY", "원": "KRW", "лв": "BGN", "лв.": "BGN", "руб": "RUB", "руб.": "RUB", "грн": "UAH",
    "chf": "CHF", "sfr": "CHF", "sfr.": "CHF", "fr.": "CHF", "eur": "EUR", "euro": "EUR", "euros": "EUR",
    "usd": "USD", "gbp": "GBP", "jpy": "JPY", "pln": "PLN", "czk": "CZK", "cad": "CAD", "aud": "AUD", "inr": "INR",
    "rs.": "INR", "rs": "INR", "dollar": "USD", "dollars": "USD", "s/.": "PEN", "£": "GBP",
}  # fmt: skip
_UNSURE = {"$": "USD", "¥": "JPY", "kr": "", "kr.": "", ",-kr": "", "pound": "GBP", "pounds": "GBP"}
"""Signs of several currencies, with the one that is taken where none is stated."""
_WORDS_OF_PRICES_ONLY = {
    "r": "ZAR", "rm": "MYR", "rp": "IDR", "rp.": "IDR", "ft": "HUF", "lei": "RON", "din": "RSD", "tl": "TRY",
    "fr": "CHF", "p.": "RUB", "р.": "RUB", "kn": "HRK", "s/": "PEN", "dh": "MAD", "sek": "SEK", "nok": "NOK",
    "dkk": "DKK",
}  # fmt: skip
"""Signs that mean something else elsewhere, such as `5 ft` and `R16`: they count in columns of prices only."""


class Price(NamedTuple):
    """An amount and its currency as an ISO 4217 code; "" where none is given."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class WrittenNumber:
    """Digits as written: `groups` of them, all but the last before `mark` where that is not "".

    `unclear` is the only separator of a number such as 1.299, which may be a decimal mark or separate thousands.
    `evidence` is the decimal mark that this number shows for those beside it.
    """

    whole: str
    fraction: str
    mark: Mark
    unclear: Mark = ""
    evidence: Mark = ""

    def amount(self, mark: Mark = "") -> Decimal:
        """Return the number; `mark` is the column's decimal mark, which decides about an unclear separator."""
        if self.unclear and mark != self.unclear:
            return Decimal(self.whole + self.fraction)
        return Decimal(f"{self.whole or '0'}.{self.fraction}" if self.fraction else self.whole)


@dataclass(frozen=True, slots=True)
class WrittenPrice:
    """A price as written. `certain`: a sign or code that means nothing but a currency is beside the number."""

    number: WrittenNumber
    negative: bool
    currency: str
    unsure: bool
    for_prices_only: bool

    @property
    def certain(self) -> bool:
        """Whether a currency is named that cannot mean anything else."""
        return (bool(self.currency) or self.unsure) and not self.for_prices_only

    def price(self, mark: Mark = "", currency: str = "") -> Price | None:
        """Return the price under the column's decimal mark and stated currency; None where it cannot be stored."""
        amount = self.number.amount(mark)
        own = currency if currency and (self.unsure or not self.currency) else self.currency
        return Price(-amount if self.negative else amount, own) if fits_decimal(amount) else None


def fits_decimal(amount: Decimal) -> bool:
    """Return whether DECIMAL(18, 4) holds an amount exactly."""
    if not amount.is_finite():
        return False
    if amount.is_zero():
        return True
    _, digits, exponent = amount.as_tuple()
    assert isinstance(exponent, int)
    zeros = next((place for place, digit in enumerate(reversed(digits)) if digit), 0)
    return len(digits) + exponent <= MAX_WHOLE_DIGITS and exponent + zeros >= -MAX_DECIMALS


def read_number(text: str) -> WrittenNumber | None:
    """Return a number of digits, points, commas, apostrophes and spaces; None for any other text."""
    parts = _SEPARATOR.split(text)
    groups, separators = parts[::2], parts[1::2]
    if any(not (group.isascii() and group.isdigit()) for group in groups[1:]):
        return None
    first = groups[0]
    if not separators:
        return WrittenNumber(first, "", "") if _is_whole(first) else None
    if first and not (first.isascii() and first.isdigit()):
        return None
    last = separators[-1]
    if last in ".," and separators.count(last) == 1:
        return _with_decimals(groups, separators, "." if last == "." else ",")
    if len(set(separators)) > 1 or not _grouped(groups):
        return None
    evidence: Mark = "," if last == "." else "." if last == "," else ""
    return WrittenNumber("".join(groups), "", "", evidence=evidence)


def _with_decimals(groups: list[str], separators: list[str], mark: Mark) -> WrittenNumber | None:
    """Return a number whose last separator occurs once: a decimal mark, or unclear before three digits."""
    whole, fraction = groups[:-1], groups[-1]
    if len(separators) > 1:
        if len(set(separators[:-1])) > 1 or not _grouped(whole):
            return None
        return WrittenNumber("".join(whole), fraction, mark, evidence=mark)
    first = whole[0]
    if len(fraction) == 3 and 1 <= len(first) <= 3 and first[0] != "0":
        return WrittenNumber(first, fraction, "", unclear=mark)
    return WrittenNumber(first, fraction, mark, evidence=mark) if not first or _is_whole(first) else None


def _is_whole(digits: str) -> bool:
    """Return whether the digits are a whole number; a leading zero makes them a code."""
    return digits.isascii() and digits.isdigit() and (len(digits) == 1 or digits[0] != "0")


def _grouped(groups: list[str]) -> bool:
    """Return whether the groups are thousands: 1,299,000, or lakhs and crores: 12,99,000."""
    if not 1 <= len(groups[0]) <= 3 or groups[0][0] == "0" or len(groups[-1]) != 3:
        return len(groups) == 1 and _is_whole(groups[0])
    middle = groups[1:-1]
    return all(len(group) == 3 for group in middle) or (
        len(groups[0]) <= 2 and all(len(group) == 2 for group in middle)
    )


def read_price(text: str) -> WrittenPrice | None:
    """Return the price that a text is; None where it is anything else, also where words are around a number."""
    if len(text) > MAX_PRICE_CHARS:
        return None
    if not text.isascii() or "`" in text:
        text = unicodedata.normalize("NFKC", text.translate(_CLEAN)).translate(_CLEAN)
    text = " ".join(text.split())
    inside = _INSIDE.match(text)
    if inside is not None:
        text = f"{inside[1]}.{inside[3]} {inside[2]}"
    found = _BODY.search(text)
    if found is None:
        return None
    before, body, after = text[: found.start()], found[0], text[found.end() :]
    if _DIGIT.search(after):
        return None
    if before.endswith((".", ",")) and not before[:-1].strip("-+ €$£¥"):
        before, body = before[:-1], before[-1] + body
    number = read_number(body)
    if number is None:
        return None
    end = next((end for end in _ROUND_ENDS if after.startswith(end)), "")
    after = after[len(end) :].strip()
    before = before.strip()
    negative = False
    if before.count("(") == 1 and after.count(")") == 1:  # as accountants write it
        before, after, negative = before.replace("(", "").strip(), after.replace(")", "").strip(), True
    for sign in ("-", "+"):
        stripped = (
            before.removeprefix(sign).strip()
            if before.startswith(sign)
            else before.removesuffix(sign).strip()
        )
        if stripped != before:
            before, negative = stripped, sign == "-"
            break
    if not end and after.startswith("-"):
        after, negative = after[1:].strip(), True
    return _with_currency(number, negative, before, after)


def _with_currency(number: WrittenNumber, negative: bool, before: str, after: str) -> WrittenPrice | None:
    signs = [_currency(sign) for sign in (before, after) if sign]
    if None in signs or len(signs) > 2:
        return None
    known = [sign for sign in signs if sign is not None]
    sure = {currency for currency, unsure, _ in known if currency and not unsure}
    if len(sure) > 1:
        return None
    currency = next(iter(sure), "") or next((currency for currency, _, _ in known if currency), "")
    return WrittenPrice(
        number, negative, currency,
        unsure=bool(known) and not sure,
        for_prices_only=bool(known) and all(only for _, _, only in known),
    )  # fmt: skip


def _currency(sign: str) -> tuple[str, bool, bool] | None:
    """Return (the code or "", whether the sign is that of several currencies, whether it needs a price column)."""
    if sign in ISO_CODES:
        return sign, False, False
    folded = sign.casefold()
    if folded in _SYMBOLS:
        return _SYMBOLS[folded], False, False
    if folded in _UNSURE:
        return _UNSURE[folded], True, False
    if folded in _WORDS_OF_PRICES_ONLY:
        return _WORDS_OF_PRICES_ONLY[folded], False, True
    return None


def currency_code(text: str) -> str:
    """Return the ISO 4217 code of a currency as people name it (€, eur, EUR); "" where it is not known."""
    found = _currency(text.strip()) or _currency(text.strip().upper())
    return found[0] if found else ""
