"""The farm fetches from public addresses only."""

from ipaddress import ip_address

import pytest

from farm.errors import InvalidUrl
from farm.intake.addresses import check_public

PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
NOT_PUBLIC = [
    *("0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1", "192.0.0.8"),
    *("192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1"),
    *("240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *(
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
    ),
    *(
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
    ),
    *("fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"),
]


LOOPBACK = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]


@pytest.mark.parametrize("address", PUBLIC)
def test_accepts_public_addresses(address: str) -> None:
    assert check_public(address, allow_loopback=False) == ip_address(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_refuses_all_other_addresses(address: str) -> None:
    with pytest.raises(InvalidUrl):
        check_public(address, allow_loopback=False)


@pytest.mark.parametrize("address", LOOPBACK)
def test_accepts_loopback_if_it_is_allowed(address: str) -> None:
    assert address in NOT_PUBLIC
    assert check_public(address, allow_loopback=True) == ip_address(address)


@pytest.mark.parametrize("address", [address for address in NOT_PUBLIC if address not in LOOPBACK])
def test_refuses_all_others_if_loopback_is_allowed(address: str) -> None:
    with pytest.raises(InvalidUrl):
        check_public(address, allow_loopback=True)
