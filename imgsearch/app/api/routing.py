"""How routes are declared and described, and how their parameters are read."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast, get_args, get_origin

from fastapi import APIRouter, Path, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response

from imgsearch.app.api.context import context_of
from imgsearch.app.api.failures import failures
from imgsearch.core.errors import QueryError
from imgsearch.core.query import MAX_ID_CHARS
from imgsearch.core.validation import sentence

ID = "{id:anything}"
"""An item's id in a route's path: it may hold every character."""

ItemIdQuery = Annotated[str, Query(description="The item's id.", min_length=1, max_length=MAX_ID_CHARS)]
ItemIdPath = Annotated[
    str, Path(description="The item's id, percent-encoded; slashes may stay.", max_length=MAX_ID_CHARS)
]

_Reader = Callable[[Request], Any]
_Handler = TypeVar("_Handler", bound=Callable[..., Any])


class ClosedParams(BaseModel):
    """Parameters of which none other is allowed."""

    model_config = ConfigDict(extra="forbid")

    def lists(self) -> dict[str, list[str]]:
        """Return the given parameters with their values."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: value if isinstance(value, list) else [value] for name, value in given.items()}


def digits(text: Any) -> Any:
    """Return the number that ASCII digits say: pydantic also takes "5.0" and " 5"."""
    if not isinstance(text, str):
        return text
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise PydanticCustomError("int_parsing", "must be a whole number")
    return int(text)


class ApiRouter(APIRouter):
    """The routes of one resource."""

    def __init__(self) -> None:
        super().__init__(route_class=_Route)

    def endpoint(
        self,
        path: str,
        summary: str,
        *,
        method: Literal["", "GET", "POST", "PUT", "PATCH", "DELETE"] = "",
        writes: bool = False,
        headers: Sequence[Mapping[str, Any]] = (),
        fails: Sequence[int] = (),
        body: Mapping[str, str] | None = None,
        content: tuple[str, ...] = (),
        cached: bool = False,
        example: str = "",
        **options: Any,
    ) -> Callable[[_Handler], _Handler]:
        """Return the decorator of a handler, whose docstring describes the route.

        The method is GET, or POST with a body, unless given. A route that `writes` changes the catalog: it answers
        only requests that may (`WriteAccess`). `headers` describes headers that it reads. `fails` are the statuses of
        its failures. `body` has the schemas of the body by media type. `content` is the media type and the
        description of an answer other than JSON, and perhaps its model; a `cached` one has an ETag.
        """
        refusals = (401, 403) if writes else ()
        responses = failures(*sorted({*fails, *refusals})) | options.pop("responses", {})
        if content:
            media_type, description, *model = content
            schema = {"$ref": f"#/components/schemas/{model[0]}"} if model else {"type": "string"}
            document = {"schema": schema}
            responses[200] = {"description": description, "content": {media_type: document}}
            options["response_class"] = Response
        if cached:
            responses[304] = {"description": "You have it already (`If-None-Match`)."}
        extra: dict[str, Any] = {"x-example": example} if example else {}
        if headers:
            extra["parameters"] = list(headers)
        if writes:
            extra |= {"x-writes": True, "security": [{}, {"token": []}]}
        if body is not None:
            schemas = {kind: {"schema": {"$ref": f"#/components/schemas/{body[kind]}"}} for kind in body}
            extra["requestBody"] = {"required": True, "content": schemas}
        methods: list[str] = [method or ("GET" if body is None else "POST")]
        declare = self.api_route(
            path, methods=methods, summary=summary, responses=responses, openapi_extra=extra, **options
        )

        def declared(handler: _Handler) -> _Handler:
            declare(_guarded(handler) if writes else handler)
            return handler

        return declared


def _guarded(handler: _Handler) -> _Handler:
    """Return the handler of a route that writes: `request.state.permission` says why the request may."""

    @wraps(handler)
    async def guarded(request: Request, **parameters: Any) -> Response:
        request.state.permission = context_of(request).access.check(request)
        answer: Response = await handler(request, **parameters)
        return answer

    return cast(_Handler, guarded)


class _Route(APIRoute):
    """A route of FastAPI, which describes it, with a faster reading of the parameters.

    FastAPI inspects the type of every parameter again at each request: for a search that is longer than the search.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = self.endpoint
        signature = inspect.signature(endpoint, eval_str=True)
        readers = [
            (name, _reader(name, parameter))
            for name, parameter in signature.parameters.items()
            if parameter.annotation is not Request
        ]

        async def handle(request: Request) -> Response:
            answer: Response = await endpoint(request, **{name: read(request) for name, read in readers})
            return answer

        return handle


def _reader(name: str, parameter: inspect.Parameter) -> _Reader:
    """Return what reads a parameter of an endpoint: a model of the query, or one value of the path or the query."""
    kind = get_args(parameter.annotation)[0]
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        return _model_reader(kind)
    validate = TypeAdapter(parameter.annotation).validate_python

    def read(request: Request) -> Any:
        given = request.path_params.get(name, request.query_params.get(name))
        if given is None:
            if parameter.default is inspect.Parameter.empty:
                raise QueryError(f"The parameter {name} is missing.")
            return parameter.default
        try:
            return validate(given)
        except ValidationError as error:
            raise _refusal(error, name) from None

    return read


def _model_reader(model: type[BaseModel]) -> _Reader:
    lists = {
        name
        for name, field in model.model_fields.items()
        if any(get_origin(each) is list for each in (field.annotation, *get_args(field.annotation)))
    }

    def read(request: Request) -> BaseModel:
        query = request.query_params
        given = {name: query.getlist(name) if name in lists else query[name] for name in query}
        try:
            return model.model_validate(given)
        except ValidationError as error:
            raise _refusal(error) from None

    return read


def _refusal(error: ValidationError, *place: str) -> QueryError:
    return QueryError(
        sentence([{**each, "loc": (*place, *each["loc"])} for each in error.errors()], kind="parameter")
    )


class _AnythingConvertor(Convertor[str]):
    # Starlette's own `path` stops at newlines.
    regex: ClassVar[str] = r"[\s\S]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("anything", _AnythingConvertor())
