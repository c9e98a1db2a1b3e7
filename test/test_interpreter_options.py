"""The client under the options that Python may be started with."""

import subprocess
import sys

import pytest

PROGRAM = """
from datetime import timedelta

import stcloud
from stcloud.sandbox import Sandbox

with Sandbox() as sandbox:
    configuration = stcloud.Configuration(host=sandbox.url, api_key=sandbox.api_key)
    with stcloud.ApiClient(configuration) as client:
        api = stcloud.TokensApiControllerApi(client)
        token = api.create_app_token({"name": "a"}, sandbox.app_id).data.token
        api.update_app_token({"enabled": False}, sandbox.app_id, token.id)
        api.regenerate_app_token1(sandbox.app_id, token.id)
        (listed,) = api.get_app_tokens1(sandbox.app_id).data.tokens
        later = api.get_app_tokens1(sandbox.app_id, async_req=True)
        if listed.token == token.token or later.get(30).data.tokens != [listed]:
            raise SystemExit("the token was not changed as asked")
        try:
            api.create_app_token({"name": 5}, sandbox.app_id)
        except TypeError:
            pass
        else:
            raise SystemExit("a bad field was accepted")
        api.delete_app_token1(sandbox.app_id, token.id)
        try:
            api.delete_app_token1(sandbox.app_id, token.id)
        except stcloud.NotFoundException as error:
            print(error)
        manager = stcloud.TokenManager(api, sandbox.app_id)
        manager.ensure("b")
        manager.rotate("b", lambda token: None, overlap=timedelta(0))
        help(stcloud.TokensApiControllerApi)
        print("all is well")
"""
OPTIONS = ["-Werror", "-Xdev", "-O", "-OO", "-I", "-bb"]


@pytest.mark.parametrize("option", OPTIONS)
def test_client_works_under(option: str) -> None:
    """A program does all that the client can do; it warns of nothing, and leaves nothing open."""
    command = [sys.executable, option, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("all is well\n")
