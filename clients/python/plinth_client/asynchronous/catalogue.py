"""/v1/scenes and /v1/effects: what render settings may name."""

from pathlib import Path

from plinth_client.asynchronous.download import download
from plinth_client.asynchronous.transport import AsyncTransport
from plinth_client.partial_files import Target
from plinth_client.responses import Effect, Scene, from_json


class AsyncScenes:
    """The scenes of the farm. Every call may raise a subclass of PlinthError."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._api = transport

    async def list(self) -> tuple[Scene, ...]:
        """All scenes: a name is the value of `scene`."""
        return tuple(from_json(Scene, item) for item in await self._api.get("scenes"))

    async def download_still(self, name: str, target: Target) -> Path:
        """Save a picture of a product in the scene as `target`, a JPEG. Raises NotFound if it has none."""
        return await download(self._api, f"scenes/{name}/still", target)


class AsyncEffects:
    """The effects of the farm. Every call may raise a subclass of PlinthError."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._api = transport

    async def list(self) -> tuple[Effect, ...]:
        """All effects: a name is the value of `effect`."""
        return tuple(from_json(Effect, item) for item in await self._api.get("effects"))

    async def download_still(self, name: str, target: Target) -> Path:
        """Save pictures of moments of the effect in a row as `target`, a JPEG. Raises NotFound if it has none."""
        return await download(self._api, f"effects/{name}/still", target)
