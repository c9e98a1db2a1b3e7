"""``python -m stcloud.sandbox``: run the sandbox on the command line, until Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import shlex
import signal
import sqlite3
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from stcloud.sandbox import Sandbox

_GREETING = """\
A sandbox of Sematext Cloud's app-token API listens at {url}
Its app has the id {app_id}; its tokens are kept in {place}. To use it from another terminal:

    export SEMATEXT_HOST={host}
    export SEMATEXT_API_KEY={key}

Ctrl-C stops it.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the sandbox as the command line says, until SIGINT or SIGTERM."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _on_signals(_stop)
    try:
        _serve(options, _tls(parser, options.cert, options.key))
    except KeyboardInterrupt:
        sys.stdout.write("Stopped.\n")
    except sqlite3.Error as error:
        _give_up(parser, f"cannot use the database {options.database}: {error}")
    except (OSError, OverflowError) as error:
        _give_up(parser, f"cannot listen on {options.host} port {options.port}: {error}")
    except ValueError as error:
        _give_up(parser, str(error))


def _on_signals(handler: Callable[..., None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT is ignored in a script's background
        signal.signal(number, handler)


def _stop(*_: object) -> NoReturn:
    _on_signals(lambda *_: None)  # another one would interrupt the end
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stcloud.sandbox", description="Run a local server of the app-token API."
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", type=int, default=0, help="port to listen on (a free one)")
    add("--database", default=":memory:", metavar="FILE", help="keeps the tokens (in memory)")
    add("--api-key", metavar="KEY", help="key that requests must carry (a random one)")
    add("--app-id", type=int, default=789, metavar="ID", help="the app's id (%(default)s)")
    add("--cert", metavar="PEM", help="serve HTTPS with this certificate chain")
    add("--key", metavar="PEM", help="the certificate's private key, if in a file of its own")
    return parser


def _serve(options: argparse.Namespace, context: ssl.SSLContext | None) -> None:
    with Sandbox(
        api_key=options.api_key,
        app_id=options.app_id,
        database=options.database,
        host=options.host,
        port=options.port,
        ssl_context=context,
    ) as sandbox:
        _log_requests()
        in_memory = options.database == ":memory:"
        greeting = _GREETING.format(
            url=sandbox.url,
            app_id=sandbox.app_id,
            place="memory" if in_memory else options.database,
            host=shlex.quote(sandbox.url),
            key=shlex.quote(sandbox.api_key),
        )
        sys.stdout.write(greeting)
        sys.stdout.flush()
        while True:
            time.sleep(1)  # not for ever: a signal that comes just before does not interrupt it


def _tls(
    parser: argparse.ArgumentParser, cert: str | None, key: str | None
) -> ssl.SSLContext | None:
    if not cert:
        return parser.error("--key needs --cert") if key else None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key)
    except OSError as error:
        _give_up(parser, f"cannot use the certificate {cert}: {error}")
    return context


def _log_requests() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("stcloud.sandbox")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _give_up(parser: argparse.ArgumentParser, problem: str) -> NoReturn:
    parser.exit(2, f"{parser.prog}: {problem}\n")


if __name__ == "__main__":
    main()
