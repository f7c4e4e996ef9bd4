"""The cache of drawn frames: separation, eviction, and damaged or missing data."""

from dataclasses import replace
from pathlib import Path

import pytest

from farm.errors import RenderFailed
from farm.orders import plan
from farm.orders.plan import ShotSpec
from farm.orders.render_settings import parse
from farm.rendering.frame_cache import FrameCache
from farm.settings import Settings
from tests.video.frames import all_dark, frame


def order(**settings: object) -> ShotSpec:
    return plan.shot("a" * 64, parse(settings), Settings())


def store(cache: FrameCache, folder: Path, number: int = 0) -> None:
    cache.store(replace(frame(folder, shadow=all_dark(folder)), number=number))


def cache_of(tmp_path: Path, spec: ShotSpec, budget: int = 10**9) -> FrameCache:
    return FrameCache(tmp_path / "cache", budget, spec, "cycles")


class TestFrameCache:
    def test_is_separate_per_shot_engine_and_template(self, tmp_path: Path) -> None:
        spec = order()
        store(cache_of(tmp_path, spec), tmp_path)
        assert cache_of(tmp_path, spec).holds(0)
        assert not cache_of(tmp_path, replace(spec, rotate_y=1)).holds(0)
        assert not cache_of(tmp_path, replace(spec, template_version="2")).holds(0)
        assert not FrameCache(tmp_path / "cache", 10**9, spec, "eevee").holds(0)

    def test_evicts_the_least_recently_used(self, tmp_path: Path) -> None:
        specs = [order(rotateY=number) for number in range(3)]
        for spec in specs:
            store(cache_of(tmp_path, spec), tmp_path)
        size = sum(file.stat().st_size for file in (tmp_path / "cache").rglob("*") if file.is_file()) // 3
        cache_of(tmp_path, specs[0])  # marks it as used
        cache_of(tmp_path, specs[2], int(2.5 * size)).evict()
        assert [cache_of(tmp_path, spec, 0).holds(0) for spec in specs] == [True, False, True]

    def test_evicts_itself_if_it_exceeds_the_budget(self, tmp_path: Path) -> None:
        cache = cache_of(tmp_path, order(), 10)
        store(cache, tmp_path)
        cache.evict()
        assert not cache.holds(0)

    def test_counts_and_evicts_files_left_by_killed_workers(self, tmp_path: Path) -> None:
        store(cache_of(tmp_path, order(rotateY=1)), tmp_path)
        [folder] = (tmp_path / "cache").iterdir()
        (folder / ".put-half").write_bytes(bytes(1000))
        store(cache_of(tmp_path, order()), tmp_path)
        size = sum(file.stat().st_size for file in (tmp_path / "cache").rglob("*") if file.is_file())
        cache_of(tmp_path, order(), size - 1).evict()
        assert not folder.exists()

    def test_reports_and_removes_a_damaged_frame(self, tmp_path: Path) -> None:
        cache = cache_of(tmp_path, order())
        store(cache, tmp_path)
        [file] = (tmp_path / "cache").rglob("frame-*")
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0xFF
        file.write_bytes(content)
        with pytest.raises(RenderFailed, match="Frame 0"):
            cache.load(0, tmp_path)
        assert not cache.holds(0)

    def test_ignores_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        cache = FrameCache(Path("/dev/null/cache"), 10**9, order(), "cycles")
        store(cache, tmp_path)
        assert not cache.holds(0)

    def test_keeps_a_frame_that_there_is_no_space_to_unpack(self, tmp_path: Path) -> None:
        cache = cache_of(tmp_path, order())
        store(cache, tmp_path)
        full = tmp_path / "full"
        full.mkdir()
        (full / "cached-000000-0").symlink_to("/dev/full")
        with pytest.raises(OSError, match="No space left"):
            cache.load(0, full)
        assert cache.holds(0)
