"""All settings of the farm. Each is an environment variable FARM_<NAME>."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, DirectoryPath, Field, SecretStr
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

HTTP_URL = re.compile(r"https?://\S+")
ORIGIN = re.compile(r"\*|https?://[^/\s]+")
MAX_DAYS = 36_500


def _from_json(value: Any) -> Any:
    """The list in an environment variable."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise PydanticCustomError("json_list", 'must be a JSON list, such as ["a", "b"] or [80, 443]') from None


def _origin(value: Any) -> Any:
    if not isinstance(value, str) or not ORIGIN.fullmatch(value):
        raise PydanticCustomError("origin", "must be an origin such as https://shop.example, without a path, or *")
    return value


def _http_url(value: Any) -> Any:
    if not isinstance(value, str) or not HTTP_URL.fullmatch(value):
        raise PydanticCustomError("http_url", "must be a URL such as https://s3.example.com")
    return value


HttpUrl = Annotated[str, BeforeValidator(_http_url)]
JsonList = (NoDecode, BeforeValidator(_from_json))


class ModelLimits(BaseModel):
    """What an uploaded model may demand of Blender. A use is a node with a mesh, or one of its instances."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    max_nodes: int = Field(50_000, gt=0, description="Maximum nodes of a model")
    max_node_depth: int = Field(200, gt=0, description="Maximum levels of a model's tree of nodes")
    max_scenes: int = Field(20, gt=0, description="Maximum scenes of a model")
    max_meshes: int = Field(20_000, gt=0, description="Maximum meshes of a model")
    max_primitives: int = Field(20_000, gt=0, description="Maximum mesh primitives of a model")
    max_instances: int = Field(50_000, gt=0, description="Maximum instances of a model (EXT_mesh_gpu_instancing)")
    max_materials: int = Field(2_000, gt=0, description="Maximum materials of a model")
    max_joints: int = Field(20_000, gt=0, description="Maximum joints of a model, those of a skin for each of its uses")
    max_clips: int = Field(1_000, gt=0, description="Maximum animation clips of a model")
    max_keyframes: int = Field(5_000_000, gt=0, description="Maximum keyframes of a model, of all channels together")
    max_vertices: int = Field(20_000_000, gt=0, description="Maximum vertices of a model, those of a mesh for each use")
    max_triangles: int = Field(
        10_000_000, gt=0, description="Maximum triangles of a model, those of a mesh for each use"
    )
    max_morph_vertices: int = Field(
        50_000_000, gt=0, description="Maximum morph targets times vertices of a model, those of a mesh for each use"
    )
    max_decoded_bytes: int = Field(
        2 * 1024**3,
        gt=0,
        description="Maximum bytes of a model's geometry once it is decoded, those of a mesh for each use",
    )
    max_pictures: int = Field(1_000, gt=0, description="Maximum pictures of a model")
    max_picture_pixels: int = Field(16384**2, gt=0, description="Maximum pixels of one picture of a model")
    max_texture_pixels: int = Field(2 * 16384**2, gt=0, description="Maximum pixels of a model's pictures together")


DEFAULT_LIMITS = ModelLimits()


class Settings(BaseSettings, ModelLimits):
    """Read from the environment once per process; the CLI options --data, --host and --port override it."""

    model_config = SettingsConfigDict(env_prefix="FARM_", extra="ignore", frozen=True)

    data: Path = Field(Path("data"), description="Folder of the database and of the stored files")
    scratch: Path = Field(Path("/dev/shm"), description="Folder for temporary frames; a memory-backed one is fastest")
    database_url: str | None = Field(None, description="SQLAlchemy URL; default: SQLite in the data folder")
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis; `farm up` starts its own and sets this")

    s3_bucket: str | None = Field(None, description="S3 bucket for stored files; default: a folder in the data folder")
    s3_endpoint: HttpUrl | None = Field(None, description="URL of the S3 service; default: Amazon's")
    s3_region: str | None = Field(None, description="Region of the S3 service; default: as boto3 finds it")
    s3_access_key: str | None = Field(None, description="Access key for S3; default: as boto3 finds it")
    s3_secret_key: SecretStr | None = Field(None, description="Secret key for S3; default: as boto3 finds it")
    s3_public_endpoint: HttpUrl | None = Field(
        None,
        description="Public URL of S3, to which downloads are redirected; default: the API sends the files",
    )
    s3_timeout: float = Field(10.0, gt=0, description="Seconds without data from S3 after which a request is retried")
    s3_cache_bytes: int = Field(
        10 * 1024**3, ge=0, description="Maximum bytes of cached copies of stored files in a worker's data folder"
    )

    host: str = Field("127.0.0.1", description="Address that the API listens on")
    port: int = Field(8000, ge=0, le=65535, description="Port that the API listens on")
    max_requests: int = Field(500, ge=1, description="Requests that the API serves at a time; further ones get 503")
    head_timeout: float = Field(10.0, gt=0, description="Seconds within which the head of a request must arrive")
    body_timeout: float = Field(
        20.0,
        gt=0,
        description="Seconds that the API waits for a request's body, plus 1 for each FARM_CLIENT_RATE bytes of it",
    )
    client_rate: int = Field(
        4096, ge=1, description="Bytes per second at which a client must send bodies and read responses"
    )
    cors_origins: Annotated[tuple[Annotated[str, BeforeValidator(_origin)], ...], *JsonList] = Field(
        (),
        description='Origins of web pages that may call the API, written as `["https://shop.example"]`; `["*"]`: all',
    )
    max_upload_bytes: int = Field(100 * 1024 * 1024, gt=0, description="Largest model file accepted, in bytes")
    upload_limit: int = Field(500, ge=0, description="Maximum number of new models of an account in 24 hours")
    key_writes_per_minute: int = Field(
        600, ge=1, description="Maximum number of POST, PATCH and DELETE requests with one API key in a minute"
    )
    account_writes_per_minute: int = Field(
        1200, ge=1, description="Maximum number of POST, PATCH and DELETE requests of one account in a minute"
    )

    sign_up: Literal["open", "invite", "closed"] = Field(
        "closed",
        description="Who may sign up in the portal. open: every visitor, with 10 credits; invite: with a link from "
        "`farm accounts invite`; closed: only `farm accounts create` makes accounts",
    )

    quota_bytes: int = Field(
        100 * 1024**3, ge=0, description="Maximum bytes of an account's stored models, overlays and renders"
    )
    quota_models: int = Field(10_000, ge=0, description="Maximum number of models of an account")
    quota_overlays: int = Field(1_000, ge=0, description="Maximum number of overlays of an account")
    retention_renders_days: int | None = Field(
        None, ge=0, le=MAX_DAYS, description="Days after which a finished render is removed; default: never"
    )
    retention_failed_models_days: int = Field(
        28, ge=0, le=MAX_DAYS, description="Days after which a model that cannot be rendered is removed"
    )
    retention_deleted_days: int = Field(  # at least as long as the upload limit counts a deleted model
        28, ge=1, le=MAX_DAYS, description="Days after which the row of a deleted model is removed"
    )

    api_url: str = Field("http://127.0.0.1:8000", description="The farm that `farm remote` calls")
    api_key: str | None = Field(None, description="The API key that `farm remote` calls with")

    templates: DirectoryPath | None = Field(
        None, description="Folder of the studio's own scene templates, which take precedence over built-in ones"
    )
    camera_paths: DirectoryPath | None = Field(
        None, description="Folder of the studio's own camera paths, which take precedence over built-in ones"
    )
    ingest_ports: Annotated[tuple[int, ...], *JsonList] = Field(
        (80, 443), description="Ports of the URLs that ingest may fetch from, written as `[80, 443]`"
    )
    ingest_loopback: bool = Field(
        False, description="Let ingest fetch from loopback addresses, at any port; for tests only"
    )

    engine: Literal["auto", "eevee", "cycles", "cycles-optix", "cycles-cuda", "cycles-hip"] = Field(
        "auto", description="auto: the fastest that was measured on this machine's GPU; without one, Cycles on the CPU"
    )
    draw: Literal["auto", "always"] = Field(
        "auto", description="auto: a node without a GPU renders videos only while no node with a GPU claims work"
    )
    blender_bytes: int = Field(
        6 * 1024**3,
        gt=0,
        description="Bytes of memory above which an idle Blender is replaced; one that draws is ended at twice as many",
    )
    sandbox: Literal["auto", "limits"] = Field(
        "auto", description="limits: a weaker sandbox, for a GPU driver that does not work in the strongest one"
    )
    sandbox_required: Literal["limits", "isolation"] = Field(
        "limits", description="Weakest sandbox in which this machine may run Blender (docs/security.md)"
    )
    isolate_tenants: bool = Field(
        False, description="Start a fresh Blender before a model of another account: costs its start, some seconds"
    )
    scale: float = Field(1.0, ge=0.05, le=1.0, description="Multiplies output width and height, kept even")
    fps: int = Field(30, ge=1, le=120, description="Frames per second of every delivered video")
    samples: int | None = Field(None, ge=1, le=4096, description="Overrides the samples per pixel of every tier")
    ffmpeg: Path | None = Field(None, description="An ffmpeg to use instead of the bundled one")

    frame_cache: Path | None = Field(
        None, description="Folder of rendered frames, reused by renders of the same shot; default: in the data folder"
    )
    frame_cache_bytes: int = Field(20 * 1024**3, ge=0, description="Maximum bytes of the frame cache; 0 disables it")
    frame_timeout: float = Field(
        600.0,
        gt=0,
        description="Seconds that one frame may take before Blender is killed, plus 10 for each MB of the model",
    )
    opening_timeout: float = Field(
        120.0,
        gt=0,
        description="Seconds that opening a model may take before Blender is killed, plus 10 for each MB of the model",
    )
    budget_factor: float = Field(
        20.0,
        gt=0,
        description="A chunk's frames may take this many times the seconds measured for their tier, or estimated if"
        " that is more, plus 2 a frame for each MB of the model, over all attempts",
    )
    min_budget: float = Field(120.0, gt=0, description="Seconds that the frames of any chunk may take")
    chunk_seconds: float = Field(
        60.0,
        gt=0,
        description="Target render time of a chunk in seconds; a worker that stops finishes its chunk first",
    )
    lease_seconds: float = Field(
        30.0, gt=0, description="Seconds without a renewal after which a worker loses its chunk"
    )
    attempts: int = Field(3, ge=1, description="Maximum attempts at a chunk before its render ends as an error")
    retry_seconds: float = Field(
        5.0, ge=0, description="Seconds before a chunk is tried again after a failure, doubled with each further one"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Minimum severity of log lines")

    @property
    def database(self) -> str:
        """The database's SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{self.data.absolute() / 'plinth.db'}"

    def make_data_folder(self) -> None:
        """Create the data folder if it is missing: for its owner only, as it holds keys' digests and clients' files."""
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def frames(self) -> Path:
        """The folder of the frame cache."""
        return self.frame_cache or self.data.absolute() / "frames"

    @property
    def files(self) -> Path:
        """The folder of FolderStorage."""
        return self.data.absolute() / "files"

    @property
    def copies(self) -> Path:
        """The folder of S3Storage's cached copies."""
        return self.data.absolute() / "copies"
