"""How a call is made: path, key and JSON out; status check and JSON in."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sized
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar
from urllib.parse import quote

from stcloud import _response, _serialization, _validators, logs, models
from stcloud._redaction import hides_variables, remove_frames
from stcloud._signals import raised_by_handler
from stcloud.configuration import AUTHORIZATION, Configuration, HeaderDict
from stcloud.exceptions import ApiException, ConnectionException
from stcloud.models.model import Model, is_model, schema
from stcloud.operation import CallOptions, HttpInfo, Operation, Request
from stcloud.rest import CallLimits, RawResponse, RestClient, Timeouts
from stcloud.retry import RetryBudget, RetryState
from stcloud.version import __version__

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


M = TypeVar("M", bound=Model)

_JSON = "application/json"
_OPTIONS = dict.fromkeys(
    ("_preload_content", "_request_timeout", "_return_http_data_only", "async_req")
)


class ApiClient:
    """Makes calls and owns their connections; threads may share it.

    As a context manager it closes its connections at the end. A client that nobody closes is
    cleaned up when it is collected or the interpreter ends.

    Args:
        configuration: the settings; ``Configuration()`` if None.
        header_name: a header to send with every request.
        header_value: the value of that header.
        cookie: the value of a Cookie header to send with every request.
    """

    @hides_variables
    def __init__(
        self,
        configuration: Configuration | None = None,
        header_name: str | None = None,
        header_value: str | None = None,
        cookie: str | None = None,
    ) -> None:
        self.configuration = settings = Configuration() if configuration is None else configuration
        self.default_headers = {"Accept": _JSON}
        self.user_agent = f"stcloud/{__version__} python/{'.'.join(map(str, sys.version_info[:3]))}"
        if header_name is not None:
            self.set_default_header(header_name, header_value)
        self.cookie = cookie
        self._executor: ThreadPoolExecutor | None = None
        self._executor_lock = threading.Lock()
        self._process = os.getpid()
        logs.configure(settings.debug, settings.logger_file, settings.logger_format)

    @property
    def configuration(self) -> Configuration:
        """The settings; after others are assigned, later calls use new connections."""
        return self._configuration

    @configuration.setter
    def configuration(self, settings: Configuration) -> None:
        self._configuration = _validators.instance("configuration", settings, Configuration)
        self.rest_client: RestClient = RestClient(settings)
        self._budget = RetryBudget(settings.retries.budget)

    @property
    def default_headers(self) -> HeaderDict:
        """The headers that are sent with every request."""
        return self._default_headers

    @default_headers.setter
    @hides_variables
    def default_headers(self, headers: Mapping[str, str]) -> None:
        self._default_headers = HeaderDict("default_headers", headers)

    @property
    def user_agent(self) -> str:
        """What the client calls itself in the User-Agent header."""
        return self.default_headers["User-Agent"]

    @user_agent.setter
    def user_agent(self, value: str) -> None:
        self.default_headers["User-Agent"] = value

    @property
    def cookie(self) -> str | None:
        """The value of the Cookie header, None for none."""
        return self.default_headers.get("Cookie") or None

    @cookie.setter
    @hides_variables
    def cookie(self, value: str | None) -> None:
        self.set_default_header("Cookie", value)

    @hides_variables
    def set_default_header(self, header_name: str, header_value: str | None) -> None:
        """Send a header with every request, or no longer if its value is None.

        Raises:
            ValueError: name or value cannot stand in a header.
            TypeError: one of them is not a str or bytes.
        """
        _validators.header_name("header_name", header_name)
        for name in list(self.default_headers.data):
            if name.lower() == header_name.lower():
                self.default_headers.pop(name, None)  # another thread may be quicker
        self.default_headers[header_name] = header_value

    @hides_variables
    def call_api(  # noqa: PLR0913, PLR0917  # the signature that generated code relies on
        self,
        resource_path: str,
        method: str,
        path_params: Mapping[str, object] | None = None,
        query_params: Mapping[str, object] | Iterable[tuple[str, object]] | None = None,
        header_params: Mapping[str, str] | None = None,
        body: object = None,
        post_params: Sized | None = None,
        files: Sized | None = None,
        response_type: object = None,
        auth_settings: Collection[str] | None = None,
        async_req: bool | None = None,
        _return_http_data_only: bool | None = None,
        collection_formats: Sized | None = None,
        _preload_content: bool = True,
        _request_timeout: object = None,
    ) -> Any:
        """Call any path of Sematext Cloud, such as ``/users-web/api/v3/apps``.

        POST and PATCH are retried only if they were not sent, or refused with 429; GET, HEAD,
        OPTIONS, PUT and DELETE also if no complete response came, and after 408 and most 5xx.

        Args:
            resource_path: the path, with ``{name}`` where a path parameter goes.
            method: the HTTP method.
            path_params: the path parameters; each is quoted.
            query_params: the query parameters; a list gives one for each of its items.
            header_params: headers of this request.
            body: what to send as JSON; None for no body.
            post_params: form fields, which this API does not have: None or empty.
            files: files to upload, which this API does not have: None or empty.
            response_type: the response's model, as a class or by its name; None, ``object`` or
                ``"object"`` for its JSON as it is.
            auth_settings: an empty list sends no API key.
            async_req: return an AsyncResult at once; its ``get(timeout)`` waits.
            _return_http_data_only: return the data alone.
            collection_formats: formats of lists, which this API does not have: None or
                empty.
            _preload_content: if False, the data is urllib3's response, unread.
            _request_timeout: seconds for the complete call, or a pair: seconds to connect and
                for each wait for the server.

        Returns:
            ``(data, status, headers)``, or what the options ask for instead.

        Raises:
            ValueError: an argument is not allowed, or there is no API key.
            TypeError: an argument has the wrong type.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        unused = {
            "post_params": post_params,
            "files": files,
            "collection_formats": collection_formats,
        }
        options = {
            "async_req": async_req,
            "_preload_content": _preload_content,
            "_request_timeout": _request_timeout,
            "_return_http_data_only": _return_http_data_only,
        }
        for name, value in unused.items():
            _validators.empty(name, value)
        verb = _validators.method("method", method)
        safe = self.configuration.safe_chars_for_path_param
        path = _serialization.path(resource_path, path_params, query_params, safe)
        request = Request(
            f"{verb} {resource_path}",
            {},
            verb,
            path,
            *self._encode(header_params, _serialization.to_jsonable(body)),
            _response_model(response_type),
            self._parse_options("call_api", options, data_only=False),
        )
        if auth_settings is None or auth_settings:
            self._authorize(request.headers)
        return self._execute(request)

    def call_operation(
        self, operation: Operation[M], options: Mapping[str, Any], **arguments: object
    ) -> M:
        """Call an endpoint; return its data, or what the options ask for instead.

        Args:
            operation: the endpoint.
            options: those of every call.
            arguments: the body and the ids.

        Raises:
            ValueError: an argument is None or not allowed, or there is no API key.
            TypeError: an argument or a field of the body has the wrong type; an unknown option.
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        checked = self._parse_options(operation.name, options, data_only=True)
        request = self._build_request(operation, operation.name, arguments, checked)
        data: M = self._execute(request)
        return data

    def call_operation_with_http_info(
        self, operation: Operation[M], options: Mapping[str, Any], **arguments: object
    ) -> HttpInfo[M]:
        """Call an endpoint; return ``(data, status, headers)``, or what the options ask for.

        Arguments and errors are those of :meth:`call_operation`.
        """
        method_name = f"{operation.name}_with_http_info"
        checked = self._parse_options(method_name, options, data_only=False)
        info: HttpInfo[M] = self._execute(
            self._build_request(operation, method_name, arguments, checked)
        )
        return info

    def _build_request(
        self,
        operation: Operation[Any],
        method_name: str,
        arguments: dict[str, object],
        options: CallOptions,
    ) -> Request:
        for name, value in arguments.items():
            if value is None:
                raise ValueError(f"{method_name}() needs {name!r}")
        ids = {
            name: _validators.identifier(name, value)
            for name, value in arguments.items()
            if name != "body"
        }
        model = operation.body_model
        data = None if model is None else _serialization.serialize_body(model, arguments["body"])
        headers, content = self._encode(None, data)
        self._authorize(headers)
        return Request(
            operation.name,
            ids,
            operation.method,
            operation.path_template.format_map(ids),
            headers,
            content,
            operation.response_model,
            options,
        )

    def _execute(self, request: Request) -> Any:
        """Make a call, here or on another thread."""
        self._reset_after_fork()
        if not request.options.async_req:
            return self._call(request)
        from contextvars import copy_context  # so that a trace goes on there

        context = copy_context()
        try:
            from stcloud._background import submit  # rarely needed, slow to import

            call = hides_variables(self._call)
            return submit(self._get_executor(), lambda: context.run(call, request))
        except RuntimeError as error:  # it may have begun with the import
            if "shutdown" not in str(error):
                raise
            raise RuntimeError("Python is ending: make the call without async_req") from error

    def _call(self, request: Request) -> Any:
        """Make a call; return what its options ask for.

        Raises:
            ApiException: the call failed; see :mod:`stcloud.exceptions`.
        """
        with logs.CallLog(request.operation, request.ids) as call_log:
            data, headers = self._send(request, call_log)
        if request.options.data_only:
            return data
        info = HttpInfo[Any]((data, call_log.status, headers))
        info.attempts = call_log.attempts
        return info

    def _send(self, request: Request, call_log: logs.CallLog) -> tuple[Any, Mapping[str, str]]:
        """Send a request, again if that is safe; return the data and headers of the response."""
        options = request.options
        timeouts = Timeouts(options.limits)
        retry_state = RetryState(self.configuration.retries, self._budget, request.method)
        while True:
            call_log.attempts = retry_state.attempts
            outcome = self._send_once(request, timeouts, retry_state.attempts)
            if not isinstance(outcome, ApiException):
                data, response = outcome
                call_log.status = response.status
                retry_state.record_success()
                return data, response.headers
            wait = outcome.plan_retry(retry_state, timeouts.remaining())
            if wait is None:
                break
            del outcome  # or its body would be in memory until the next attempt is over
            time.sleep(wait)
        call_log.status = outcome.status
        if options.raw or not retry_state.deleted_by_earlier_attempt(outcome.status):
            try:
                raise outcome
            finally:
                del outcome  # or it and this frame would keep each other
        call_log.note = "deleted by an earlier attempt, whose response was lost"
        success = {"message": call_log.note, "success": True}
        data = request.response_model and request.response_model.from_json(success)
        retry_state.record_success()
        return data, outcome.headers or {}

    def _send_once(
        self, request: Request, timeouts: Timeouts, attempt: int
    ) -> tuple[Any, RawResponse] | ApiException:
        """Make one attempt; return the data of its response and the response, or its failure.

        What it raises is none of the attempt's: a signal handler's, or a bad setting's.
        """
        attempt_log = logs.AttemptLog(request.method, request.path, attempt)
        outer = sys.exception()
        try:
            response = self.rest_client.request(request, timeouts)
            data = self._process_response(request, response, attempt_log)
        except BaseException as error:
            if not isinstance(error, ApiException) or raised_by_handler(error):
                self.rest_client.reset_pools()  # any connection may be in any state
                raise
            _redact_key(error, request)
            attempt_log.finish(error.status or error)
            remove_frames(error, outer)
            return error
        attempt_log.finish(response.status)
        return data, response

    def _process_response(
        self, request: Request, response: RawResponse, attempt_log: logs.AttemptLog
    ) -> Any:
        """Return the data of a response, or raise the exception that it means."""
        succeeded = 200 <= response.status < 300
        if succeeded and request.options.raw:
            return response
        try:
            content = self.rest_client.read(response)
        except ConnectionException as error:
            if succeeded or raised_by_handler(error):
                raise
            content = b""  # the status says enough
        attempt_log.size = len(content)
        if succeeded:
            return _response.parse_success(response, content, request.response_model)
        raise _response.exception_for_status(response, content)

    def _get_executor(self) -> ThreadPoolExecutor:
        """Return the threads of ``async_req``; each starts when it is first needed."""
        with self._executor_lock:
            if self._executor is None:
                from concurrent.futures import ThreadPoolExecutor  # rarely needed, slow to import

                self._executor = ThreadPoolExecutor(
                    self.configuration.connection_pool_maxsize, "stcloud"
                )
            return self._executor

    def close(self) -> None:
        """Wait for the calls made with ``async_req``, and close the connections.

        A later call opens new ones. Not for signal handlers, if the program makes calls with
        ``async_req``: one that waits for a thread can wait for ever. Let it raise an exception.
        """
        self._reset_after_fork()
        with self._executor_lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            with suppress(RuntimeError):  # one of its own threads closes the client
                executor.shutdown()
        self.rest_client.close()

    def _reset_after_fork(self) -> None:
        """Replace the threads, and locks that they may hold, which a fork has left behind."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._executor, self._executor_lock = None, threading.Lock()
            self._budget = RetryBudget(self.configuration.retries.budget)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an ApiClient has connections and threads, and cannot be copied or pickled: "
            "make another one of its configuration"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @hides_variables
    def sanitize_for_serialization(self, obj: Any) -> Any:
        """Return what JSON can hold of models, dates and containers of them.

        Raises:
            TypeError: something else is among them, or a model's field has the wrong type.
            ValueError: a field has a value that cannot be sent.
        """
        return _serialization.to_jsonable(obj)

    def _parse_options(
        self, function: str, passed: Mapping[str, Any], *, data_only: bool
    ) -> CallOptions:
        for name, value in passed.items():
            if name not in _OPTIONS:
                known = ", ".join(_OPTIONS)
                raise TypeError(f"{function}() has no option {name!r}; it has {known}")
            if name != "_request_timeout" and value is not None:
                _validators.boolean(name, value)
        return CallOptions(
            async_req=bool(passed.get("async_req")),
            data_only=data_only or bool(passed.get("_return_http_data_only")),
            raw=passed.get("_preload_content") is False,
            limits=CallLimits(self.configuration, passed.get("_request_timeout")),
        )

    def _encode(
        self, overrides: Mapping[str, str] | None, data: object
    ) -> tuple[dict[str, str], bytes | None]:
        """Return the headers, without the key, and the body."""
        headers = {
            name.title(): text for name, text in self.default_headers.data.copy().items() if text
        }
        if overrides is not None:
            checked = dict(_validators.pairs("header_params", overrides))
            for name, text in HeaderDict("header_params", checked).items():
                headers[name.title()] = text
            headers = {name: text for name, text in headers.items() if text}
        if data is None:
            return headers, None
        headers.setdefault("Content-Type", _JSON)
        return headers, _serialization.to_json(data)

    def _authorize(self, headers: dict[str, str]) -> None:
        value = self.configuration.get_api_key_with_prefix(AUTHORIZATION)
        if value:
            headers[AUTHORIZATION] = value
        elif AUTHORIZATION not in headers:
            if self.configuration.api_key and AUTHORIZATION not in self.configuration.api_key:
                raise ValueError("api_key has no item 'Authorization', which the API key is")
            raise ValueError(
                "there is no API key: give one with Configuration(api_key=...), "
                "configuration.api_key['Authorization'] or the variable SEMATEXT_API_KEY"
            )


def _response_model(response_type: object) -> type[Model] | None:
    """Return the model class that ``call_api`` is to make of the response."""
    if isinstance(response_type, str):
        response_type = vars(models).get(response_type, response_type)
    if response_type in (None, object, "object"):
        return None
    if is_model(response_type):
        schema(response_type)  # one that cannot be read is refused before anything is sent
        return response_type
    if isinstance(response_type, str):
        raise TypeError(
            "response_type must be a model's class or name, or left out; "
            f"stcloud has no model {response_type[:80]!r}"
        )
    raise _validators.wrong_type("response_type", "a model's class or name", response_type)


def _redact_key(error: ApiException, request: Request) -> None:
    """Mask the key, alone or with its prefix, where a server echoed it: exceptions are shown."""
    value = request.headers.get(AUTHORIZATION, "")
    key = value.partition(" ")[2]
    for secret in (value, key, quote(key)):
        if len(secret) > 3:  # less is no secret, and may stand anywhere
            error.redact(secret)
