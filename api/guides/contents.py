"""Which Markdown files are guides, in which order and under which names, and which pictures they may show."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import docs

DOCS = Path(docs.__file__).parent
ROOT = DOCS.parent
PICTURE_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml"}
PICTURE_FOLDERS = ("pictures", "gallery")
DIGEST_LENGTH = 12


@dataclass(frozen=True)
class Guide:
    """A page under /guides. `source` is its Markdown file, from the root of the source tree."""

    name: str
    source: str
    title: str
    summary: str

    @property
    def url(self) -> str:
        return f"/guides/{self.name}"

    @property
    def file(self) -> Path:
        return ROOT / self.source


GROUPS = {
    "For clients": (
        Guide("portal", "docs/portal.md", "The portal", "Upload, order and download in the browser."),
        Guide("client", "docs/client.md", "The API", "From a key to a video in three calls, and every setting."),
        Guide("datasets", "docs/datasets.md", "Datasets", "Training sets for NeRF and Gaussian splatting."),
        Guide("python", "clients/python/README.md", "Python client", "The API in typed Python."),
        Guide("gallery", "docs/gallery/README.md", "Gallery", "Every effect and every scene, in every aspect."),
    ),
    "For artists": (
        Guide("artists", "docs/artists.md", "Scenes", "Change a scene's light or set, or make your own."),
        Guide("camera-paths", "docs/camera-paths.md", "Camera paths", "How each effect moves the camera."),
        Guide("templates", "blender_scenes/README.md", "Scene templates", "What a .blend must have to be a scene."),
    ),
    "For operators": (
        Guide("install", "docs/install.md", "Install", "One machine, several, GPUs, containers, PostgreSQL and S3."),
        Guide("operate", "docs/operate.md", "Operate", "Nodes, upgrades, backups, accounts, logs and metrics."),
        Guide("operator", "docs/operator.md", "The dashboard", "Nodes, work, accounts and history as pages."),
        Guide("settings", "docs/settings.md", "Settings", "Every FARM_ variable with its default."),
        Guide("troubleshoot", "docs/troubleshoot.md", "Troubleshoot", "From a symptom to its cause and its mend."),
        Guide("security", "docs/security.md", "Security", "What the farm keeps apart, and what it relies on."),
        Guide("performance", "docs/performance.md", "Performance", "How long renders take, and why."),
    ),
    "How it works": (
        Guide("architecture", "docs/architecture.md", "Architecture", "How a request becomes a video."),
        Guide("decisions", "docs/decisions/README.md", "Decisions", "Choices, each with its reasons."),
        Guide("glossary", "docs/glossary.md", "Glossary", "The words of these pages."),
    ),
}  # fmt: skip


@cache
def groups() -> dict[str, list[Guide]]:
    """The guides of the navigation, by the title of their group. An installation may lack some files."""
    return {title: [guide for guide in group if guide.file.is_file()] for title, group in GROUPS.items()}


@cache
def guides() -> dict[str, Guide]:
    """All guides by their names: those of the navigation, then the single decisions."""
    listed = [guide for group in groups().values() for guide in group]
    files = sorted(file for file in (DOCS / "decisions").glob("*.md") if file.name != "README.md")
    decisions = (Guide(f"decisions/{file.stem}", f"docs/decisions/{file.name}", "", "") for file in files)
    return {guide.name: guide for guide in (*listed, *decisions)}


@cache
def pictures() -> dict[str, Path]:
    """The files of all pictures, by their paths in URLs. These have a digest of the content, so none ever changes."""
    files = (file for folder in PICTURE_FOLDERS for file in sorted((DOCS / folder).rglob("*")))
    return {f"{_digest(file)}/{file.name}": file for file in files if file.suffix in PICTURE_TYPES}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:DIGEST_LENGTH]


def picture_url(source: Path) -> str | None:
    """The URL of a picture's file; None if it is not served."""
    return _picture_urls().get(source)


@cache
def _picture_urls() -> dict[Path, str]:
    return {file: f"/guides/pictures/{name}" for name, file in pictures().items()}


def guide_url(source: Path) -> str | None:
    """The URL of a Markdown file; None if it is not served."""
    return _guide_urls().get(source)


@cache
def _guide_urls() -> dict[Path, str]:
    return {guide.file: guide.url for guide in guides().values()}
