"""Takes docs/pictures/screenshots: all pages, light and dark, on a desktop and on a phone.

Run by `make screenshots`, on a farm that it starts and fills with renders of the sample product (a few minutes).
"""

import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from docs.make_gallery import MODEL
from tests.support.farms import Farm, farm_up
from tests.support.tabs import Tab, chromium

FOLDER = Path(__file__).parent / "pictures" / "screenshots"
ORDERS: list[dict[str, Any]] = [
    {"effect": "turntable", "scene": "pedestal", "length": 3},
    {"effect": "hero-spin", "aspect": "1:1", "scene": "dark", "length": 3},
    {"effect": "showcase", "scene": "daylight", "length": 3},
    {"effect": "zoom-orbit", "bgColor": "#d8cfc4", "length": 3},
    {"effect": "reveal", "aspect": "1:1", "length": 3},
    {"effect": "turntable", "output": "dataset", "datasetQuality": "100x800"},
]
SIZES = {"desktop": {"width": 1360, "height": 860}, "phone": {"width": 390, "height": 844}}
SETTINGS: dict[str, Any] = {"FARM_SCALE": "1", "FARM_FPS": "4", "FARM_SAMPLES": "8", "FARM_ENGINE": "cycles"}
ADMIN = "admin@localhost"
QUALITY = 88  # of JPEG
SETTLE_MS = 2500  # pictures are decoded, and the 3D model appears


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        chromium() as browser,
        farm_up(Path(folder), key="none", **SETTINGS) as farm,
    ):
        pages = fill(farm)
        for device in SIZES:
            for scheme in ("light", "dark"):
                take(farm, browser, pages, device, scheme)


def fill(farm: Farm) -> dict[str, str]:
    """Order renders and wait for them, but for the last; returns the paths of the pages by their names."""
    farm.client.headers["Authorization"] = f"Bearer {(farm.data / 'admin-key').read_text().strip()}"
    model = farm.upload(MODEL.name, '{"length": 3}')
    farm.client.patch(f"/v1/models/{model['modelId']}", json={"title": "Radio", "sku": "RD-1", "tags": ["audio"]})
    *orders, waiting = [farm.order(model["modelId"], **order) for order in ORDERS]
    for order in [model["renderId"], *orders]:
        farm.wait_until_done(order)
    return {
        "renders": "/portal/renders",
        "render": f"/portal/renders/{orders[0]}",
        "waiting": f"/portal/renders/{waiting}",
        "models": "/portal/models",
        "model": f"/portal/models/{model['modelId']}",
        "order": f"/portal/renders/new?model={model['modelId']}",
        "overlays": "/portal/overlays",
        "keys": "/portal/keys",
        "account": "/portal/account",
        "nodes": "/operator/nodes",
        "work": "/operator/work",
        "timeline": f"/operator/renders/{orders[0]}",
        "charts": "/operator/charts",
        "accounts": "/operator/accounts",
        "templates": "/operator/templates",
        "guides": "/guides",
        "reference": "/docs",
    }


def take(farm: Farm, browser: Browser, pages: dict[str, str], device: str, scheme: str) -> None:
    """One picture of each page."""
    tab = Tab.open(browser, str(farm.client.base_url), viewport=SIZES[device], color_scheme=scheme)
    for name, path in {"log-in": "/portal/log-in", **pages}.items():
        if name == "renders":
            tab.log_in(ADMIN, (farm.data / "admin-password").read_text().strip())
        tab.go(path).wait_for_timeout(SETTLE_MS)
        tab.page.screenshot(path=FOLDER / f"{name}-{scheme}-{device}.jpg", quality=QUALITY)
    tab.page.context.close()
    assert tab.faults == []


if __name__ == "__main__":
    main()
