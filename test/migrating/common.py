"""What both clients meet: a server that keeps what arrives, and how a case is stated."""

# Lambdas that keep a loop's value in a default have no type for mypy.
# mypy: disable-error-code="no-untyped-call, misc"

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import stcloud as installed

stcloud: Any = installed  # no type of this client, since the other one has none

KEY = "2f1c6a30-made-4up0-8key-5b7d9e0f1a2c"
SECRET = "8d9e0f1a-2b3c-4d5e-8f60-718293a4b5c6"
PATH = "/users-web/api/v3/apps/789/tokens"
TOKEN = {
    "id": 5,
    "name": "shipper",
    "token": SECRET,
    "enabled": True,
    "readable": True,
    "writeable": False,
    "createdAt": "2026-01-02T03:04:05Z",
}
CLASSES = (
    "ApiClient",
    "Configuration",
    "CreateTokenDto",
    "Error",
    "GenericMapBasedApiResponse",
    "TokenDto",
    "TokenResponse",
    "TokenResponseEntry",
    "TokensApiControllerApi",
    "TokensResponse",
    "TokensResponseEntry",
    "UpdateTokenDto",
)
MODULES = ("api", "api_client", "configuration", "models", "rest")
METHODS = (
    "create_app_token",
    "get_app_tokens1",
    "update_app_token",
    "regenerate_app_token1",
    "delete_app_token1",
)


class Reply(NamedTuple):
    """What the server does with a request; status 0 drops the connection."""

    body: str = ""
    status: int = 200
    headers: Mapping[str, str] = {"Content-Type": "application/json"}
    delay: float = 0


def reply(status: int = 200, *, headers: Mapping[str, str] | None = None, **fields: Any) -> Reply:
    """Return a response in JSON."""
    named = {"Content-Type": "application/json", **(headers or {})}
    return Reply(json.dumps(fields), status, named)


def one(**fields: Any) -> Reply:
    """Return the response that has a token, some of its fields changed."""
    return reply(success=True, data={"token": TOKEN | fields})


def many(**fields: Any) -> Reply:
    """Return the response that has a list of tokens, some fields of the only one changed."""
    return reply(success=True, data={"tokens": [TOKEN | fields]})


ERROR: dict[str, Any] = {
    "success": False,
    "message": "no",
    "errors": [{"code": "E1", "message": f"{SECRET}?"}],
}
DONE = reply(success=True, data={})
DROPPED = Reply(status=0)


class Server(ThreadingHTTPServer):
    """Sends the replies, the last one again and again, and keeps the requests."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that did not wait."""

    replies: list[Reply]
    requests: list[dict[str, str]]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def expect(self, *replies: Reply) -> None:
        """Forget the requests, and give these replies from now on."""
        self.replies, self.requests = list(replies), []


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline()
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        length = self.headers["Content-Length"]
        content = self.rfile.read(int(length or 0)).decode()
        request = {f"header `{name.title()}`": text for name, text in self.headers.items()}
        request |= {"method": self.command, "path": self.path, **body_facts(content)}
        del request["header `Host`"]
        if length:
            request["header `Content-Length`"] = "the body's length"
        self.server.requests.append(request)
        replies = self.server.replies
        reply_ = replies.pop(0) if len(replies) > 1 else replies[0]
        threading.Event().wait(reply_.delay)
        if not reply_.status:
            self.close_connection = True
            return
        text = reply_.body.encode()
        self.send_response_only(reply_.status)
        for name, value in {**reply_.headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)


def body_facts(content: str) -> dict[str, str]:
    """Return what a request's body says, and how it is written."""
    if not content:
        return {"content": "none"}
    facts = {"content": json.dumps(json.loads(content), ensure_ascii=False)}
    if len(content) > 2:
        facts["spaces in the JSON"] = "after commas and colons" if ": " in content else "none"
    if "é" in facts["content"]:
        facts["`é` in the JSON"] = "UTF-8" if "é" in content else "escaped"
    return facts


class Setting(NamedTuple):
    """What a case works with: a client that is set up as the documentation of both says."""

    api: Any
    client: Any
    configuration: Any
    server: Server


class Case(NamedTuple):
    """What is done, and what the server replies."""

    name: str
    act: Callable[[Any], Any]
    replies: tuple[Reply, ...] = (DONE,)


def body(**fields: Any) -> Any:
    """Return the body of a new token."""
    return stcloud.CreateTokenDto(**fields)


def listing(**options: Any) -> Callable[[Setting], Any]:
    """Return the call that lists tokens."""
    return lambda s: s.api.get_app_tokens1(789, **options)


def creation(make: Callable[[], Any] = lambda: body(name="a")) -> Callable[[Setting], Any]:
    """Return the call that creates a token from what ``make`` returns."""
    return lambda s: s.api.create_app_token(make(), 789)


def with_attribute(part: str, name: str, value: Any) -> Callable[[Setting], Any]:
    """Return the call before which an attribute of the client or its configuration is set."""

    def act(s: Setting) -> Any:
        setattr(getattr(s, part), name, value)
        return listing()(s)

    return act


def setting(name: str, value: Any) -> Case:
    """Return the case that changes a setting, reads it again, and makes a call."""

    def act(s: Setting) -> Any:
        setattr(s.configuration, name, value)
        s.api.get_app_tokens1(789)
        return getattr(s.configuration, name)

    return Case(f"`configuration.{name} = {value!r}`, then a call, then read", act, (many(),))


@contextmanager
def running() -> Iterator[Server]:
    """Run the server."""
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
