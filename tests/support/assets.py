"""The folder of sample models. `tests/assets/README.md` lists them."""

from pathlib import Path

ASSETS = Path(__file__).parents[1] / "assets"
