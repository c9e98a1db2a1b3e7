"""How endpoint methods are called and what their options make of the result; for type checkers.

There is one class for each list of arguments that endpoints have. Its parameters: what a call
returns (R), what it returns with ``_preload_content=False`` (W), and the value that
``_return_http_data_only`` may have for both to be true (F).
"""

from collections.abc import Callable, Mapping
from multiprocessing.pool import AsyncResult
from typing import Any, Generic, Literal, Required, TypeAlias, TypedDict, TypeVar, Unpack, overload

from stcloud.api.endpoint import Id
from stcloud.models.model import Model
from stcloud.operation import HttpInfo
from stcloud.rest import RawResponse

Fields: TypeAlias = Mapping[str, object]
B = TypeVar("B")
R = TypeVar("R")
W = TypeVar("W")
F = TypeVar("F")
M = TypeVar("M", bound=Model)
C = TypeVar("C")

class Common(TypedDict, Generic[F], total=False):
    """Options that leave the result's type as it is."""

    _request_timeout: float | tuple[float | None, float | None] | None
    _return_http_data_only: F

class Plain(Common[F], total=False):
    """Nothing asked that changes the result."""

    async_req: Literal[False]
    _preload_content: Literal[True]

class Later(Common[F], total=False):
    """Asks for a result to wait for."""

    async_req: Required[Literal[True]]
    _preload_content: Literal[True]

class Raw(Common[F], total=False):
    """Asks for the response as it is."""

    async_req: Literal[False]
    _preload_content: Required[Literal[False]]

class RawLater(Common[F], total=False):
    """Asks for the response as it is, to wait for."""

    async_req: Required[Literal[True]]
    _preload_content: Required[Literal[False]]

class OnApp(Generic[R, W, F]):
    """Endpoints of an app."""

    @overload
    def __call__(self, app_id: Id, **o: Unpack[Plain[F]]) -> R: ...
    @overload
    def __call__(self, app_id: Id, **o: Unpack[Later[F]]) -> AsyncResult[R]: ...
    @overload
    def __call__(self, app_id: Id, **o: Unpack[Raw[F]]) -> W: ...
    @overload
    def __call__(self, app_id: Id, **o: Unpack[RawLater[F]]) -> AsyncResult[W]: ...

class OnToken(Generic[R, W, F]):
    """Endpoints of a token."""

    @overload
    def __call__(self, app_id: Id, token_id: Id, **o: Unpack[Plain[F]]) -> R: ...
    @overload
    def __call__(self, app_id: Id, token_id: Id, **o: Unpack[Later[F]]) -> AsyncResult[R]: ...
    @overload
    def __call__(self, app_id: Id, token_id: Id, **o: Unpack[Raw[F]]) -> W: ...
    @overload
    def __call__(self, app_id: Id, token_id: Id, **o: Unpack[RawLater[F]]) -> AsyncResult[W]: ...

class BodyOnApp(Generic[B, R, W, F]):
    """Endpoints of an app that take a body."""

    @overload
    def __call__(self, body: B | Fields, app_id: Id, **o: Unpack[Plain[F]]) -> R: ...
    @overload
    def __call__(self, body: B | Fields, app_id: Id, **o: Unpack[Later[F]]) -> AsyncResult[R]: ...
    @overload
    def __call__(self, body: B | Fields, app_id: Id, **o: Unpack[Raw[F]]) -> W: ...
    @overload
    def __call__(
        self, body: B | Fields, app_id: Id, **o: Unpack[RawLater[F]]
    ) -> AsyncResult[W]: ...

class BodyOnToken(Generic[B, R, W, F]):
    """Endpoints of a token that take a body."""

    @overload
    def __call__(self, body: B | Fields, app_id: Id, token_id: Id, **o: Unpack[Plain[F]]) -> R: ...
    @overload
    def __call__(
        self, body: B | Fields, app_id: Id, token_id: Id, **o: Unpack[Later[F]]
    ) -> AsyncResult[R]: ...
    @overload
    def __call__(self, body: B | Fields, app_id: Id, token_id: Id, **o: Unpack[Raw[F]]) -> W: ...
    @overload
    def __call__(
        self, body: B | Fields, app_id: Id, token_id: Id, **o: Unpack[RawLater[F]]
    ) -> AsyncResult[W]: ...

class Method(Generic[C]):
    """A method of an API class, whose instances see it as the call C."""

    def __get__(self, instance: object, owner: type | None = None, /) -> C: ...

Either: TypeAlias = bool | None
"""The plain methods return data alone, whatever is asked."""
No: TypeAlias = Literal[False]

class Declare(Generic[M]):
    """Finds the shape of a declared endpoint by its parameters."""

    @overload
    def __call__(
        self, declared: Callable[[Any, Id], M], /
    ) -> Method[OnApp[M, RawResponse, Either]]: ...
    @overload
    def __call__(
        self, declared: Callable[[Any, Id, Id], M], /
    ) -> Method[OnToken[M, RawResponse, Either]]: ...
    @overload
    def __call__(
        self, declared: Callable[[Any, B, Id], M], /
    ) -> Method[BodyOnApp[B, M, RawResponse, Either]]: ...
    @overload
    def __call__(
        self, declared: Callable[[Any, B, Id, Id], M], /
    ) -> Method[BodyOnToken[B, M, RawResponse, Either]]: ...

class WithHttpInfo:
    """Turns a method into its twin that also tells status and headers."""

    @overload
    def __call__(
        self, method: Method[OnApp[R, W, Either]], /
    ) -> Method[OnApp[HttpInfo[R], HttpInfo[W], No]]: ...
    @overload
    def __call__(
        self, method: Method[OnToken[R, W, Either]], /
    ) -> Method[OnToken[HttpInfo[R], HttpInfo[W], No]]: ...
    @overload
    def __call__(
        self, method: Method[BodyOnApp[B, R, W, Either]], /
    ) -> Method[BodyOnApp[B, HttpInfo[R], HttpInfo[W], No]]: ...
    @overload
    def __call__(
        self, method: Method[BodyOnToken[B, R, W, Either]], /
    ) -> Method[BodyOnToken[B, HttpInfo[R], HttpInfo[W], No]]: ...
