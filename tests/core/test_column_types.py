"""Columns are recognised as a whole: prices, numbers, dates, lists; codes keep their text."""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgsearch.core.column_names import title_columns
from imgsearch.core.column_schema import schema_of
from imgsearch.core.column_types import ColumnKind, kind_of, parse, recognise
from imgsearch.core.column_values import Style, json_value, plain_text
from imgsearch.core.prices import Price, read_price
from imgsearch.core.table_columns import TableColumns


def amounts(values: Sequence[str], name: str = "x") -> list[Any]:
    column = recognise(values, name)
    assert column.kind == "price", column
    return [price and price.amount for price in map(column.parse, values)]


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("19.99 USD", "19.99", "USD"),
        ("$1,299.00", "1299", "USD"),
        ("1.299,00 €", "1299", "EUR"),
        ("€19", "19", "EUR"),
        ("EUR 19,99", "19.99", "EUR"),
        ("CHF 1'299.-", "1299", "CHF"),
        ("CHF 1’299.50", "1299.50", "CHF"),
        ("5,-- €", "5", "EUR"),
        ("1 299,00 zł", "1299", "PLN"),
        ("1\u202f299,00\u00a0€", "1299", "EUR"),
        ("₹1,29,900", "129900", "INR"),
        ("₹12,99,000.50", "1299000.50", "INR"),
        ("-5,00 €", "-5", "EUR"),
        ("−$5.00", "-5", "USD"),
        ("$-5.00", "-5", "USD"),
        ("(5.00) $", "-5", "USD"),
        ("R$ 1.234,56", "1234.56", "BRL"),
        ("A$5.00", "5", "AUD"),
        ("$19.99 CAD", "19.99", "CAD"),
        ("249 kr", "249", ""),
        ("￥1,299", "1299", "JPY"),
        ("1.299.000 €", "1299000", "EUR"),
        (".99 €", "0.99", "EUR"),
        ("19€99", "19.99", "EUR"),
        ("1 299:-", "1299", ""),
        ("Rs. 1,29,900", "129900", "INR"),
        ("USD1,299", "1299", "USD"),
        ("US$ 9.50", "9.50", "USD"),
        ("5.00- EUR", "-5", "EUR"),
        ("1.299,00EUR", "1299", "EUR"),
    ],
)
def test_a_price_is_read_with_its_currency(text: str, amount: str, currency: str) -> None:
    written = read_price(text)
    assert written is not None
    assert written.price() == Price(Decimal(amount), currency)


@pytest.mark.parametrize(
    "text",
    [
        *("Model 500", "from 19.99", "7-12 EUR", "2 x 5 EUR", "5 stars", "on request", "€5 USD", "1,2,3 €"),
        *("007 €", "€", "1..5 €", "99 %", "19.99 EUR/kg", "12.34.56 €", ""),
    ],
)
def test_a_text_that_only_contains_a_number_is_no_price(text: str) -> None:
    assert read_price(text) is None


def test_the_column_decides_about_an_unclear_separator() -> None:
    assert amounts(["1.299 €", "19,99 €"]) == [Decimal(1299), Decimal("19.99")]
    assert amounts(["$1,299", "$19.99"]) == [Decimal(1299), Decimal("19.99")]
    assert amounts(["1.299 €", "1.899 €"]) == [Decimal(1299), Decimal(1899)]
    assert amounts(["1.299 €", "0.899 €", "2.5 €"]) == [Decimal("1.299"), Decimal("0.899"), Decimal("2.5")]
    assert recognise(["1.299 €", "1.899 €"]).notes
    assert [recognise(["1.299", "2.450"], name).kind for name in ("weight", "preis")] == ["number", "price"]


def test_a_dollar_sign_is_of_the_stated_currency_and_usd_otherwise() -> None:
    assert recognise(["$5", "$6"]).currency == "USD"
    assert recognise(["5,50", "$6"], "Preis (CAD)").cells("p", "$6")["p_currency"] == "CAD"
    assert recognise(["$5", "$6", "7"], kind="price", style=Style(currency="AUD")).currency == "AUD"


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("price", ["19.99", "5", "7.5"], "number"),
        ("price", ["19,99", "5,00"], "price"),
        ("weight", ["1,5", "2,75", "10"], "number"),
        ("sku", ["12", "13"], "text"),
        ("Article No", ["12", "13"], "text"),
        ("x", ["007", "8"], "text"),
        ("x", ["12e4", "5"], "text"),
        ("x", ["1.5e-05", "2"], "number"),
        ("x", ["90.750", "90.75", "7"], "text"),
        ("x", ["9999999999999999", "1"], "text"),
        ("rim", ["R16", "R17"], "text"),
        ("length", ["5 ft", "6 ft"], "text"),
        ("size", ["38", "39", "40", "M", "41"], "text"),
        ("added", ["2025-01-31", "2025-02-01"], "date"),
        ("added", ["31.12.2025", "01.02.2024"], "date"),
        ("added", ["01/02/2025", "03/04/2025"], "text"),
        ("added", ["2025-01-31 00:00:00"], "date"),
        ("added", ["2025-01-31", "2025-01-31T10:30:00+02:00"], "datetime"),
        ("opens", ["09:30", "9:30 pm"], "time"),
        ("ratio", ["16:9", "4:3"], "text"),
        ("flag", ["yes", "no"], "boolean"),
        ("flag", ["ja", "nein", "n/a"], "boolean"),
        ("in_stock", ["1", "0"], "boolean"),
        ("count", ["1", "0"], "number"),
        ("country", ["NO", "DE"], "text"),
        ("tags", ["oak|round", "steel"], "list"),
        ("color", ["red|blue", "green"], "list"),
        ("note", ["red;blue", "green;x"], "text"),
        ("added", ["31/01/25", "05/02/25"], "date"),
        ("title", ["Oak | round", "Steel | square"], "text"),
        ("parts", ['["a", "b"]', '["c"]'], "list"),
        ("Product name", ["501", "502"], "text"),
        ("label", ["0", "1", "2"], "number"),
        ("urls", ["http://a/1;2", "http://b/3;4"], "text"),
    ],
)
def test_the_kind_of_a_column_is_recognised_from_its_texts(
    name: str, values: list[str], kind: ColumnKind
) -> None:
    assert recognise(values, name).kind == kind


def test_dates_are_in_the_order_that_the_column_shows() -> None:
    assert recognise(["12/31/2025", "01/02/2025"]).parse("01/02/2025") == date(2025, 1, 2)
    assert recognise(["31/12/2025", "01/02/2025"]).parse("01/02/2025") == date(2025, 2, 1)
    assert parse("Fri, 31 Jan 2025 12:00:00 +0100", "datetime") == datetime(2025, 1, 31, 11)
    assert parse("Jan 31, 2025", "date") == parse("31. Januar 2025", "date") == date(2025, 1, 31)
    assert parse("2025-02-30", "date") is None
    assert parse("31-Jan-2025", "date") == parse("1/31/2025", "date") == date(2025, 1, 31)
    assert parse("2025-01-31T10:00:00.000+0100", "datetime") == datetime(2025, 1, 31, 9)


def test_placeholders_are_exceptions_that_do_not_count_against_a_kind() -> None:
    column = recognise(["19.99 USD", "on request", "n/a", "-", "5.00 USD"], "price")
    assert (column.kind, column.values, column.exceptions) == ("price", 5, 3)
    assert column.reasons == {"stands for no value": 3}
    assert column.cells("price", "on request") == {}


def test_a_column_may_have_five_percent_exceptions_and_one_of_prices_a_quarter() -> None:
    numbers = [str(number) for number in range(95)]
    assert recognise([*numbers, *"abcde"]).kind == "number"
    assert recognise([*numbers, *"abcdef"]).kind == "text"
    assert recognise(["5 €", "6 €", "7 €", "ask in store"]).kind == "price"
    near = recognise([*numbers, *"abcdef"])
    assert "schema file" in near.notes[0]


def test_a_stated_kind_is_not_guessed() -> None:
    column = recognise(["12", "x", "13"], "sku", kind="number")
    assert (column.kind, column.exceptions, column.examples) == ("number", 1, ("x",))


def test_values_of_typed_files_keep_their_types() -> None:
    assert kind_of(Decimal("1.5"), "price") == "price"
    assert recognise([Decimal("1.5")], "weight").kind == "number"
    assert recognise([date(2025, 1, 1), datetime(2025, 1, 1, 5)]).kind == "datetime"
    assert recognise([time(9)]).kind == "time"
    assert recognise([["a"], ["b", "c"]]).kind == "list"
    assert recognise([19.99, "on request", 5], "price").kind == "number"
    ean = recognise([4006381333931.0, 4006381333932.0], "ean")
    assert (ean.kind, ean.parse(4006381333931.0)) == ("text", "4006381333931")
    assert parse(datetime(2025, 1, 1, tzinfo=UTC), "datetime") == datetime(2025, 1, 1)


def test_rows_get_the_currency_of_a_price_beside_it() -> None:
    table = {"price": ["19,99 €", "n/a", "5 $"], "sku": ["007", "8", "9"]}
    columns = TableColumns.of(table)
    rows = [columns.row({name: values[number] for name, values in table.items()}) for number in range(3)]
    assert rows == [
        {"price": Decimal("19.99"), "price_currency": "EUR", "sku": "007"},
        {"sku": "8"},
        {"price": Decimal(5), "price_currency": "USD", "sku": "9"},
    ]
    assert "1 of 3" in next(columns.notes())


def test_the_schema_takes_precedence_over_recognition() -> None:
    schema = schema_of(
        {"Price": {"kind": "price", "currency": "$"}, "size": "text", "day": {"kind": "date", "order": "dmy"}}
    )
    columns = TableColumns.of({"price": ["5", "6"], "size": ["38", "39"], "day": ["01/02/2025"]}, schema)
    assert columns.row({"price": "5", "size": "38", "day": "01/02/2025"}) == {
        "price": Decimal(5), "price_currency": "USD", "size": "38", "day": date(2025, 2, 1),
    }  # fmt: skip


def test_title_columns_are_found_without_case_and_separators() -> None:
    names = ["sku", "Name", "Product Title", "LABEL", "price"]
    assert title_columns(names) == ["Name", "LABEL", "Product Title"]
    assert title_columns([*names, "title"], stated="sku")[:2] == ["sku", "title"]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.decimals(-99_999_999, 99_999_999, places=2), min_size=1, max_size=30),
    st.sampled_from([("{:,}", "."), ("{:,}", ",")]),
    st.sampled_from(["{} €", "€{}", "EUR {}", "{} EUR", "{}\u00a0€"]),
)
def test_prices_that_were_written_are_read_equal(
    written: list[Decimal], how: tuple[str, str], place: str
) -> None:
    texts = [how[0].format(amount) for amount in written]
    if how[1] == ",":
        texts = [text.translate(str.maketrans(",.", ".,")) for text in texts]
    assert amounts([place.format(text) for text in texts]) == written


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.text(max_size=40) | st.from_regex(r"[-0-9.,'€$ |/:eE]{1,30}", fullmatch=True), max_size=20),
    st.sampled_from(["", "price", "tags", "in_stock"]),
)
def test_any_column_is_recognised_and_texts_stay_as_they_are(values: list[str], name: str) -> None:
    column = recognise(values, name)
    filled = [value for value in values if value.strip()]
    assert column.values == len(filled)
    assert column.exceptions == sum(column.parse(value) is None for value in filled)
    assert column.as_dict()["kind"] == column.kind
    for value in filled:
        found = column.parse(value)
        if column.kind == "text":
            assert found == value
        plain_text(json_value(found))


def test_long_texts_are_read_in_linear_time() -> None:
    started = clock.perf_counter()
    for text in (
        "1 " * 50_000 + "x",
        "1," * 50_000,
        "9" * 100_000,
        "[" * 20_000,
        "(" * 50_000 + "1",
        "1:" * 50_000,
    ):
        for kind in ("number", "price", "boolean", "date", "datetime", "time", "list"):
            parse(text, kind)
        recognise([text] * 3, "price")
    assert clock.perf_counter() - started < 5
