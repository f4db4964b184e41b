"""`imgsearch duplicates` and `imgsearch rules`: near-duplicates, and hiding, pinning and boosting items."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgsearch.cli import terminal
from imgsearch.cli.terminal import CatalogOption, JsonOption, many, one_line, say

if TYPE_CHECKING:
    from imgsearch.search.ranking.rules import Rule, Rules

rules = terminal.command_group(
    "rules", "Merchandising rules: hide items, pin them to the top, or boost them."
)

SHOWN_ITEMS = 8

ItemsOption = Annotated[
    list[str] | None, typer.Option("--item", metavar="ID", help="An item; may be given several times.")
]
FiltersOption = Annotated[
    list[str] | None,
    typer.Option("--filter", metavar="FILTER", help="All items that pass, such as 'category=shoes'."),
]
WhenTextOption = Annotated[
    str, typer.Option("--when", metavar="WORDS", help="Only for queries with these words.")
]
WhenFilterOption = Annotated[
    list[str] | None,
    typer.Option("--when-filter", metavar="FILTER", help="Only for queries with this filter."),
]
FromOption = Annotated[
    datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day that it applies (UTC).")
]
UntilOption = Annotated[
    datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="The last day that it applies (UTC).")
]
NoteOption = Annotated[str, typer.Option("--note", help="A note for colleagues.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Print what it would affect, and change nothing.")
]
RuleArgument = Annotated[int, typer.Argument(metavar="RULE", help="Its number; see `rules list`.")]

app = typer.Typer()
app.add_typer(rules)


@app.command()
def duplicates(
    catalog: CatalogOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Compare every photo again, not only new ones.")
    ] = False,
    n: Annotated[int, typer.Option("-n", min=1, max=10_000, help="How many groups to print.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Search for near-duplicates among new photos, and list all groups.

    Example: `imgsearch duplicates --json`
    """
    with terminal.open_engine(catalog) as engine:
        found, originals = engine.duplicates, engine.originals
        with terminal.progress("Looking for duplicates") as show:
            found.find_new(
                engine.index, lambda item: originals.read(item.location), again=again, progress=show
            )
        total, groups = found.list_groups(limit=n)
        state = found.state()
    if as_json:
        rows: list[dict[str, Any]] = [
            {
                "items": [item.item_id for item in group.items],
                "cosine": round(group.cosine, 4),
                "residual": None if group.residual is None else round(group.residual, 4),
            }
            for group in groups
        ]
        terminal.print_json(
            {"groups": total, "looked_at": state.compared, "threshold": state.threshold, "shown": rows}
        )
        return
    for group in groups:
        print("\t".join(one_line(item.item_id) for item in group.items))
    say(f"{many(total, 'group')} of near-duplicates among {many(state.compared, 'photo')}.")


@rules.command("list")
def list_rules(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """List the rules with the number of items they affect.

    Example: `imgsearch rules list`
    """
    from imgsearch.core.errors import ImgSearchError

    documents, rows = [], []
    with terminal.open_catalog(catalog) as opened:
        stored = terminal.rules_of(opened)
        for rule in stored.all():
            try:
                hits: int | None = stored.matching(rule)[0]
            except ImgSearchError:  # its items or its column are gone
                hits = None
            documents.append({**_as_dict(rule), "hits": hits})
            enabled, items = "yes" if rule.enabled else "", "gone" if hits is None else hits
            rows.append((str(rule.rule_id), enabled, rule.describe(), items))
    empty = "There are no rules yet; see `imgsearch rules --help`."
    terminal.output_rows(as_json, {"rules": documents}, ("rule", "on", "what", "items"), rows, empty=empty)


@rules.command("hide")
def hide(
    item: ItemsOption = None,
    filters: FiltersOption = None,
    starts: FromOption = None,
    until: UntilOption = None,
    note: NoteOption = "",
    dry_run: DryRunOption = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hide items from everything that visitors see.

    Example: `imgsearch rules hide --filter 'brand=Oskra' --until 2027-01-31`
    """
    fields = _fields(item, filters, starts=starts, until=until, note=note)
    _save(catalog, fields | {"action": "hide"}, dry_run=dry_run, as_json=as_json)


@rules.command("pin")
def pin(
    item: ItemsOption = None,
    filters: FiltersOption = None,
    when: WhenTextOption = "",
    when_filter: WhenFilterOption = None,
    starts: FromOption = None,
    until: UntilOption = None,
    note: NoteOption = "",
    dry_run: DryRunOption = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pin items to the top of the results.

    Example: `imgsearch rules pin --item mug-003-1 --when 'red mug'`
    """
    fields = _fields(item, filters, when, when_filter, starts=starts, until=until, note=note)
    _save(catalog, fields | {"action": "pin"}, dry_run=dry_run, as_json=as_json)


@rules.command("boost")
def boost(
    amount: Annotated[
        float,
        typer.Argument(help="From -3 to 3, in standard deviations of the scores; after -- where negative."),
    ],
    item: ItemsOption = None,
    filters: FiltersOption = None,
    when: WhenTextOption = "",
    when_filter: WhenFilterOption = None,
    starts: FromOption = None,
    until: UntilOption = None,
    note: NoteOption = "",
    dry_run: DryRunOption = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move items up in the results, or down.

    Example: `imgsearch rules boost 1.5 --filter 'material=oak'`
    """
    fields = _fields(item, filters, when, when_filter, amount, starts=starts, until=until, note=note)
    _save(catalog, fields | {"action": "boost"}, dry_run=dry_run, as_json=as_json)


@rules.command("change")
def change(
    rule: RuleArgument,
    item: ItemsOption = None,
    filters: FiltersOption = None,
    amount: Annotated[float | None, typer.Option("--amount", help="The new amount of a boost.")] = None,
    when: Annotated[
        str | None, typer.Option("--when", metavar="WORDS", help="Only for queries with these words.")
    ] = None,
    when_filter: WhenFilterOption = None,
    always: Annotated[
        bool, typer.Option("--always", help="For every query: removes its words and filters.")
    ] = False,
    starts: FromOption = None,
    until: UntilOption = None,
    no_dates: Annotated[bool, typer.Option("--no-dates", help="Without a first and a last day.")] = False,
    note: Annotated[str | None, typer.Option("--note", help="A note for colleagues.")] = None,
    dry_run: DryRunOption = False,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a rule; options that are not given stay as they are.

    Example: `imgsearch rules change 3 --until 2027-01-31`
    """
    fields = _fields(item, filters, when, when_filter, amount, starts=starts, until=until, note=note)
    if always:
        fields = {"when_text": "", "when_filters": ()} | fields
    if no_dates:
        fields = {"starts_on": None, "ends_on": None} | fields
    _save(catalog, fields, rule, dry_run=dry_run, as_json=as_json)


@rules.command("off")
def off(rule: RuleArgument, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Switch a rule off; it stays in the history and can be switched on again.

    Example: `imgsearch rules off 3`
    """
    _act(catalog, lambda stored: stored.switch(rule, on=False, author=_author()), as_json=as_json)


@rules.command("on")
def on(rule: RuleArgument, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Switch a rule on again.

    Example: `imgsearch rules on 3`
    """
    _act(catalog, lambda stored: stored.switch(rule, on=True, author=_author()), as_json=as_json)


@rules.command("undo")
def undo(rule: RuleArgument, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Undo the latest change of a rule; a rule without changes is switched off.

    Example: `imgsearch rules undo 3`
    """
    _act(catalog, lambda stored: stored.undo(rule, author=_author()), as_json=as_json)


def _fields(
    item: list[str] | None,
    filters: list[str] | None,
    when: str | None = None,
    when_filter: list[str] | None = None,
    amount: float | None = None,
    *,
    starts: datetime | None,
    until: datetime | None,
    note: str | None,
) -> dict[str, Any]:
    """Return the fields of a rule that a command's options set; the items and the filters replace each other."""
    from imgsearch.core.filter_grammar import parse_filters

    fields: dict[str, Any] = {
        "when_text": when,
        "when_filters": parse_filters(when_filter) if when_filter else None,
        "amount": amount,
        "starts_on": starts.date() if starts else None,
        "ends_on": until.date() if until else None,
        "note": note,
    }
    if item or filters:
        fields |= {"item_ids": tuple(item or ()), "filters": parse_filters(filters or [])}
    return {name: value for name, value in fields.items() if value is not None}


def _save(
    catalog: Path | None, fields: dict[str, Any], number: int | None = None, *, dry_run: bool, as_json: bool
) -> None:
    """Save a new rule, or change the one with that number; with `dry_run` only print what it affects."""
    from imgsearch.search.ranking.rules import Rule

    with terminal.open_catalog(catalog) as opened:
        stored = terminal.rules_of(opened)
        rule = Rule(**fields) if number is None else replace(stored.get(number), **fields)
        hits, items = stored.matching(rule, limit=SHOWN_ITEMS)
        if not dry_run:
            rule = stored.save(rule, author=_author())
    names = ", ".join(one_line(item.item_id) for item in items)
    more = " and more" if hits > len(items) else ""
    say(
        f"{'It would affect' if dry_run else 'It affects'} {many(hits, 'item')}{f': {names}{more}' if names else ''}."
    )
    if dry_run:
        say("Nothing was changed.")
    if as_json:
        terminal.print_json({**_as_dict(rule), "hits": hits, "dry_run": dry_run})
    elif not dry_run:
        _print_rule(rule)


def _act(catalog: Path | None, act: Callable[[Rules], Rule], *, as_json: bool) -> None:
    with terminal.open_catalog(catalog) as opened:
        rule = act(terminal.rules_of(opened))
    terminal.output(as_json, _as_dict(rule), lambda: _print_rule(rule))


def _print_rule(rule: Rule) -> None:
    print(f"Rule {rule.rule_id} is {'on' if rule.enabled else 'off'}: {one_line(rule.describe())}")


def _as_dict(rule: Rule) -> dict[str, Any]:
    return {
        "rule": rule.rule_id,
        "on": rule.enabled,
        "action": rule.action,
        "what": rule.describe(),
        "items": list(rule.item_ids),
        "filters": [str(one) for one in rule.filters],
        "amount": rule.amount,
        "when": rule.when_text,
        "when_filters": [str(one) for one in rule.when_filters],
        "from": rule.starts_on.isoformat() if rule.starts_on else None,
        "until": rule.ends_on.isoformat() if rule.ends_on else None,
        "note": rule.note,
    }


def _author() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container without a name for its user
        return "the command line"
