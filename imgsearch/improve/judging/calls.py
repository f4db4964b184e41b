"""What a labeler's browser sends (acts) and receives (the next pairs)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from imgsearch.core.errors import JudgingError
from imgsearch.core.validation import sentence
from imgsearch.improve.judging.records import Role, clean_name

Layout = Literal["pair", "grid"]
ActKind = Literal["good", "bad", "cant_tell", "skip", "undo"]

MAX_ACTS = 300
MAX_TOOK_MS = 60_000
"""A pair that took longer includes a break; it counts as this long."""

_Id = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{8,64}$")]
_SetName = Annotated[str, BeforeValidator(lambda name: clean_name(name, "The judging set's name"))]
_LabelerName = Annotated[str, BeforeValidator(lambda name: clean_name(name, "The labeler's name"))]
_TookMs = Annotated[
    float, Field(strict=True, ge=0), AfterValidator(lambda took_ms: int(min(took_ms, MAX_TOOK_MS)))
]


class _Frozen(BaseModel):
    model_config = ConfigDict(
        use_attribute_docstrings=True, frozen=True, extra="forbid", populate_by_name=True
    )


class Act(_Frozen):
    """One thing that a labeler did to a pair; an act that is sent twice is stored once."""

    event_id: _Id = Field(alias="id")
    """A random name of this act, the same when it is sent again."""
    pair_id: int = Field(alias="pair", strict=True, ge=0, lt=2**53)
    """The pair."""
    kind: ActKind = Field(alias="act")
    """What was done to it."""
    took_ms: _TookMs = 0
    """How long the labeler saw the pair, in milliseconds."""


class JudgingCall(_Frozen):
    """A labeler's acts, and the request for their next pairs."""

    judging_set: _SetName = Field(alias="set")
    """The judging set's name."""
    labeler: _LabelerName
    """Who judges."""
    client: _Id
    """A random name of the browser tab: 8 to 64 letters, digits, _ or -."""
    role: Role = "rater"
    """`referee` decides where raters differ; `rater` if not given."""
    layout: Layout = "pair"
    """`grid` returns the pairs of one query together; `pair` if not given."""
    acts: tuple[Act, ...] = Field(default=(), max_length=MAX_ACTS)
    """What was done, the oldest first."""
    history: bool = Field(default=False, strict=True)
    """Whether to return the labeler's latest acts, to undo them."""

    @staticmethod
    def parse(body: Mapping[str, Any]) -> JudgingCall:
        """Return the call of a JSON body; raises `JudgingError` for the first field that is wrong."""
        try:
            return JudgingCall.model_validate(body)
        except ValidationError as error:
            raise JudgingError(sentence(error.errors())) from None


class JudgingPair(_Frozen):
    """A pair to judge."""

    pair: int
    """The pair's number."""
    query: str
    """The query's key."""
    title: str
    """The item's title."""
    image: str
    """Path of the item's photo; empty where it is gone."""


class PastAct(JudgingPair):
    """An act of the labeler that they can undo."""

    act: ActKind
    """What was done."""
    took_ms: int
    """How long it took."""


class QueryPart(_Frozen):
    """One term of a query as a labeler sees it."""

    kind: str
    """What it is: text, item, upload, color or image."""
    label: str
    """Its words or title."""
    image: str = ""
    """Path of its photo; empty for words."""
    weight: float = 1.0
    """Negative means: less like this."""


class JudgingQuery(_Frozen):
    """A query as a labeler sees it."""

    parts: tuple[QueryPart, ...]
    """What was searched for."""
    filters: tuple[str, ...] = ()
    """The query's conditions."""


class JudgingReply(_Frozen):
    """The answer to a call: which acts are stored, the next pairs, and how far the set is."""

    handled: tuple[str, ...]
    """The ids of the acts that are stored: the client does not send them again."""
    refused: dict[str, str]
    """The acts that do not count, and why."""
    pairs: tuple[JudgingPair, ...]
    """All pairs that this client holds, in order; none and not `waiting` means that the labeler is done."""
    queries: dict[str, JudgingQuery]
    """The queries of the pairs, by their keys."""
    history: tuple[PastAct, ...]
    """The labeler's latest acts, the oldest first; empty unless requested."""
    waiting: bool
    """No pair is free, but other labelers hold some."""
    wanted: int
    """How many verdicts the set needs."""
    judged: int
    """How many it has."""
    mine: int
    """How many of them are this labeler's."""
    per_hour: float | None
    """This labeler's pace; null before there are enough verdicts to estimate it."""
