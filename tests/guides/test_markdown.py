"""Markdown to HTML: nothing of a file becomes a tag, links and pictures have URLs of the farm or none."""

import pytest

from api.guides.markdown import Document, render

URLS = {"other.md": "/guides/other", "a/b.png": "/guides/pictures/b.png"}


def rendered(text: str) -> Document:
    return render(text, link=URLS.get, picture=URLS.get)


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "# <img src=x onerror=alert(1)>", "`<b>`", "```\n<b>\n```"]
)
def test_escapes_html(text: str) -> None:
    html = rendered(text).html
    assert "&lt;" in html
    assert not any(tag in html for tag in ("<script", "<img", "<b>"))


@pytest.mark.parametrize(
    ("target", "html"),
    [
        ("other.md", '<a href="/guides/other">text</a>'),
        ("other.md#part", '<a href="/guides/other#part">text</a>'),
        ("#part", '<a href="#part">text</a>'),
        ("https://example.com/", '<a href="https://example.com/">text</a>'),
        ("../farm/settings.py", "<p>text</p>"),
        ("javascript:alert(1)", "<p>[text](javascript:alert(1))</p>"),
    ],
)
def test_resolves_links(target: str, html: str) -> None:
    assert html in rendered(f"[text]({target})").html


def test_resolves_pictures() -> None:
    html = rendered("![A box](a/b.png)").html
    assert 'src="/guides/pictures/b.png"' in html
    assert 'alt="A box"' in html
    assert '<p class="pictures">' in html


@pytest.mark.parametrize("target", ["a/c.png", "https://example.com/a.png", "//example.com/a.png"])
def test_describes_a_picture_that_is_not_served(target: str) -> None:
    assert rendered(f"![A box]({target})").html == "<p>A box</p>\n"


def test_gives_headings_the_fragments_of_github() -> None:
    document = rendered("# The `farm` program\n## What, why?\n## What, why?\n### What, why?")
    assert document.title == "The farm program"
    fragments = [heading.fragment for heading in document.headings]
    assert fragments == ["the-farm-program", "what-why", "what-why-1", "what-why-2"]
    assert '<h2 id="what-why-1">' in document.html


def test_highlights_code_by_classes() -> None:
    html = rendered('```json\n{"a": 1}\n```').html
    assert '<span class="nt">' in html
    assert "style=" not in html


def test_aligns_cells_by_a_class() -> None:
    html = rendered("| a | b |\n| --- | ---: |\n| 1 | 2 |").html
    assert '<td class="end">2</td>' in html
    assert "style=" not in html
