"""Shows docstrings and settings on the site as users think of them."""

import re
from typing import Any

import griffe

_ROLE = re.compile(r":[a-z]+:`(~?)([\w.]+)`")
_LITERAL_BLOCK = re.compile(r"(\w:|^:):$", re.MULTILINE)
_TABLE = re.compile(r"^(=+ +=[= ]*\n.+\n=+ +=[= ]*)$", re.MULTILINE | re.DOTALL)

_SETTINGS = {"Region", "Setting", "SimpleSetting"}


class Readable(griffe.Extension):
    """Makes reStructuredText Markdown, and descriptors what they are set to."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite a docstring; a role becomes a link, which fails the build if it leads nowhere."""
        if obj.docstring is not None:
            text = _ROLE.sub(_link, obj.docstring.value)
            text = _LITERAL_BLOCK.sub(lambda colons: colons[1].lstrip(":"), text)
            obj.docstring.value = _TABLE.sub(r"```text\n\1\n```", text)

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Show the type that a setting takes, and its default."""
        setting = attr.value
        if not isinstance(setting, griffe.ExprCall) or str(setting.function) not in _SETTINGS:
            return
        if not isinstance(attr.annotation, griffe.ExprSubscript):
            attr.annotation = "str | None"  # Region's
        else:
            accepted = attr.annotation.slice
            is_pair = isinstance(accepted, griffe.ExprTuple)
            attr.annotation = accepted.elements[0] if is_pair else accepted
        for argument in setting.arguments:
            if isinstance(argument, griffe.ExprKeyword) and argument.name == "default":
                attr.value = argument.value


def _link(role: re.Match[str]) -> str:
    short, name = role.groups()
    return f"[`{name.rpartition('.')[2] if short else name}`][{name}]"
