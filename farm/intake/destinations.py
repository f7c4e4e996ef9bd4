"""Where downloads may connect to: public addresses at the allowed ports, and no part of the farm itself."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from urllib.parse import urlsplit

import psutil
from sqlalchemy import make_url

from farm.errors import DownloadFailed, InvalidUrl
from farm.intake.addresses import Address, check_public, plain
from farm.settings import Settings

LOOKUP_SECONDS = 5.0
# In threads of their own, as the resolver keeps one for up to 30 s, whatever our deadline: the ten downloads that an
# account may have at a time can keep 60.
MAX_LOOKUPS = 128
_lookups = ThreadPoolExecutor(MAX_LOOKUPS, thread_name_prefix="lookup")


@dataclass(frozen=True)
class Destinations:
    """The allowed ports, and the hosts of the farm, which are refused. `allow_loopback` is for tests."""

    ports: frozenset[int] = frozenset({80, 443})
    own_hosts: frozenset[str] = frozenset()
    allow_loopback: bool = False

    async def addresses(self, host: str, port: int) -> list[Address]:
        """The addresses of `host`, in the order to try. Raises InvalidUrl if any of them is not allowed.

        Raises DownloadFailed if the name cannot be resolved within LOOKUP_SECONDS.
        """
        if port not in self.ports and not self.allow_loopback:
            raise InvalidUrl(f"The URL's port must be one of {', '.join(map(str, sorted(self.ports)))}")
        try:
            found = [check_public(text, allow_loopback=self.allow_loopback) for text in await _look_up(host)]
            own = await self._own_addresses()
        except TimeoutError as error:
            raise DownloadFailed("The look-up of the URL's host name took too long") from error
        except (OSError, UnicodeError) as error:
            raise DownloadFailed("The URL's host name cannot be resolved") from error
        if any(plain(address) in own for address in found):
            raise InvalidUrl("The URL leads to the farm itself")
        return found

    async def _own_addresses(self) -> set[Address]:
        """The addresses of `own_hosts`; a name that does not exist has none. Raises TimeoutError."""
        own: set[Address] = set()
        for result in await asyncio.gather(*map(_look_up, self.own_hosts), return_exceptions=True):
            if isinstance(result, TimeoutError):
                raise result
            if not isinstance(result, BaseException):
                own |= {plain(ip_address(text)) for text in result}
        return {address for address in own if not (self.allow_loopback and address.is_loopback)}


async def _look_up(host: str) -> list[str]:
    """The addresses of a host. Raises OSError, of which TimeoutError is one, or UnicodeError."""
    with suppress(ValueError):
        return [str(ip_address(host))]
    look_up = partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
    found = await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(_lookups, look_up), LOOKUP_SECONDS)
    return [str(entry[4][0]) for entry in found]


def destinations(settings: Settings) -> Destinations:
    """Where this farm may fetch from: its own parts are the hosts in its settings, and this machine."""
    urls = [settings.redis_url, settings.s3_endpoint, settings.s3_public_endpoint, settings.api_url]
    hosts = {settings.host, make_url(settings.database).host, *(urlsplit(url).hostname for url in urls if url)}
    for addresses in psutil.net_if_addrs().values():
        hosts |= {entry.address for entry in addresses if entry.family in (socket.AF_INET, socket.AF_INET6)}
    return Destinations(
        frozenset(settings.ingest_ports), frozenset(host for host in hosts if host), settings.ingest_loopback
    )
