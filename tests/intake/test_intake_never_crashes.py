"""Any input is accepted or refused with InvalidFormat; no other exception is raised."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from farm.errors import InvalidFormat
from tests.intake.gltf_bytes import BINARY, admitted, glb, gltf, triangle

NAMES = st.sampled_from(["model.glb", "model.gltf"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 8)
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["/etc/passwd", "data:;base64,AAAA", "VEC3", 5126, "2.0", 2**64, 10**400])
)
WORDS = sorted(
    {word for word in json.dumps(triangle()).split('"') if word.isidentifier()} | {"uri", "sparse", "extras"}
)
JSON = st.recursive(
    SCALARS,
    lambda inside: (
        st.lists(inside, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inside, max_size=5)
    ),
    max_leaves=20,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a document with each of its keys or indices."""
    entries = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else [])
    return [(value, key) for key, _ in entries] + [place for _, inner in entries for place in places(inner)]


def survives(content: bytes, name: str) -> None:
    """Accepted, or refused with a message; any other exception fails the test."""
    try:
        result: str = admitted(content, name)
    except InvalidFormat as refusal:
        result = refusal.message
    assert result
    assert result.isprintable()


@given(st.data(), NAMES)
@settings(max_examples=300, deadline=None)
def test_survives_changed_bytes(data: st.DataObject, name: str) -> None:
    content = bytearray(glb(triangle()) if name == "model.glb" else gltf(triangle()))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 40))
        content[at] = data.draw(st.integers(0, 255) | st.sampled_from(b'"[]{},:0e-\\*'))
    survives(bytes(content), name)


@given(st.data(), NAMES)
@settings(max_examples=200, deadline=None)
def test_survives_lost_or_repeated_parts(data: st.DataObject, name: str) -> None:
    content = glb(triangle()) if name == "model.glb" else gltf(triangle())
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(content))] * 2)))
    survives(content[:first] + content[last:], name)
    survives(content[:last] + content[first:], name)


@given(st.data(), st.integers(1, 3))
@settings(max_examples=500, deadline=None)
def test_survives_changed_values(data: st.DataObject, changes: int) -> None:
    document = triangle()
    for _ in range(changes):
        holder, key = data.draw(st.sampled_from(places(document)))
        if data.draw(st.booleans()):
            del holder[key]
        else:
            holder[key] = data.draw(JSON)
        if not places(document):
            break
    survives(glb(document), "model.glb")


@given(st.dictionaries(st.sampled_from(list(triangle())), JSON, max_size=6), st.none() | st.just(BINARY))
@settings(max_examples=300, deadline=None)
def test_survives_arbitrary_json(parts: dict[str, Any], binary: bytes | None) -> None:
    survives(glb({"asset": {"version": "2.0"}} | parts, binary), "model.glb")


@given(st.binary(max_size=200), st.sampled_from([b"", b"glTF", b'{"asset":']), st.text(max_size=20) | NAMES)
@settings(max_examples=200, deadline=None)
def test_survives_arbitrary_bytes(content: bytes, start: bytes, name: str) -> None:
    survives(start + content, name)
