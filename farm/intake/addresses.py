"""Which addresses of a network the farm may fetch from: public ones, and nothing of its own surroundings."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from farm.errors import InvalidUrl

Address = IPv4Address | IPv6Address

# IPv6 addresses that a gateway turns into the IPv4 address in their last 32 bits (RFC 6052; ::ffff:0:0/96 is RFC 4291).
CARRIES_IPV4 = (IPv6Network("64:ff9b::/96"), IPv6Network("::ffff:0:0/96"))
# What is_global lets through though no web server is there: relays and tunnels, among them 6to4 and Teredo, that lead
# to an IPv4 address which the text does not show. Source: IANA's registries of special-purpose addresses.
NOT_PUBLIC_IPV4 = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.31.196.0/24"),
    IPv4Network("192.52.193.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("192.175.48.0/24"),
)
GLOBAL_UNICAST = IPv6Network("2000::/3")
NOT_PUBLIC_IPV6 = (
    IPv6Network("2001::/23"),
    IPv6Network("2002::/16"),
    IPv6Network("2620:4f:8000::/48"),
    IPv6Network("3fff::/20"),
)


def check_public(text: str, *, allow_loopback: bool) -> Address:
    """The address, if the farm may connect to it. Raises InvalidUrl for every one that is not public.

    Loopback passes with `allow_loopback`, which is for tests.
    """
    address = _behind_gateway(ip_address(text))
    if not (_is_public(address) or (allow_loopback and address.is_loopback)):
        raise InvalidUrl("The URL leads to an address that is not public")
    return ip_address(text)


def _behind_gateway(address: Address) -> Address:
    if isinstance(address, IPv6Address) and any(address in network for network in CARRIES_IPV4):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_IPV4)
    return address in GLOBAL_UNICAST and not any(address in network for network in NOT_PUBLIC_IPV6)
