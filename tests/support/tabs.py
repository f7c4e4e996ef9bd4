"""Tabs of a real Chromium that looks at a farm: what a page must never do is collected while it is used."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    WebError,
    expect,
    sync_playwright,
)

from tests.support.polling import until

# Software WebGL, for the 3D viewer; and nothing that Chromium would ask of the internet by itself.
OPTIONS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOCAL = re.compile(r"(https?://127\.0\.0\.1[:/]|blob:|data:)")
PASSWORD = "correct horse battery"
TIMEOUT_SECONDS = 120  # of a render on a busy machine
REFUSED = re.compile(r"the server responded with a status of 4\d\d")  # of a page that a test asks for on purpose


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium without a window."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "Chromium is missing: `make test` installs it"
    expect.set_options(timeout=1000 * TIMEOUT_SECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield browser
        browser.close()


@dataclass
class Tab:
    """A page in a browser profile of its own. `faults` are errors, dialogs, and requests that leave the machine."""

    page: Page
    faults: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, browser: Browser, url: str, **options: Any) -> "Tab":
        context: BrowserContext = browser.new_context(base_url=url, **options)
        context.set_default_timeout(1000 * TIMEOUT_SECONDS)
        tab = cls(context.new_page())
        context.on("console", tab._read)
        context.on("weberror", tab._note)
        context.on("dialog", tab._answer)
        context.on("request", tab._check)
        return tab

    def go(self, path: str) -> Page:
        self.page.goto(path)
        return self.page

    def sign_up(self, email: str) -> "Tab":
        self.go("/portal/sign-up").get_by_label("Email address").fill(email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign up").click()
        self.page.wait_for_url("**/portal/renders")
        return self

    def log_in(self, email: str, password: str = PASSWORD) -> "Tab":
        self.go("/portal/log-in").get_by_label("Email address").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url("**/portal/renders")
        return self

    def drop(self, name: str, content: bytes) -> None:
        """Drop a file on the page Models, as from a folder of the desktop."""
        script = """async ([name, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name));
            document.getElementById("upload").dispatchEvent(new DragEvent("drop", {dataTransfer: transfer}));
        }"""
        self.page.evaluate(script, [name, list(content)])

    def play(self) -> dict[str, Any]:
        """Play the page's video until its time advances; returns its size in pixels and its duration."""
        video = self.page.locator(".player video")
        video.evaluate("video => { video.muted = true; return video.play(); }")
        until(lambda: video.evaluate("video => video.currentTime > 0.2"))
        return dict(video.evaluate("({duration, videoWidth, videoHeight}) => ({duration, videoWidth, videoHeight})"))

    def download(self, button: str) -> tuple[str, Path]:
        """Click a link that downloads; returns the file's name and the file."""
        with self.page.expect_download() as download:
            self.page.get_by_role("link", name=button).click()
        return download.value.suggested_filename, download.value.path()

    def barriers(self, path: str) -> list[str]:
        """What axe-core finds on a page that is serious or critical for people with disabilities.

        In the light and in the dark colours: the page differs in contrasts only.
        """
        self.go(path)
        found = self.barriers_here()
        self.page.emulate_media(color_scheme="dark")
        found += self.barriers_here(runOnly=["color-contrast"])
        self.page.emulate_media(color_scheme="light")
        return found

    def barriers_here(self, **options: Any) -> list[str]:
        """The same of the page as it is now, with options of axe-core."""
        violations = Axe().run(self.page, options={"resultTypes": ["violations"], **options}).response["violations"]
        return [
            f"{found['id']}: {node['html'][:160]}"
            for found in violations
            if found["impact"] in ("serious", "critical")
            for node in found["nodes"]
        ]

    def _read(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not REFUSED.search(message.text):
            self.faults.append(f"console: {message.text}")

    def _note(self, error: WebError) -> None:
        self.faults.append(f"error: {error.error.message}")

    def _answer(self, dialog: Dialog) -> None:
        if dialog.type != "confirm":  # with which a page asks before it deletes
            self.faults.append(f"dialog: {dialog.message}")
        dialog.accept()

    def _check(self, request: Request) -> None:
        if not LOCAL.match(request.url):
            self.faults.append(f"request: {request.url}")
