"""Whose address a request comes from, seen through the proxies in front of us.

Each proxy appends the address it was contacted from to ``X-Forwarded-For``, so only what trusted proxies wrote, counted
from the right, is more than the client's own claim.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network


def client_address(peer: str | None, forwarded_for: Iterable[str], trusted: Sequence[IpNetwork]) -> str | None:
    """The rightmost address that is not a trusted proxy's, in canonical form; None if the peer has no address.

    ``forwarded_for`` holds the values of all ``X-Forwarded-For`` headers in order. What is not an address ends the
    walk: the proxy that passed it on is then the best we know.
    """
    nearest = parse_address(peer or "")
    if nearest is None:
        return None
    hops = [hop for value in forwarded_for for hop in value.split(",")]
    while hops and any(nearest in network for network in trusted):
        farther = parse_address(hops.pop())
        if farther is None:
            break
        nearest = farther
    return str(nearest)


def parse_address(text: str) -> IpAddress | None:
    """``203.0.113.7``, ``203.0.113.7:443``, ``2001:db8::1``, ``[2001:db8::1]:443``; None for anything else.

    An IPv4 address in IPv6 clothes (``::ffff:203.0.113.7``) is undressed and a zone (``%eth0``) dropped, so that rules
    about an address match however it was written.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
