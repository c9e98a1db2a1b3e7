"""A local server that behaves like Sematext Cloud's app-token API.

It is for trying the SDK without an account and for tests of programs that use it::

    from stcloud.sandbox import Sandbox

    with Sandbox() as sandbox:
        print(sandbox.url, sandbox.api_key, sandbox.app_id)

``python -m stcloud.sandbox`` runs it for a person. Both need the extra ``sandbox``.
"""

from stcloud.sandbox.service import Sandbox

__all__ = ["Sandbox"]
