"""The overloads of the endpoints' methods: each option changes what a call returns.

There is one class for each list of arguments that endpoints have. Its parameters: what a call
returns (R), what it returns with ``_preload_content=False`` (W), the value that
``_return_http_data_only`` may have for both to be true (F), and the data alone (D).
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, Required, TypeAlias, TypedDict, TypeVar, Unpack, overload

from stcloud._background import AsyncResult
from stcloud.models.model import Model
from stcloud.operation import HttpInfo, Id
from stcloud.rest import RawResponse

Fields: TypeAlias = Mapping[str, object]
B = TypeVar("B")
R = TypeVar("R")
W = TypeVar("W")
F = TypeVar("F")
D = TypeVar("D")
M = TypeVar("M", bound=Model)
C = TypeVar("C")

class CommonOptions(TypedDict, Generic[F], total=False):
    """Options that leave the result's type as it is."""

    _request_timeout: float | tuple[float | None, float | None] | None
    _return_http_data_only: F

class SyncOptions(CommonOptions[F], total=False):
    """Nothing asked that changes the result."""

    async_req: Literal[False]
    _preload_content: Literal[True]

class AsyncOptions(CommonOptions[F], total=False):
    """Asks for a result to wait for."""

    async_req: Required[Literal[True]]
    _preload_content: Literal[True]

class RawOptions(CommonOptions[F], total=False):
    """Asks for the response as it is."""

    async_req: Literal[False]
    _preload_content: Required[Literal[False]]

class AsyncRawOptions(CommonOptions[F], total=False):
    """Asks for the response as it is, to wait for."""

    async_req: Required[Literal[True]]
    _preload_content: Required[Literal[False]]

class AppCall(Generic[R, W, F, D]):
    """Endpoints of an app."""

    @overload
    def __call__(self, app_id: Id, **o: Unpack[SyncOptions[F]]) -> R: ...
    @overload
    def __call__(self, app_id: Id, **o: Unpack[AsyncOptions[F]]) -> AsyncResult[R]: ...
    @overload
    def __call__(self, app_id: Id, **o: Unpack[RawOptions[F]]) -> W: ...
    @overload
    def __call__(self, app_id: Id, **o: Unpack[AsyncRawOptions[F]]) -> AsyncResult[W]: ...
    @overload
    def __call__(self, app_id: Id, **o: Unpack[SyncOptions[Literal[True]]]) -> D: ...
    @overload
    def __call__(self, app_id: Id, **o: Unpack[AsyncOptions[Literal[True]]]) -> AsyncResult[D]: ...

class TokenCall(Generic[R, W, F, D]):
    """Endpoints of a token."""

    @overload
    def __call__(self, app_id: Id, token_id: Id, **o: Unpack[SyncOptions[F]]) -> R: ...
    @overload
    def __call__(
        self, app_id: Id, token_id: Id, **o: Unpack[AsyncOptions[F]]
    ) -> AsyncResult[R]: ...
    @overload
    def __call__(self, app_id: Id, token_id: Id, **o: Unpack[RawOptions[F]]) -> W: ...
    @overload
    def __call__(
        self, app_id: Id, token_id: Id, **o: Unpack[AsyncRawOptions[F]]
    ) -> AsyncResult[W]: ...
    @overload
    def __call__(self, app_id: Id, token_id: Id, **o: Unpack[SyncOptions[Literal[True]]]) -> D: ...
    @overload
    def __call__(
        self, app_id: Id, token_id: Id, **o: Unpack[AsyncOptions[Literal[True]]]
    ) -> AsyncResult[D]: ...

class AppCallWithBody(Generic[B, R, W, F, D]):
    """Endpoints of an app that take a body."""

    @overload
    def __call__(self, body: B | Fields, app_id: Id, **o: Unpack[SyncOptions[F]]) -> R: ...
    @overload
    def __call__(
        self, body: B | Fields, app_id: Id, **o: Unpack[AsyncOptions[F]]
    ) -> AsyncResult[R]: ...
    @overload
    def __call__(self, body: B | Fields, app_id: Id, **o: Unpack[RawOptions[F]]) -> W: ...
    @overload
    def __call__(
        self, body: B | Fields, app_id: Id, **o: Unpack[AsyncRawOptions[F]]
    ) -> AsyncResult[W]: ...
    @overload
    def __call__(
        self, body: B | Fields, app_id: Id, **o: Unpack[SyncOptions[Literal[True]]]
    ) -> D: ...
    @overload
    def __call__(
        self, body: B | Fields, app_id: Id, **o: Unpack[AsyncOptions[Literal[True]]]
    ) -> AsyncResult[D]: ...

class TokenCallWithBody(Generic[B, R, W, F, D]):
    """Endpoints of a token that take a body."""

    @overload
    def __call__(
        self, body: B | Fields, app_id: Id, token_id: Id, **o: Unpack[SyncOptions[F]]
    ) -> R: ...
    @overload
    def __call__(
        self, body: B | Fields, app_id: Id, token_id: Id, **o: Unpack[AsyncOptions[F]]
    ) -> AsyncResult[R]: ...
    @overload
    def __call__(
        self, body: B | Fields, app_id: Id, token_id: Id, **o: Unpack[RawOptions[F]]
    ) -> W: ...
    @overload
    def __call__(
        self, body: B | Fields, app_id: Id, token_id: Id, **o: Unpack[AsyncRawOptions[F]]
    ) -> AsyncResult[W]: ...
    @overload
    def __call__(
        self, body: B | Fields, app_id: Id, token_id: Id, **o: Unpack[SyncOptions[Literal[True]]]
    ) -> D: ...
    @overload
    def __call__(
        self, body: B | Fields, app_id: Id, token_id: Id, **o: Unpack[AsyncOptions[Literal[True]]]
    ) -> AsyncResult[D]: ...

class Method(Generic[C]):
    """A method of an API class, whose instances see it as the call C."""

    def __get__(self, instance: object, owner: type | None = None, /) -> C: ...

AnyFlag: TypeAlias = bool | None
"""The plain methods return data alone, whatever is asked."""
FalseOnly: TypeAlias = Literal[False]

class _TakesOptions:
    """Finds the overloads of a method by its parameters."""

    @overload
    def __call__(
        self, method: Callable[[Any, Id], M], /
    ) -> Method[AppCall[M, RawResponse, AnyFlag, M]]: ...
    @overload
    def __call__(
        self, method: Callable[[Any, Id, Id], M], /
    ) -> Method[TokenCall[M, RawResponse, AnyFlag, M]]: ...
    @overload
    def __call__(
        self, method: Callable[[Any, B, Id], M], /
    ) -> Method[AppCallWithBody[B, M, RawResponse, AnyFlag, M]]: ...
    @overload
    def __call__(
        self, method: Callable[[Any, B, Id, Id], M], /
    ) -> Method[TokenCallWithBody[B, M, RawResponse, AnyFlag, M]]: ...

class _WithHttpInfo:
    """The same for a method that returns status and headers, too."""

    @overload
    def __call__(
        self, method: Callable[[Any, Id], HttpInfo[M]], /
    ) -> Method[AppCall[HttpInfo[M], HttpInfo[RawResponse], FalseOnly, M]]: ...
    @overload
    def __call__(
        self, method: Callable[[Any, Id, Id], HttpInfo[M]], /
    ) -> Method[TokenCall[HttpInfo[M], HttpInfo[RawResponse], FalseOnly, M]]: ...
    @overload
    def __call__(
        self, method: Callable[[Any, B, Id], HttpInfo[M]], /
    ) -> Method[AppCallWithBody[B, HttpInfo[M], HttpInfo[RawResponse], FalseOnly, M]]: ...
    @overload
    def __call__(
        self, method: Callable[[Any, B, Id, Id], HttpInfo[M]], /
    ) -> Method[TokenCallWithBody[B, HttpInfo[M], HttpInfo[RawResponse], FalseOnly, M]]: ...

takes_options: _TakesOptions
takes_options_with_http_info: _WithHttpInfo
