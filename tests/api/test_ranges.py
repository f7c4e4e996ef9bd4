"""The Range header according to RFC 9110."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.assets.ranges import Part, parse
from farm.errors import RangeNotSatisfiable

SIZE = 1000


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", Part(0, 1)),
        ("bytes=0-499", Part(0, 500)),
        ("bytes=500-", Part(500, 500)),
        ("bytes=-200", Part(800, 200)),
        ("bytes=-5000", Part(0, 1000)),
        ("bytes=900-5000", Part(900, 100)),
        ("bytes=999-999", Part(999, 1)),
        ("Bytes= 1-2 ", Part(1, 2)),
        ("bytes=0-99999999999999999999", Part(0, 1000)),
    ],
)
def test_clips_a_range_to_the_file(header: str, part: Part) -> None:
    assert parse(header, SIZE) == part


@pytest.mark.parametrize(
    "header",
    [
        *[None, "", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "items=0-5", "bytes=0-1,5-6", "bytes=--5"],
        *["bytes=\u0661-\u0662", "bytes=0x1-2", "bytes=" + "9" * 5000 + "-"],
    ],
)
def test_ignores_malformed_and_multiple_ranges(header: str | None) -> None:
    assert parse(header, SIZE) is None


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=99999999999999999999-"])
def test_refuses_a_range_outside_the_file(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse(header, SIZE)


def test_refuses_every_range_of_an_empty_file() -> None:
    for header in ("bytes=0-0", "bytes=0-", "bytes=-1"):
        with pytest.raises(RangeNotSatisfiable):
            parse(header, 0)


@given(st.text(alphabet="bytes=0123456789-, "), st.integers(0, 50))
def test_never_returns_a_part_outside_the_file(text: str, size: int) -> None:
    try:
        part = parse("bytes=" + text, size)
    except RangeNotSatisfiable:
        return
    assert part is None or (part.start >= 0 and part.length >= 1 and part.start + part.length <= size)
