"""docs/cookbook.md: each recipe does what it says, on the real libraries."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
import urllib3
import yaml
from markdown_it import MarkdownIt
from pytest_httpserver import HTTPServer
from scripted_server import unused_address
from werkzeug import Request, Response

import stcloud
from stcloud.sandbox import Fault, Sandbox

DOCS = Path(__file__).parents[1] / "docs"
LONG_AGO = timedelta(days=40)
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def titled(page: str) -> dict[str, str]:
    """Return the blocks of a page that have a file's name."""
    tokens = MarkdownIt().parse((DOCS / page).read_text(encoding="utf-8"))
    titles = [(token.info.partition('title="')[2].rstrip('"'), token.content) for token in tokens]
    return {title: content for title, content in titles if title}


FILES = titled("cookbook.md") | titled("token_manager.md")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where all files of the page lie, and a folder for tokens."""
    for name, content in FILES.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "tokens").mkdir()
    return tmp_path


@pytest.fixture
def run(folder: Path, sandbox: Sandbox) -> Run:
    """Run a program of the page on the sandbox, and wait for its end."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**plain_environment(), **settings(sandbox), **variables}
        return subprocess.run(
            [sys.executable, "-W", "ignore", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def plain_environment() -> dict[str, str]:
    """Return the environment without what would lead a library elsewhere."""
    unwanted = re.compile("(?i)aws_|kube|vault_|ssl_cert|.*_proxy$")
    return {name: value for name, value in os.environ.items() if not unwanted.match(name)}


def settings(sandbox: Sandbox) -> dict[str, str]:
    """Return the environment's variables of a program on the sandbox."""
    return {
        "SEMATEXT_HOST": sandbox.url,
        "SEMATEXT_API_KEY": sandbox.api_key,
        "PYTHONSAFEPATH": "",  # programs import what lies beside them
    }


def test_every_file_is_tested() -> None:
    """A recipe that no test names would not run."""
    source = Path(__file__).read_text(encoding="utf-8")
    assert {name for name in titled("cookbook.md") if name not in source} == set()
    assert len(titled("cookbook.md")) > 15


def test_list(api: stcloud.TokensApiControllerApi, sandbox: Sandbox, run: Run) -> None:
    """list_tokens.py prints a table or JSON, neither with a value."""
    token = api.create_app_token({"name": "log shipper"}, sandbox.app_id).token
    assert token.created_at is not None
    created = token.created_at.isoformat()
    assert run("list_tokens.py", "789").stdout == f"1001  {created}  True  'log shipper'\n"
    rows = json.loads(run("list_tokens.py", "789", "--json").stdout)
    assert rows == [{"id": 1001, "created": created, "enabled": True, "name": "log shipper"}]
    assert run("list_tokens.py", "789", "--jsn").returncode == 2


class Stores(NamedTuple):
    """A server that responds as Kubernetes and Vault do, and the secrets that it has, by path."""

    url: str
    held: dict[str, str]


@pytest.fixture
def stores(httpserver: HTTPServer) -> Stores:
    """Kubernetes and Vault; that is sealed to everyone but root."""
    held: dict[str, str] = {}

    def patch(request: Request) -> Response:
        assert request.content_type == "application/strategic-merge-patch+json" or request.is_json
        held[request.path] = request.get_json(force=True)["stringData"]["token"]
        return Response(
            json.dumps({"kind": "Secret", "apiVersion": "v1"}), mimetype="application/json"
        )

    def put(request: Request) -> Response:
        if request.headers["X-Vault-Token"] != "root":
            return Response('{"errors": ["Vault is sealed"]}', 503)
        held[request.path] = request.get_json()["data"]["token"]
        return Response('{"data": {"version": 1}}', mimetype="application/json")

    for name in ("shipper", "billing"):
        path = f"/api/v1/namespaces/logging/secrets/{name}-token"
        httpserver.expect_request(path, method="PATCH").respond_with_handler(patch)
        path = f"/v1/secret/data/tokens/{name}"
        httpserver.expect_request(path, method="POST").respond_with_handler(put)
    return Stores(httpserver.url_for(""), held)


RUN_ON_MOTO = """
import json, runpy, sys
import boto3
from moto import mock_aws

with mock_aws():
    client = boto3.client("secretsmanager")
    for name in ("shipper", "billing"):
        client.create_secret(Name=f"tokens/{name}", SecretString="none")
    sys.argv[:] = ["rotate_nightly.py"]
    try:
        runpy.run_path("rotate_nightly.py", run_name="__main__")
    finally:
        names = ["tokens/shipper", "tokens/billing"]
        values = [client.get_secret_value(SecretId=name)["SecretString"] for name in names]
        with open("aws.json", "w") as file:
            json.dump(values, file)
"""


@pytest.mark.parametrize("vault_token", ["root", "wrong"], ids=["all", "sealed"])
def test_publishing(
    api: stcloud.TokensApiControllerApi,
    sandbox: Sandbox,
    run: Run,
    folder: Path,
    stores: Stores,
    vault_token: str,
) -> None:
    """targets.py with to_file.py, to_kubernetes.py, to_aws.py and to_vault.py; one may fail."""
    sandbox.clock = lambda: datetime.now(UTC) - LONG_AGO
    manager = stcloud.TokenManager(api, sandbox.app_id)
    for name in ("shipper", "billing"):
        manager.ensure(name)
    sandbox.clock = lambda: datetime.now(UTC)
    cluster: dict[str, Any] = {"clusters": [{"name": "c", "cluster": {"server": stores.url}}]}
    cluster |= {"users": [{"name": "u", "user": {}}], "current-context": "x"}
    cluster |= {"contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}]}
    (folder / "kubeconfig").write_text(yaml.safe_dump(cluster), encoding="utf-8")
    files = [folder / "tokens" / name for name in ("shipper", "billing")]
    links = [file.with_suffix(".before") for file in files]
    for file, link in zip(files, links, strict=True):
        file.write_text("old", encoding="utf-8")
        link.hardlink_to(file)
    done = run(
        "-c",
        RUN_ON_MOTO,
        KUBECONFIG=str(folder / "kubeconfig"),
        VAULT_ADDR=stores.url,
        VAULT_TOKEN=vault_token,
        TOKEN_FOLDER=str(folder / "tokens"),
        AWS_DEFAULT_REGION="eu-central-1",
        AWS_ACCESS_KEY_ID="made-up",
        AWS_SECRET_ACCESS_KEY="made-up",
    )
    fails = vault_token != "root"
    assert [link.read_text(encoding="utf-8") for link in links] == ["old", "old"]  # not written in
    assert done.returncode == fails, done.stderr
    tokens = {token.id: token for token in api.get_app_tokens1(sandbox.app_id).tokens}
    values = [str(tokens[number].token) for number in (1003, 1004)]
    assert [file.read_text(encoding="utf-8") for file in files] == values
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert json.loads((folder / "aws.json").read_text(encoding="utf-8")) == values
    by_kubernetes = [value for path, value in stores.held.items() if "namespaces" in path]
    by_vault = [value for path, value in stores.held.items() if "namespaces" not in path]
    assert by_kubernetes == values
    assert by_vault == ([] if fails else values)
    assert re.findall(r"^(\w+): (\w+): ", done.stderr, re.MULTILINE) == [
        (name, "to_vault") for name in ("shipper", "billing") if fails
    ]
    assert not any(value in done.stdout + done.stderr for value in values)
    assert [tokens[number].enabled for number in (1001, 1002)] == [True, True]


def test_finishing(api: stcloud.TokensApiControllerApi, sandbox: Sandbox, run: Run) -> None:
    """finish_rotations.py disables what is due."""
    manager = stcloud.TokenManager(api, sandbox.app_id, clock=lambda: datetime.now(UTC) - LONG_AGO)
    manager.ensure("shipper")
    manager.rotate("shipper", lambda _: None, overlap=timedelta(hours=1))
    assert "done: disable 1001" in run("finish_rotations.py").stdout
    assert [token["enabled"] for token in sandbox.tokens()] == [False, True]


def test_manifest() -> None:
    """cronjobs.yaml has what Kubernetes' own models know, and nothing else."""
    from kubernetes import client

    kinds = {"CronJob": "V1CronJob", "Role": "V1Role", "RoleBinding": "V1RoleBinding"}
    kinds["ServiceAccount"] = "V1ServiceAccount"
    pods = {}
    for document in yaml.safe_load_all(FILES["cronjobs.yaml"]):
        read: Any = client.ApiClient()
        kind = kinds[document["kind"]]
        model = read.deserialize(json.dumps(document), kind, "application/json")
        assert read.sanitize_for_serialization(model) == document
        if kind == "V1CronJob":
            pods[model.metadata.name] = pod = model.spec.job_template.spec.template.spec
            assert model.spec.concurrency_policy == "Forbid"
            assert Path(pod.containers[0].command[1]).name in FILES
            assert pod.containers[0].env_from[0].secret_ref.name == "sematext"
        elif kind == "V1Role":
            assert model.rules[0].resource_names == ["shipper-token", "billing-token"]
    assert list(pods) == ["rotate-tokens", "finish-rotations", "check-rotations"]
    assert pods["rotate-tokens"].service_account_name == "rotate-tokens"


def test_adopting(
    api: stcloud.TokensApiControllerApi, sandbox: Sandbox, run: Run, folder: Path
) -> None:
    """adopt.py gives a token a name, publishes it, and its value stays."""
    (folder / "targets.py").write_text(TARGETS, encoding="utf-8")
    (folder / "unsealed").touch()
    token = api.create_app_token({"name": "shipper [eu]"}, sandbox.app_id).token
    (folder / "unsealed").unlink()
    sealed = run("adopt.py", "1001", "shipper")
    assert (sealed.returncode, sealed.stderr) == (1, "shipper: sealed; run it again\n")
    (folder / "unsealed").touch()
    assert run("adopt.py", "1001", "shipper").stdout == "shipper 1001\nshipper: token 1001\n"
    assert stcloud.TokenManager(api, sandbox.app_id).ensure("shipper").token == token.token
    assert run("adopt.py", "1009", "x").stderr.endswith("error: the app has no token 1009\n")
    taken = run("adopt.py", "1001", "billing").stderr
    assert taken.endswith("error: token 1001 is 'shipper', which is in NAMES\n")
    for name in ("shipper [new]", "shipper ", "x" * 81):
        assert "error: name must have 1 to 80 characters" in run("adopt.py", "1001", name).stderr
    api.update_app_token({"enabled": False}, sandbox.app_id, 1001)
    disabled = run("adopt.py", "1001", "other").stderr
    assert disabled.endswith("error: token 1001 is disabled: find out why, and enable it\n")
    assert [each["name"] for each in sandbox.tokens()] == ["shipper"]


@pytest.mark.parametrize("since", [0.5, 2, 20], ids=str)
@pytest.mark.parametrize("overlap", [0, 1])
def test_undoing(
    api: stcloud.TokensApiControllerApi,
    sandbox: Sandbox,
    run: Run,
    folder: Path,
    overlap: int,
    since: float,
) -> None:
    """undo.py makes the old token current permanently, also if it is run again after a failure."""

    def manager_after(hours: float) -> stcloud.TokenManager:
        moment = datetime.now(UTC) + timedelta(hours=hours)
        return stcloud.TokenManager(api, sandbox.app_id, clock=lambda: moment)

    (folder / "targets.py").write_text(TARGETS, encoding="utf-8")
    for _ in range(2):
        manager_after(0).rotate(
            "shipper", lambda _: None, overlap=timedelta(hours=overlap), create=True
        )
    manager_after(since).finish_rotations()
    api.create_app_token({"name": "shipper-eu"}, sandbox.app_id)
    before = sandbox.tokens()
    for token_id in ("1009", "1003"):
        mistyped = run("undo.py", "shipper", token_id)
        assert (mistyped.returncode, mistyped.stdout) == (2, "")
        assert mistyped.stderr.endswith(f"has no token {token_id} of the name 'shipper'\n")
    first = run("undo.py", "shipper-eu", "1003").stderr
    assert first.endswith("error: 'shipper-eu' has no older token with the rights of 1003\n")
    assert sandbox.tokens() == before
    api.delete_app_token1(sandbox.app_id, 1003)
    failed = run("undo.py", "shipper", "1002")
    assert (failed.returncode, failed.stderr) == (1, "shipper: sealed; run it again\n")
    manager_after(since + 9).finish_rotations()
    assert [token["enabled"] for token in sandbox.tokens()] == [True, True]
    (folder / "unsealed").touch()
    assert published(run("undo.py", "shipper", "1002")) == ["shipper 1001"]
    for days in (2, 4):
        manager_after(24 * days).finish_rotations()
    (state,) = (each for each in manager_after(99).status() if each.name == "shipper")
    assert (state.token and state.token.id, state.due, state.warnings) == (1001, (), ())
    assert [(token["name"], token["enabled"]) for token in sandbox.tokens()] == [
        ("shipper", True),
        ("shipper, undone", True),
    ]


def test_undoing_a_next(
    api: stcloud.TokensApiControllerApi, sandbox: Sandbox, run: Run, folder: Path
) -> None:
    """undo.py takes one back that was published in part."""
    (folder / "targets.py").write_text(TARGETS, encoding="utf-8")
    manager = stcloud.TokenManager(api, sandbox.app_id)
    manager.ensure("shipper")
    with pytest.raises(ZeroDivisionError):
        manager.rotate("shipper", lambda _: 1 / 0)
    (folder / "unsealed").touch()
    done = run("undo.py", "shipper", "1002")
    assert published(done) == ["shipper 1001"]
    assert done.stdout.endswith("shipper: published 1001; remove 1002 when readers have noticed\n")
    (state,) = (each for each in manager.status() if each.name == "shipper")
    assert (state.token and state.token.id, state.due, state.warnings) == (1001, (), ())
    assert [token["name"] for token in sandbox.tokens()] == ["shipper", "shipper, undone"]


@pytest.mark.parametrize("program", ["adopt.py 1001 shipper", "undo.py shipper 1002"])
def test_program_waits_for_a_rotation(
    api: stcloud.TokensApiControllerApi, sandbox: Sandbox, run: Run, folder: Path, program: str
) -> None:
    """Else it could publish a token that has just been replaced."""
    (folder / "targets.py").write_text(TARGETS, encoding="utf-8")
    (folder / "unsealed").touch()
    manager = stcloud.TokenManager(api, sandbox.app_id)
    for _ in range(2):
        manager.rotate("shipper", lambda _: None, overlap=timedelta(hours=1), create=True)
    before = len(sandbox.requests)
    with ThreadPoolExecutor(1) as threads:
        with (folder / "rotate.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = threads.submit(run, *program.split())
            time.sleep(1.5)
            assert len(sandbox.requests) == before
        assert done.result(60).returncode == 0


def test_what_undoing_takes(
    api: stcloud.TokensApiControllerApi, sandbox: Sandbox, run: Run, folder: Path
) -> None:
    """undo.py publishes the newest of the older tokens that readers had, with the same rights."""
    (folder / "targets.py").write_text(TARGETS, encoding="utf-8")
    (folder / "unsealed").touch()
    off = "shipper [off, delete after 2099-01-01T00:00:00Z]"
    for name, rights in (
        (off, {}),  # 1001
        (off, {}),  # 1002, which is taken
        (off, {"writeable": False}),
        ("shipper [new]", {}),
        ("shipper [next]", {}),
        ("shipper-eu", {}),
        ("shipper [eu]", {}),
        ("shipper, undone", {}),
        ("shipper", {}),  # 1009, which is taken back
    ):
        body = {"name": name, "readable": True, "writeable": True, **rights}
        api.create_app_token(body, sandbox.app_id)
    newer = run("undo.py", "shipper", "1004")
    assert (newer.returncode, newer.stdout) == (2, "")
    assert newer.stderr.endswith("token 1005 is newer: only the newest can be taken back\n")
    for _ in range(2):  # a repetition takes nothing else
        assert published(run("undo.py", "shipper", "1009")) == ["shipper 1002"]


def test_removing(
    api: stcloud.TokensApiControllerApi, sandbox: Sandbox, run: Run, folder: Path
) -> None:
    """remove.py disables tokens, or deletes disabled ones; if one is wrong, it changes nothing."""
    (folder / "targets.py").write_text(TARGETS, encoding="utf-8")
    for name in ("shipper [eu]", "shipper", "billing [next]", None):
        api.create_app_token({"name": name} if name else {}, sandbox.app_id)
    before = sandbox.tokens()
    for arguments, message in (
        (["1002"], "token 1002 is 'shipper', which is in NAMES"),
        (["1003"], "token 1003 is 'billing [next]', which is in NAMES"),
        (["1004", "1009"], "the app has no token 1009"),
        (["--delete", "1001"], "token 1001 is enabled: disable it first"),
        ([], "the following arguments are required: ids"),
    ):
        refused = run("remove.py", *arguments)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.endswith(f"error: {message}\n")
    assert sandbox.tokens() == before
    for _ in range(2):  # a repetition deletes nothing
        assert run("remove.py", "1001", "1004").stdout == "1001 disabled\n1004 disabled\n"
        assert [token["enabled"] for token in sandbox.tokens()] == [False, True, True, False]
    assert run("remove.py", "--delete", "1001", "1001").stdout == "1001 deleted\n"
    assert [token["id"] for token in sandbox.tokens()] == [1002, 1003, 1004]


def made_before(age: timedelta) -> datetime:
    return datetime.now(UTC) - age


def test_alerting(api: stcloud.TokensApiControllerApi, sandbox: Sandbox, run: Run) -> None:
    """check_rotations.py: no token, all is well, a publication failed for long, one is overdue."""

    def check() -> tuple[int, str]:
        done = run("check_rotations.py")
        assert not done.stderr
        return done.returncode, done.stdout

    assert check() == (1, "shipper: no token\nbilling: no token\n")
    manager = stcloud.TokenManager(api, sandbox.app_id)
    with pytest.raises(ZeroDivisionError):
        manager.rotate("shipper", lambda _: 1 / 0, create=True)
    assert check() == (1, "shipper: no token\nbilling: no token\n")
    sandbox.reset()
    sandbox.clock = partial(made_before, timedelta(hours=2))
    with pytest.raises(ZeroDivisionError):
        manager.rotate("shipper", lambda _: 1 / 0, create=True)
    api.create_app_token({"name": "billing [off, delete after 2099-01-01T00:00:00Z]"}, 789)
    shipper, overdue, billing, warning = check()[1].splitlines()
    assert (shipper, billing) == ("shipper: no token", "billing: no token")
    assert overdue.startswith("shipper: overdue: publish 1001 at ")
    assert warning.startswith("billing: no token is named 'billing', though its marks are on 1002")
    sandbox.reset()
    sandbox.clock = lambda: datetime.now(UTC)
    manager.ensure("billing")
    manager.ensure("shipper")
    assert check() == (0, "")
    for hours, code in ((0, 0), (2, 1)):
        sandbox.clock = partial(made_before, timedelta(hours=hours))
        with pytest.raises(ZeroDivisionError):
            manager.rotate("shipper", lambda _: 1 / 0)
        code_found, text = check()
        assert (code_found, "publish" in text, "billing" in text) == (code, bool(code), False)
        api.delete_app_token1(sandbox.app_id, sandbox.tokens()[-1]["id"])
    earlier = stcloud.TokenManager(
        api, sandbox.app_id, clock=partial(made_before, timedelta(hours=3))
    )
    earlier.rotate("shipper", lambda _: None, overlap=timedelta(hours=1))
    assert check()[1].startswith("shipper: overdue: disable 1002 at ")  # finish_rotations is due
    manager.finish_rotations()
    assert check() == (0, "")
    api.create_app_token({"name": "shipper"}, sandbox.app_id)
    assert "has the name 'shipper', too" in check()[1]
    manager.rotate("shipper", lambda _: None)
    sandbox.clock = partial(made_before, timedelta(days=33))
    manager.rotate("billing", lambda _: None)
    code, text = check()
    assert (code, text.startswith("billing: not rotated since 20")) == (1, True)


TARGETS = """import pathlib
APP_ID, NAMES = 789, ["shipper", "billing"]
def publish(name, token):
    print(name, token.id, flush=True)
    if name == "shipper" and not pathlib.Path("unsealed").exists():
        raise OSError("sealed")
"""


def published(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what the targets above printed."""
    return re.findall(r"^\w+ \d+$", done.stdout, re.MULTILINE)


def named(sandbox: Sandbox) -> list[int]:
    return [token["id"] for token in sandbox.tokens() if token["name"] in ("shipper", "billing")]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("list_tokens.py 789", "no list of tokens: (0) no connection"),
        ("check_rotations.py", "no list of tokens: (0) no connection"),
        ("finish_rotations.py", "not all is done: (0) no connection"),
    ],
)
def test_service_that_is_down_is_one_line(
    sandbox: Sandbox, run: Run, arguments: str, text: str
) -> None:
    """A scheduler mails it to a person."""
    with sandbox.refusing():
        done = run(*arguments.split())
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(text)


def test_new_names(sandbox: Sandbox, run: Run, folder: Path) -> None:
    """rotate_nightly.py makes their tokens; what failed is seen, and done by the next run."""
    (folder / "targets.py").write_text(TARGETS, encoding="utf-8")
    failed = run("rotate_nightly.py")
    assert (failed.returncode, failed.stderr) == (1, "shipper: sealed\n")
    assert published(failed) == ["shipper 1001", "billing 1002"]
    (folder / "unsealed").touch()
    again = run("rotate_nightly.py")
    assert published(again) == ["shipper 1001"]
    assert "done: publish 1001 at " in again.stdout
    assert run("rotate_nightly.py").stdout == ""  # all are young
    with sandbox.refusing():
        down = run("rotate_nightly.py")
    assert (down.returncode, down.stderr.splitlines()[0][:22]) == (1, "no list of tokens: (0)")
    sandbox.fail_next(None, Fault.body(b"{}"))
    empty = run("rotate_nightly.py")
    assert (empty.returncode, empty.stderr[:24]) == (1, "no list of tokens: the s")
    keyless = run("rotate_nightly.py", SEMATEXT_API_KEY="")
    assert (keyless.returncode, keyless.stderr[:34]) == (1, "no list of tokens: there is no API")
    assert named(sandbox) == [1001, 1002]


def test_names_at_once(
    api: stcloud.TokensApiControllerApi, sandbox: Sandbox, run: Run, folder: Path
) -> None:
    """rotate_nightly.py with names replaces their tokens, but makes none for a mistyped one."""
    (folder / "targets.py").write_text(TARGETS, encoding="utf-8")
    (folder / "unsealed").touch()
    run("rotate_nightly.py")
    assert published(run("rotate_nightly.py", "billing")) == ["billing 1003"]
    (folder / "unsealed").unlink()
    assert published(run("rotate_nightly.py", "shipper")) == ["shipper 1004"]
    (folder / "unsealed").touch()
    assert published(run("rotate_nightly.py")) == ["shipper 1004"], "though 1001 is young"
    api.create_app_token({"name": "billing"}, 789)
    assert published(run("rotate_nightly.py")) == ["billing 1006"], "so that 1003 is put away"
    mistyped = run("rotate_nightly.py", "biling", "shipper")
    assert (mistyped.returncode, mistyped.stderr) == (1, "not in NAMES: biling\n")
    assert named(sandbox) == [1004, 1006]


def test_kill_at_each_request_of_a_first_run(sandbox: Sandbox, run: Run, folder: Path) -> None:
    """Whatever was done by then, the next run publishes every name's token."""
    killing = """import os, runpy, signal, sys
import stcloud
sending, left = stcloud.rest.RestClient.request, int(sys.argv.pop())
def request(self, *arguments):
    global left
    response = sending(self, *arguments)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    return response
stcloud.rest.RestClient.request = request
runpy.run_path("rotate_nightly.py", run_name="__main__")
"""
    (folder / "targets.py").write_text(TARGETS, encoding="utf-8")
    (folder / "unsealed").touch()
    for count in range(1, 99):
        sandbox.reset()
        killed = run("-c", killing, str(count))
        again = run("rotate_nightly.py")
        assert (again.returncode, again.stderr) == (0, "")
        held = dict(line.split() for line in published(killed) + published(again))
        assert list(map(str, named(sandbox))) == list(held.values())
        assert list(held) == ["shipper", "billing"]
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL
    assert count > 10


def test_one_rotation_at_a_time(run: Run, folder: Path, sandbox: Sandbox) -> None:
    """While another process has the lock of rotate_nightly.py, nothing is done."""
    with (folder / "rotate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run("rotate_nightly.py")
    assert (done.returncode, done.stderr) == (
        1,
        "rotate.lock is in use: another run, adopt.py or undo.py is active\n",
    )
    assert sandbox.requests == []


def test_metrics(run: Run, httpserver: HTTPServer) -> None:
    """metrics.py counts calls and steps, and pushes them; a gateway that is down fails nothing."""
    httpserver.expect_request("/metrics/job/rotate-tokens").respond_with_data("")
    gateway = f"127.0.0.1:{httpserver.port}"
    program = f"""
import metrics, prometheus_client, stcloud
metrics.count_calls()
with stcloud.ApiClient() as client:
    api = stcloud.TokensApiControllerApi(client)
    observer = lambda event: 1 / 0  # whose failure is logged, and is no step
    stcloud.TokenManager(api, 789, observer=observer).ensure("shipper")
metrics.push({gateway!r})
metrics.push({unused_address()!r})
print(prometheus_client.generate_latest().decode())
"""
    done = run("-c", program)
    lines = done.stdout.splitlines()
    assert 'stcloud_calls_total{operation="create_app_token",status="200"} 1.0' in lines
    assert 'stcloud_call_seconds_count{operation="update_app_token"} 1.0' in lines
    assert 'stcloud_manager_steps_total{outcome="done",step="promote"} 1.0' in lines
    ((pushed, _),) = httpserver.log
    assert b'stcloud_manager_steps_total{outcome="done",step="promote"} 1.0' in pushed.data
    assert "no metrics at 127.0.0.1:" in done.stderr


def test_traces(run: Run) -> None:
    """traced.py makes a span for each call, above those of its attempts."""
    program = """
import stcloud, traced
from opentelemetry import trace
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
URLLib3Instrumentor().instrument()
with stcloud.ApiClient() as client:
    api = traced.traced(stcloud.TokensApiControllerApi(client))
    stcloud.TokenManager(api, 789).ensure("shipper")
spans = exporter.get_finished_spans()
names = {span.context.span_id: span.name for span in spans}
print([(span.name, names[span.parent.span_id]) for span in spans if span.parent])
"""
    assert run("-c", program).stdout.splitlines() == [
        str(
            [
                ("GET", "get_app_tokens1"),
                ("POST", "create_app_token"),
                ("GET", "get_app_tokens1"),
                ("PUT", "update_app_token"),
                ("GET", "get_app_tokens1"),
            ]
        )
    ]


def test_asyncio(api: stcloud.TokensApiControllerApi, sandbox: Sandbox, run: Run) -> None:
    """in_asyncio.py makes a call in each of two ways."""
    api.create_app_token({}, sandbox.app_id)
    assert run("in_asyncio.py", "789").stdout == "1\n1\n"


@pytest.mark.parametrize(
    ("program", "expected"),
    [  # lambda_function.py and tasks.py
        ("import lambda_function as f; print(f.handler({'app_id': 789}, None))", "{'tokens': 0}\n"),
        ("import tasks; print(tasks.finish_rotations.apply(args=[789]).get())", "[]\n"),
    ],
    ids=["lambda_function", "tasks"],
)
def test_module(run: Run, program: str, expected: str) -> None:
    """What a service calls does its work."""
    done = run("-c", program)
    assert (done.stdout, done.returncode) == (expected, 0), done.stderr


@contextmanager
def gunicorn(folder: Path, sandbox: Sandbox, port: int) -> Iterator[None]:
    options = ["--preload", "--workers", "2", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    command = [sys.executable, "-W", "ignore", "-m", "gunicorn", *options, "wsgi"]
    environment = {**plain_environment(), **settings(sandbox), "HOME": str(folder)}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    ) as server:
        try:
            yield
        finally:
            os.killpg(server.pid, signal.SIGKILL)  # the workers, too


def test_gunicorn(sandbox: Sandbox, folder: Path) -> None:
    """wsgi.py serves."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with gunicorn(folder, sandbox, port), urllib3.PoolManager() as http:
        end = time.monotonic() + 30
        while True:
            try:
                response = http.request("GET", f"http://127.0.0.1:{port}/", retries=False)
                break
            except urllib3.exceptions.HTTPError:
                assert time.monotonic() < end
                time.sleep(0.05)
        assert response.data == b"0 tokens\n"


RUN_WITH_TRUSTSTORE = """
import runpy, sys, truststore

def wrap_socket(*args, original=truststore.SSLContext.wrap_socket, **kwargs):
    print("by truststore")
    return original(*args, **kwargs)

truststore.SSLContext.wrap_socket = wrap_socket
sys.argv[:] = ["with_truststore.py", "789"]
runpy.run_path("with_truststore.py")
"""


def test_truststore(authority: trustme.CA, run: Run, folder: Path) -> None:
    """with_truststore.py trusts what the system's OpenSSL does, and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    with Sandbox(ssl_context=context) as secure:
        variables = settings(secure)
        authorities = {"SSL_CERT_FILE": str(folder / "ca.pem")}
        trusted = run("-c", RUN_WITH_TRUSTSTORE, **variables, **authorities)
        unknown = run("-c", RUN_WITH_TRUSTSTORE, **variables)
    assert trusted.stdout == "by truststore\n0\n", trusted.stderr
    assert "no secure connection" in unknown.stderr
