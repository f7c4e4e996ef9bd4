"""No way out of the file: every URI must carry its data itself.

Blender's importer would open whatever a URI names: ../, %2e%2e/, /etc/passwd. So nothing is interpreted here: what is
not exactly `data:`, a plain media type, `;base64,` and base64 is refused, wherever in the document it stands.
"""

import re
from typing import Any

from farm.errors import InvalidFormat
from farm.intake.fields import shown, wrong
from farm.intake.text import Payloads
from farm.intake.words import everything, spelled

# Blender looks for the first `;base64,` and otherwise takes the URI for a path: so both ends are spelled out.
_WORD = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_DATA = re.compile(rf"data:(?:{_WORD}/{_WORD}(?:;{_WORD}={_WORD})?)?;base64,", re.ASCII)


def check_uris(document: dict[str, Any], payloads: Payloads) -> None:
    """Raises InvalidFormat: something called `uri`, in extensions and extras too, is not embedded data."""
    for way, key, value, _ in everything(document):
        if key == "uri":
            embedded_size(value, spelled(way, key), payloads)


def embedded_size(uri: object, place: str, payloads: Payloads) -> int:
    """How many bytes a data: URI holds. Raises InvalidFormat: it is anything else, or broken."""
    if not isinstance(uri, str):
        raise wrong(place, f"must be a data: URI, not {shown(uri)}")
    if not uri.startswith("data:"):
        raise InvalidFormat(
            f"{place} = {shown(uri)} points outside the file: embed the file that it names, or export as GLB"
        )
    head = _DATA.match(uri)
    size = payloads.decoded_size(uri[head.end() :]) if head else None
    if size is None:
        raise wrong(place, f"= {shown(uri)} must read data:<media type>;base64,<base64 data>: export as GLB")
    return size
