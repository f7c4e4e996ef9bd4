"""Check of IP addresses against server-side request forgery: only public addresses may be fetched from."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from farm.errors import InvalidUrl

Address = IPv4Address | IPv6Address

# IPv6 addresses with an IPv4 address in their last 32 bits (RFC 6052; ::ffff:0:0/96 is RFC 4291).
IPV4_EMBEDDED = (IPv6Network("64:ff9b::/96"), IPv6Network("::ffff:0:0/96"))
# Addresses that is_global accepts although no web server has them: relays and tunnels, such as 6to4 and Teredo, which
# lead to a hidden IPv4 address. Source: IANA's registries of special-purpose addresses.
NOT_PUBLIC_IPV4 = (
    IPv4Network("168.63.129.16/32"),  # the platform of every virtual machine at Azure
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
    """The address, if it is public. Raises InvalidUrl otherwise.

    `allow_loopback` also accepts loopback addresses; for tests.
    """
    address = plain(ip_address(text))
    if not (_is_public(address) or (allow_loopback and address.is_loopback)):
        raise InvalidUrl("The URL leads to an address that is not public")
    return ip_address(text)


def plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 address contains, or the address itself."""
    if isinstance(address, IPv6Address) and any(address in network for network in IPV4_EMBEDDED):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_IPV4)
    return address in GLOBAL_UNICAST and not any(address in network for network in NOT_PUBLIC_IPV6)
