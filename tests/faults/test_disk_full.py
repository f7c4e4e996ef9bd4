"""What happens when no file may grow, as on a full disk, and when there is room again."""

import contextlib
import resource
import time
from typing import Any

import httpx
import psutil
import pytest

from tests.api.helpers import assert_error
from tests.e2e.conftest import ASSETS, Farm, until
from tests.faults.conftest import FRAGILE
from tests.faults.victims import caught, order

pytestmark = pytest.mark.slow


class TestFilesMayNotGrow:
    def test_for_longer_than_a_lease_holds_renders_up_and_loses_none(self, fragile: Farm) -> None:
        """The database and the log are files, too: not even a failure can be written down."""
        render = order(fragile)
        with caught(fragile):
            limit_files(fragile, 0)
        try:
            assert_error(send(fragile), "unavailable", 503)
            time.sleep(float(FRAGILE["FARM_LEASE_SECONDS"]) + 1)
        finally:
            limit_files(fragile, resource.RLIM_INFINITY)
        assert_done_or_no_room(fragile.wait(render))


def limit_files(farm: Farm, size: int) -> None:
    """No process of the farm but Redis may make a file longer than `size` bytes from now on."""

    def limited() -> bool:
        family = [psutil.Process(farm.process.pid), *farm.family()]
        before = []
        for process in family:
            with contextlib.suppress(psutil.Error):
                if "redis" not in process.name():
                    before.append(process.rlimit(psutil.RLIMIT_FSIZE)[0])
                    process.rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        return set(before) == {size}

    until(limited, bool)  # again and again, as one that was just born may have the old limit


def send(farm: Farm) -> httpx.Response:
    """An upload of a model that the farm does not have."""
    with (ASSETS / "product.glb").open("rb") as file:
        return farm.client.post("/v1/models", files={"file": ("product.glb", file)})


def assert_done_or_no_room(render: dict[str, Any]) -> None:
    assert render["status"] == "done" or "full" in render["errorMessage"], render["errorMessage"]
