"""What a labeler's browser sends (acts) and receives (the next pairs)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from imgsearch.core.errors import JudgingError
from imgsearch.core.validation import sentence
from imgsearch.improve.judging.records import Role, clean_name

__all__ = [
    "Act",
    "ActKind",
    "JudgingCall",
    "JudgingPair",
    "JudgingQuery",
    "JudgingReply",
    "Layout",
    "PastAct",
    "QueryPart",
]

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
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Act(_Frozen):
    """One thing that a labeler did to a pair; `took_ms` is how long they saw the pair.

    The browser chooses `event_id`, so that an act that is sent twice is stored once.
    """

    event_id: _Id = Field(alias="id")
    pair_id: int = Field(alias="pair", strict=True, ge=0, lt=2**53)
    kind: ActKind = Field(alias="act")
    took_ms: _TookMs = 0


class JudgingCall(_Frozen):
    """A labeler's acts, and the request for their next pairs.

    `client` identifies the browser tab. With `history` the reply also has the labeler's latest acts, to undo them.
    """

    judging_set: _SetName = Field(alias="set")
    labeler: _LabelerName
    client: _Id
    role: Role = "rater"
    layout: Layout = "pair"
    acts: tuple[Act, ...] = Field(default=(), max_length=MAX_ACTS)
    history: bool = Field(default=False, strict=True)

    @staticmethod
    def parse(body: Mapping[str, Any]) -> JudgingCall:
        """Return the call of a JSON body; raises `JudgingError` for the first field that is wrong."""
        try:
            return JudgingCall.model_validate(body)
        except ValidationError as error:
            raise JudgingError(sentence(error.errors())) from None


class JudgingPair(_Frozen):
    """A pair to judge, by its number, the query's key, and the item's title and photo ("" if it is gone)."""

    pair: int
    query: str
    title: str
    image: str


class PastAct(JudgingPair):
    """An act of the labeler that they can undo."""

    act: ActKind
    took_ms: int


class QueryPart(_Frozen):
    """One term of a query as a labeler sees it; `image` is "" for words."""

    kind: str
    label: str
    image: str = ""
    weight: float = 1.0


class JudgingQuery(_Frozen):
    """A query as a labeler sees it."""

    parts: tuple[QueryPart, ...]
    filters: tuple[str, ...] = ()


class JudgingReply(_Frozen):
    """The answer to a call: which acts are stored, the next pairs, and how far the set is.

    `refused` maps the ids of acts that do not count to the reason. `pairs` are all pairs that this client holds, in
    order; if there are none, `waiting` means that other labelers hold the last ones, else the labeler is done.
    `wanted` and `judged` count verdicts of the set; `mine` are this labeler's.
    """

    handled: tuple[str, ...]
    refused: dict[str, str]
    pairs: tuple[JudgingPair, ...]
    queries: dict[str, JudgingQuery]
    history: tuple[PastAct, ...]
    waiting: bool
    wanted: int
    judged: int
    mine: int
    per_hour: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the reply as JSON."""
        return self.model_dump(mode="json")
