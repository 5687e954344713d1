"""Hosts: which of them are this machine, so that nothing stands between.

Source: RFC 6761, section 6.3 (localhost); RFC 1122, section 3.2.1.3, and RFC 4291, section 2.5.3 (loopback addresses).
"""

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether ``host``, a name or an address without brackets, is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return f".{host}".endswith(".localhost")


def is_on_this_machine(url: str | None) -> bool:
    """Whether what answers at ``url`` runs on this machine; None is somewhere else."""
    return is_loopback(urlsplit(url or "").hostname or "")
