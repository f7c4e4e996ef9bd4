# Made of plinth_client/asynchronous/ by clients/make_synchronous.py: change those files.
"""/v1/scenes and /v1/effects: what render settings may name."""

from pathlib import Path

from plinth_client.partial_files import Target
from plinth_client.responses import Effect, Scene, from_json
from plinth_client.synchronous.download import download
from plinth_client.synchronous.transport import Transport


class Scenes:
    """The scenes of the farm. Every call may raise a subclass of PlinthError."""

    def __init__(self, transport: Transport) -> None:
        self._api = transport

    def list(self) -> tuple[Scene, ...]:
        """All scenes: a name is the value of `scene`."""
        return tuple(from_json(Scene, item) for item in self._api.get("scenes"))

    def download_still(self, name: str, target: Target) -> Path:
        """Save a picture of a product in the scene as `target`, a JPEG. Raises NotFound if it has none."""
        return download(self._api, f"scenes/{name}/still", target)


class Effects:
    """The effects of the farm. Every call may raise a subclass of PlinthError."""

    def __init__(self, transport: Transport) -> None:
        self._api = transport

    def list(self) -> tuple[Effect, ...]:
        """All effects: a name is the value of `effect`."""
        return tuple(from_json(Effect, item) for item in self._api.get("effects"))

    def download_still(self, name: str, target: Target) -> Path:
        """Save pictures of moments of the effect in a row as `target`, a JPEG. Raises NotFound if it has none."""
        return download(self._api, f"effects/{name}/still", target)
