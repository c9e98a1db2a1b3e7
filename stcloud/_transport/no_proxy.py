"""Which hosts need no proxy: ``NO_PROXY`` as curl, Go and requests read it."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


def is_bypassed(host: str, port: int | None, no_proxy: str) -> bool:
    """Return whether a list of hosts names this one.

    Its entries stand between commas or spaces: ``*``, a domain (with its subdomains; a leading
    dot or ``*.`` means the same), an address, a network as in ``10.0.0.0/8``. A port after an
    entry limits it to that port.
    """
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    entries = no_proxy.lower().replace(",", " ").split()
    return any(_names(entry, host.lower(), address, port) for entry in entries)


def _names(
    entry: str, host: str, address: IPv4Address | IPv6Address | None, port: int | None
) -> bool:
    if entry == "*":
        return True
    with suppress(ValueError):  # a network, of one address or of many
        network = ip_network(entry.strip("[]"), strict=False)
        return address is not None and address in network
    name, _, wanted = entry.rpartition(":")
    if name and wanted.isdigit():
        return int(wanted) == port and _names(name, host, address, port)
    domain = entry.removeprefix("*").strip(".")
    is_name = address is None and bool(domain)
    return is_name and (host == domain or host.endswith(f".{domain}"))
