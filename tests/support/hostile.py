"""Hostile files: what a stranger with an intent might upload, of many kinds, and seeded mutations of good models.

Each is small and made in a moment; what it asks for is large, forbidden or broken. None may end in more than a refusal
or a failed render. Some are harmless after all, as mutations are.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support import hostile_documents, hostile_pictures, hostile_scans
from tests.support.assets import ASSETS

MUTATIONS = 120
MUTATED = ["product.glb", "walker.glb", "draco.glb", "embedded.gltf", "scan.zip"]


@dataclass(frozen=True)
class HostileFile:
    """A file as it would be uploaded; the description is for people who read a failed test."""

    name: str
    content: bytes
    description: str


def hostile_files() -> Iterator[HostileFile]:
    """More than 300 files, the same ones each time. Each is made when it is asked for."""
    for number, (suffix, content, description) in enumerate(_all()):
        yield HostileFile(f"hostile-{number}.{suffix}", content, description)


def _all() -> Iterator[tuple[str, bytes, str]]:
    yield from hostile_pictures.models()
    yield from hostile_documents.models()
    yield from hostile_scans.scans()
    for number in range(MUTATIONS):
        name = MUTATED[number % len(MUTATED)]
        yield name.rpartition(".")[2], mutated((ASSETS / name).read_bytes(), number), f"mutation {number} of {name}"


def mutated(content: bytes, seed: int) -> bytes:
    """The content with some bytes changed, lost or repeated. Half of the changes are in its first 2000 bytes."""
    draw, changed = random.Random(seed), bytearray(content)
    for _ in range(draw.randint(1, 8)):
        at = draw.randrange(len(changed) if draw.random() < 0.5 else min(2000, len(changed)))
        match draw.randrange(4):
            case 0:
                changed[at] = draw.randrange(256)
            case 1:
                changed[at : at + 4] = draw.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"9999", b"\x7f\xff\xff\xff"])
            case 2:
                del changed[at : at + draw.randint(1, 64)]
            case 3:
                changed[at:at] = changed[at : at + draw.randint(1, 64)]
    return bytes(changed)
