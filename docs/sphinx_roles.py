"""Makes the reStructuredText in docstrings, which editors show, Markdown for the site."""

import re
from typing import Any

import griffe

_ROLE = re.compile(r":[a-z]+:`(~?)([\w.]+)`")
_LITERAL_BLOCK = re.compile(r"(\w:|^:):$", re.MULTILINE)
_TABLE = re.compile(r"^(=+ +=[= ]*\n.+\n=+ +=[= ]*)$", re.MULTILINE | re.DOTALL)


class SphinxRoles(griffe.Extension):
    """Turns roles into cross-references, which fail the build if they lead nowhere."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object, if it has one."""
        if obj.docstring is not None:
            text = _ROLE.sub(_link, obj.docstring.value)
            text = _LITERAL_BLOCK.sub(lambda colons: colons[1].lstrip(":"), text)
            obj.docstring.value = _TABLE.sub(r"```text\n\1\n```", text)


def _link(role: re.Match[str]) -> str:
    short, name = role.groups()
    return f"[`{name.rpartition('.')[2] if short else name}`][{name}]"
