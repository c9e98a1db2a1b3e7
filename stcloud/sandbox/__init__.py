"""A local server that behaves like Sematext Cloud's app-token API.

It is for trying the client without an account, and for tests of programs that use it::

    from stcloud.sandbox import Sandbox

    with Sandbox() as sandbox:
        print(sandbox.url, sandbox.api_key, sandbox.app_id)

Faults happen on demand; the worst, a write whose response is lost, is one line::

    sandbox.fail_next("create_app_token", Fault.lost_response())

``python -m stcloud.sandbox`` runs it on the command line. Both need the extra ``sandbox``.
"""

from stcloud.sandbox.faults import Fault

try:
    from stcloud.sandbox.app import ReceivedRequest
    from stcloud.sandbox.service import Sandbox
except ModuleNotFoundError as _error:
    _problem = f"the sandbox needs its extra, pip install '.[sandbox]' in a clone: {_error}"
    raise ModuleNotFoundError(_problem, name=_error.name) from _error

__all__ = ["Fault", "ReceivedRequest", "Sandbox"]
