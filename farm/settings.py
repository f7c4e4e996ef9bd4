"""All settings of the farm. Each is an environment variable FARM_<NAME>."""

from pathlib import Path
from typing import Literal

from pydantic import DirectoryPath, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

HTTP_URL = r"^https?://\S+$"
MAX_DAYS = 36_500


class Settings(BaseSettings):
    """Read from the environment once per process; the CLI options --data, --host and --port override it."""

    model_config = SettingsConfigDict(env_prefix="FARM_", extra="ignore", frozen=True)

    data: Path = Field(Path("data"), description="Folder of the database and of the stored files")
    scratch: Path = Field(Path("/dev/shm"), description="Folder for temporary frames; a memory-backed one is fastest")
    database_url: str | None = Field(None, description="SQLAlchemy URL; default: SQLite in the data folder")
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis; `farm up` starts its own and sets this")

    s3_bucket: str | None = Field(None, description="S3 bucket for stored files; default: a folder in the data folder")
    s3_endpoint: str | None = Field(None, pattern=HTTP_URL, description="URL of the S3 service; default: Amazon's")
    s3_region: str | None = Field(None, description="Region of the S3 service; default: as boto3 finds it")
    s3_access_key: str | None = Field(None, description="Access key for S3; default: as boto3 finds it")
    s3_secret_key: SecretStr | None = Field(None, description="Secret key for S3; default: as boto3 finds it")
    s3_public_endpoint: str | None = Field(
        None,
        pattern=HTTP_URL,
        description="Public URL of S3, to which downloads are redirected; default: the API sends the files",
    )
    s3_timeout: float = Field(10.0, gt=0, description="Seconds without data from S3 after which a request is retried")
    s3_cache_bytes: int = Field(
        10 * 1024**3, ge=0, description="Maximum bytes of cached copies of stored files in a worker's data folder"
    )

    host: str = Field("127.0.0.1", description="Address that the API listens on")
    port: int = Field(8000, ge=0, le=65535, description="Port that the API listens on")
    max_upload_bytes: int = Field(100 * 1024 * 1024, gt=0, description="Largest model file accepted, in bytes")
    upload_limit: int | None = Field(
        None, ge=0, description="Maximum number of new models of an account in 24 hours; default: no limit"
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
    ingest_loopback: bool = Field(False, description="Let ingest fetch from loopback addresses; for tests only")

    engine: Literal["auto", "eevee", "cycles"] = Field(
        "auto", description="auto: EEVEE if there is a hardware GPU, otherwise Cycles on the CPU"
    )
    draw: Literal["auto", "always"] = Field(
        "auto", description="auto: a node without a GPU renders videos only while no node with a GPU claims work"
    )
    blender_bytes: int = Field(
        6 * 1024**3, gt=0, description="Bytes of memory above which an idle Blender is replaced by a fresh one"
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
    chunk_seconds: float = Field(
        60.0,
        gt=0,
        description="Target render time of a chunk in seconds; a worker that stops finishes its chunk first",
    )
    lease_seconds: float = Field(
        30.0, gt=0, description="Seconds without a renewal after which a worker loses its chunk"
    )
    attempts: int = Field(3, ge=1, description="Maximum attempts at a chunk before its render ends as an error")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Minimum severity of log lines")

    @property
    def database(self) -> str:
        """The database's SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{self.data.absolute() / 'plinth.db'}"

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
