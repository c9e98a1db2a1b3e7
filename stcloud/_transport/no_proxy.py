"""Which hosts need no proxy: ``NO_PROXY`` as curl, Go and requests read it."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address, ip_network


def is_bypassed(host: str, port: int | None, no_proxy: str) -> bool:
    """Return whether a list of hosts names this one.

    Its entries stand between commas or spaces: ``*``, a domain (with its subdomains; a leading
    dot or ``*.`` means the same), an address, a network as in ``10.0.0.0/8``. A port after an
    entry limits it to that port.
    """
    return any(_names(entry, host.lower(), port) for entry in no_proxy.replace(",", " ").split())


def _names(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    with suppress(ValueError):
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    name, _, wanted = entry.lower().rpartition(":")
    if name and wanted.isdigit():
        return int(wanted) == port and _names(name, host, port)
    with suppress(ValueError):
        return ip_address(host) == ip_address(entry.strip("[]"))
    domain = entry.lower().removeprefix("*").strip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))
