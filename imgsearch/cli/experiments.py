"""`imgsearch system` and `imgsearch experiment`: define systems, and compare them on visitors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgsearch.cli import terminal
from imgsearch.cli.terminal import CatalogOption, JsonOption, one_line, say

if TYPE_CHECKING:
    from imgsearch.improve.experiments.experiments import Experiments
    from imgsearch.improve.experiments.records import Experiment, Outcome

experiment_app = terminal.command_group(
    "experiment", "Experiments: show systems to visitors, and measure which one they click more."
)
system_app = terminal.command_group(
    "system", "Systems: named search configurations to judge, measure and experiment with."
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]

app = typer.Typer()
app.add_typer(experiment_app)
app.add_typer(system_app)


@system_app.command("add")
def add_system(
    name: NameArgument,
    head: Annotated[
        str,
        typer.Option(
            metavar="HEAD",
            help="`live` (the published head), `base` (the encoder's own embeddings), or a head's id.",
        ),
    ] = "live",
    other: Annotated[
        Path | None,
        typer.Option(
            "--other-catalog",
            metavar="DIR",
            help="Answer from another catalog of the same photos: another encoder.",
        ),
    ] = None,
    expansion: Annotated[
        int | None,
        typer.Option(metavar="N", help="The search effort of the index; tuned by default."),
    ] = None,
    diversity: Annotated[
        float, typer.Option(metavar="D", help="The weight of variety against similarity, from 0 to 1.")
    ] = 0.0,
    size: Annotated[
        int | None, typer.Option("--size", "-n", metavar="N", help="The most hits that a query gets.")
    ] = None,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Define a system; its settings cannot be changed later.

    Example: `imgsearch system add varied --diversity 0.3`
    """
    from imgsearch.search.systems import System

    system = System(name, head, str(other) if other else "", expansion, diversity, size)
    with terminal.open_engine(catalog) as engine:
        engine.systems.save(system)
        saved = engine.systems.get(name)
    terminal.output(as_json, asdict(saved), lambda: print(f"{saved.name}: {one_line(saved.describe())}."))


@system_app.command("list")
def list_systems(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """List the systems with their settings.

    Example: `imgsearch system list`
    """
    with terminal.open_engine(catalog) as engine:
        found = engine.systems.all()
    rows = [(system.name, system.describe()) for system in found]
    terminal.output_rows(as_json, [asdict(system) for system in found], ("system", "settings"), rows)


@experiment_app.command()
def create(
    name: NameArgument,
    arm: Annotated[
        list[str],
        typer.Option(
            metavar="SYSTEM=PERCENT",
            help="A system and its share of all visitors; the first is the control. Twice or more.",
        ),
    ],
    mode: Annotated[
        str,
        typer.Option(
            help="`split`: each visitor gets one arm. `interleave`: lists mix the hits of two, which needs fewer "
            "visitors."
        ),
    ] = "split",
    goal: Annotated[
        str,
        typer.Option(help="What decides a split: ctr, clicks, abandoned, first_rank or good_rate."),
    ] = "ctr",
    min_effect: Annotated[
        float, typer.Option(metavar="PERCENT", help="The smallest change of the goal worth knowing.")
    ] = 5.0,
    visitors: Annotated[
        int, typer.Option(metavar="N", help="How many visitors you expect by the decision.")
    ] = 2000,
    catalog: CatalogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Define an experiment; `imgsearch experiment start` starts it.

    Example: `imgsearch experiment create spring --arm live=50 --arm varied=50`
    """
    from imgsearch.improve.experiments.records import Experiment

    arms = tuple(_arm(text) for text in arm)
    defined = Experiment(
        name,
        arms,
        mode=mode,  # type: ignore[arg-type]  # checked by `create`
        goal=goal,
        min_effect=min_effect / 100,
        planned_visitors=visitors,
    )
    _change(catalog, lambda experiments: experiments.create(defined), as_json=as_json)


def _arm(text: str) -> Any:
    from imgsearch.core.errors import ExperimentError
    from imgsearch.improve.experiments.records import Arm

    system, _, percent = text.partition("=")
    try:
        return Arm(system, float(percent.removesuffix("%")) / 100)
    except ValueError:
        raise ExperimentError(
            f"The arm {text[:60]!r} is not SYSTEM=PERCENT, such as --arm live=50."
        ) from None


@experiment_app.command()
def start(name: NameArgument, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Assign visitors to the arms, at once where the catalog is served.

    Example: `imgsearch experiment start spring`
    """
    _change(catalog, lambda experiments: experiments.start(name), as_json=as_json)


@experiment_app.command()
def stop(name: NameArgument, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """End an experiment: every visitor gets the live system again.

    Example: `imgsearch experiment stop spring`
    """
    _change(catalog, lambda experiments: experiments.stop(name), as_json=as_json)


@experiment_app.command("list")
def list_experiments(catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """List the experiments, the newest first.

    Example: `imgsearch experiment list`
    """
    with terminal.open_engine(catalog) as engine:
        found = terminal.experiments_of(engine).all()
    terminal.output_rows(
        as_json,
        [_document(each) for each in found],
        ("experiment", "state", "mode", "arms"),
        [(each.name, each.state, each.mode, _arms(each)) for each in found],
        empty="There is no experiment yet; make one with `imgsearch experiment create`.",
    )


@experiment_app.command()
def report(name: NameArgument, catalog: CatalogOption = None, as_json: JsonOption = False) -> None:
    """Recommend what to do about an experiment, with its measures; valid at any time, however often you read it.

    Example: `imgsearch experiment report spring`
    """
    with terminal.open_engine(catalog) as engine:
        from imgsearch.improve.experiments.outcomes import outcome_of

        outcome = outcome_of(engine.catalog.database, terminal.experiments_of(engine).get(name))
    terminal.output(as_json, outcome.as_dict(), lambda: _print_outcome(outcome))


def _print_outcome(outcome: Outcome) -> None:
    from imgsearch.improve.experiments.measures import MEASURES

    print(f"{outcome.recommendation.sentence}\n")
    arms, goal = [arm.system for arm in outcome.arms], outcome.goal
    rows = [
        ("visitors", *(f"{arm.visitors:,}" for arm in outcome.arms)),
        ("searches", *(f"{arm.searches:,}" for arm in outcome.arms)),
    ]
    for measure in [goal, *(each for each in MEASURES.values() if each.name != goal.name)]:
        values = [arm.values.get(measure.name) for arm in outcome.arms]
        show = measure.format
        cells = [
            f"{show(each.value)} ({show(each.low)} to {show(each.high)})" if each else "-" for each in values
        ]
        if any(values):
            rows.append((measure.title, *cells))
    p95 = [f"{arm.p95_ms:.0f} ms" if arm.p95_ms else "-" for arm in outcome.arms]
    terminal.print_rows(("measure", *arms), [*rows, ("95% of searches within", *p95)], right=arms)
    for contrast in outcome.contrasts:
        if contrast.measure == goal.name:
            shares = " (shares)" if goal.unit == "share" else ""
            print(
                f"\n{contrast.system}, {goal.title}: {contrast.difference:+.4f} "
                f"({contrast.low:+.4f} to {contrast.high:+.4f}), p = {contrast.p:.2g}{shares}"
            )
    for warning in outcome.warnings:
        say(f"Warning: {warning}")


def _change(catalog: Path | None, change: Callable[[Experiments], Experiment], *, as_json: bool) -> None:
    """Create, start or stop an experiment, and print it."""
    with terminal.open_engine(catalog) as engine:
        experiment = change(terminal.experiments_of(engine))
    text = f"{experiment.name} is {experiment.state}: {experiment.mode}, {_arms(experiment)}."
    terminal.output(as_json, _document(experiment), lambda: print(text))


def _arms(experiment: Experiment) -> str:
    return ", ".join(f"{arm.system} {arm.share * 100:g}%" for arm in experiment.arms)


def _document(experiment: Experiment) -> dict[str, Any]:
    document = asdict(experiment) | {"state": experiment.state}
    for name in ("created", "started", "stopped"):
        moment = getattr(experiment, name)
        document[name] = moment.isoformat(timespec="seconds") + "Z" if moment else None
    return document
