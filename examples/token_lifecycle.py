"""The life of an app token: list, create, disable, regenerate and delete it.

Without SEMATEXT_API_KEY this runs on a local sandbox. With the key it runs on Sematext Cloud, on
the app that --app-id names. It changes no token but the one that it creates, and deletes that one
at the end, also if a step fails.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import uuid
from collections.abc import Sequence

import stcloud

PATIENCE = 10  # seconds for each call of the clean-up, which Ctrl-C does not cut off


def main() -> str | None:
    """Run on the service or on the sandbox, and return what went wrong, if anything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--app-id", metavar="ID", type=int, help="the app; needed with a key")
    app_id: int | None = parser.parse_args().app_id
    try:
        if not os.environ.get("SEMATEXT_API_KEY"):
            run_on_sandbox()
        elif app_id is None:
            return "SEMATEXT_API_KEY is set: say with --app-id which app to work on"
        else:
            run(stcloud.Configuration(), app_id)
        sys.stdout.flush()
    except ModuleNotFoundError as error:
        return str(error)  # it says what to install
    except (stcloud.ApiException, ValueError, LookupError) as error:
        return f"{type(error).__name__}: {error}"
    except KeyboardInterrupt:
        return "Stopped."
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return "Nobody reads the output."
    return None


def run_on_sandbox() -> None:
    from stcloud.sandbox import Sandbox  # an extra, so it may be missing

    with Sandbox() as sandbox:
        print(f"SEMATEXT_API_KEY is not set, so this runs on a local sandbox, {sandbox.url}")
        configuration = stcloud.Configuration(  # whatever proxy the environment names
            host=sandbox.url, api_key=sandbox.api_key, trust_env=False
        )
        run(configuration, sandbox.app_id)


def run(configuration: stcloud.Configuration, app_id: int) -> None:
    with stcloud.ApiClient(configuration) as client:
        Lifecycle(stcloud.TokensApiControllerApi(client), app_id).run()


class Lifecycle:
    """The steps; after each, what the service now lists."""

    def __init__(self, api: stcloud.TokensApiControllerApi, app_id: int) -> None:
        self.api = api
        self.app_id = app_id
        self.name = f"token_lifecycle {uuid.uuid4().hex[:8]}"

    def run(self) -> None:
        self.step("1. List the tokens", "GET")
        show(self.tokens())
        try:
            self.step("2. Create a token", "POST")
            wanted = stcloud.CreateTokenDto(name=self.name, readable=True, writeable=False)
            self.api.create_app_token(wanted, self.app_id)
            show(self.own())
            self.change(self.own_id())
        finally:
            for token in self.own():
                self.api.delete_app_token1(self.app_id, str(token.id), _request_timeout=PATIENCE)
                self.step("5. Delete it", "DELETE", f"/{token.id}")  # printing may fail, too
                show(self.tokens())

    def change(self, token_id: str) -> None:
        self.step("3. Disable it", "PUT", f"/{token_id}")
        self.api.update_app_token(stcloud.UpdateTokenDto(enabled=False), self.app_id, token_id)
        show(self.own())
        self.step("4. Replace its value", "POST", f"/{token_id}/regenerate")
        self.api.regenerate_app_token1(self.app_id, token_id)
        show(self.own())

    def tokens(self) -> list[stcloud.TokenDto]:
        return self.api.get_app_tokens1(self.app_id, _request_timeout=PATIENCE).tokens

    def own(self) -> list[stcloud.TokenDto]:
        """Find our token by its name: the response with its id may be empty, or get lost."""
        return [token for token in self.tokens() if token.name == self.name]

    def own_id(self) -> str:
        for token in self.own():
            return str(token.id)
        raise LookupError(f"the service does not list the token {self.name!r}")

    def step(self, what: str, method: str, path: str = "") -> None:
        print(f"\n{what:<24}{method} /users-web/api/v3/apps/{self.app_id}/tokens{path}")


def show(tokens: Sequence[stcloud.TokenDto]) -> None:
    """Print a table."""
    rows = [("id", "name", "enabled", "readable", "token"), *map(cells, tokens)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows if tokens else [("no tokens",)]:
        aligned = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        print(f"   {'  '.join(aligned)}".rstrip())


def cells(token: stcloud.TokenDto) -> tuple[str, ...]:
    secret = f"****{token.token[-4:]}" if token.token else ""
    return str(token.id), ascii(token.name), str(token.enabled), str(token.readable), secret


def interrupt(*_: object) -> None:
    """End by the first Ctrl-C; another one would leave the token."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it may be ignored
        signal.signal(signal.SIGINT, interrupt)
    sys.exit(main())
