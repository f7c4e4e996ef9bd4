"""Markdown to HTML: headings with ids, links and pictures by URLs of the farm, highlighted code, no inline style."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

OTHER_HOST = re.compile(r"[a-z]+:")
TABLE_OPEN = '<div class="scroll" role="group" aria-label="Table" tabindex="0"><table>\n'
TABLE_CLOSE = "</table></div>\n"

Resolve = Callable[[str], str | None]  # a relative path to its URL; None if it has none


@dataclass(frozen=True)
class Heading:
    """A heading of a page, with the fragment that leads to it."""

    level: int
    fragment: str
    text: str


@dataclass(frozen=True)
class Document:
    """A page in HTML. Its first heading is its title."""

    html: str
    headings: list[Heading]

    @property
    def title(self) -> str:
        return self.headings[0].text


def render(text: str, link: Resolve, picture: Resolve) -> Document:
    """A Markdown page. A link that `link` does not resolve becomes plain text, a picture its description."""
    tokens = _MARKDOWN.parse(text)
    headings: list[Heading] = []
    for token in tokens:
        if token.type == "inline":
            token.children = _resolved(token.children or [], link, picture)
    for number, token in enumerate(tokens):
        if token.type in ("th_open", "td_open") and "right" in str(token.attrs.pop("style", "")):
            token.attrSet("class", "end")
        if token.type == "paragraph_open" and _has_only_pictures(tokens[number + 1]):
            token.attrSet("class", "pictures")
        if token.type == "heading_open":
            heading = _heading(token, tokens[number + 1], headings)
            token.attrSet("id", heading.fragment)
            headings.append(heading)
    return Document(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}), headings)


def _heading(token: Token, content: Token, earlier: Sequence[Heading]) -> Heading:
    """A heading with the fragment that GitHub gives it."""
    text = "".join(part.content for part in content.children or [])
    fragment = re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-")
    repeated = sum(1 for heading in earlier if re.sub(r"-\d+$", "", heading.fragment) == fragment)
    return Heading(int(token.tag[1:]), f"{fragment}-{repeated}" if repeated else fragment, text)


def _has_only_pictures(content: Token) -> bool:
    return all(part.type in ("image", "softbreak") for part in content.children or [])


def _resolved(parts: Sequence[Token], link: Resolve, picture: Resolve) -> list[Token]:
    """The parts of a text with URLs of the farm, without the links and pictures that have none."""
    found: list[Token] = []
    is_dropped = False
    for part in parts:
        if part.type == "link_open":
            url = _url(str(part.attrs["href"]), link)
            is_dropped = url is None
            part.attrSet("href", url or "")
        if part.type == "image":
            url = picture(str(part.attrs["src"]))
            part.attrSet("src", url or "")
            part.attrSet("decoding", "async")
            found += [part] if url else part.children or []
        elif not (part.type in ("link_open", "link_close") and is_dropped):
            found.append(part)
    return found


def _url(target: str, link: Resolve) -> str | None:
    if OTHER_HOST.match(target) or target.startswith("#"):
        return target
    path, hash_, fragment = target.partition("#")
    url = link(path)
    return url and url + hash_ + fragment


def _code_block(code: str, language: str, _attributes: str) -> str:
    text = highlight(code, get_lexer_by_name(language), _FORMATTER) if language else escape(code)
    return f'<pre tabindex="0"><code>{text}</code></pre>'


def _table_open(*_: object) -> str:
    return TABLE_OPEN


def _table_close(*_: object) -> str:
    return TABLE_CLOSE


_FORMATTER = HtmlFormatter(nowrap=True)
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "highlight": _code_block}).enable("table")
_MARKDOWN.add_render_rule("table_open", _table_open)
_MARKDOWN.add_render_rule("table_close", _table_close)
