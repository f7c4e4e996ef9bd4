"""Every setting of the farm, in one place. Each is an environment variable FARM_<NAME>."""

from pathlib import Path
from typing import Literal

from pydantic import DirectoryPath, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

HTTP_URL = r"^https?://\S+$"


class Settings(BaseSettings):
    """Read once per process, from the environment; the CLI's --data, --host and --port override."""

    model_config = SettingsConfigDict(env_prefix="FARM_", extra="ignore", frozen=True)

    data: Path = Field(Path("data"), description="Folder of the database and of the stored files")
    scratch: Path = Field(Path("/dev/shm"), description="Folder for frames under way; memory-backed is fastest")
    database_url: str | None = Field(None, description="SQLAlchemy URL; default: SQLite in the data folder")
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis; `farm up` starts its own and sets this")

    s3_bucket: str | None = Field(None, description="S3 bucket for stored files; default: they lie in the data folder")
    s3_endpoint: str | None = Field(None, pattern=HTTP_URL, description="URL of the S3 service; default: Amazon's")
    s3_region: str | None = Field(None, description="Region of the S3 service; default: as boto3 finds it")
    s3_access_key: str | None = Field(None, description="Access key for S3; default: as boto3 finds it")
    s3_secret_key: SecretStr | None = Field(None, description="Secret key for S3; default: as boto3 finds it")
    s3_public_endpoint: str | None = Field(
        None,
        pattern=HTTP_URL,
        description="URL of S3 as clients reach it: they are sent there to download; default: the API hands out",
    )
    s3_timeout: float = Field(10.0, gt=0, description="Seconds that S3 may be silent before a request is tried again")
    s3_cache_bytes: int = Field(
        10 * 1024**3, ge=0, description="Bytes that copies of stored files may take in a worker's data folder"
    )

    host: str = Field("127.0.0.1", description="Address that the API listens on")
    port: int = Field(8000, ge=0, le=65535, description="Port that the API listens on")
    max_upload_bytes: int = Field(100 * 1024 * 1024, gt=0, description="Largest model file accepted, in bytes")
    upload_limit: int | None = Field(
        None, ge=0, description="New models that an account may upload in 24 hours; default: as many as it likes"
    )

    api_url: str = Field("http://127.0.0.1:8000", description="The farm that `farm remote` calls")
    api_key: str | None = Field(None, description="The API key that `farm remote` calls with")

    templates: DirectoryPath | None = Field(
        None, description="Folder of the studio's own scene templates, looked into before the built-in ones"
    )
    ingest_loopback: bool = Field(False, description="Let ingest fetch from this very machine too; for tests alone")

    engine: Literal["auto", "eevee", "cycles"] = Field(
        "auto", description="auto: EEVEE where a real GPU is found, Cycles on the CPU elsewhere"
    )
    draw: Literal["auto", "always"] = Field(
        "auto", description="auto: a node without a GPU draws videos only while none with a GPU takes work"
    )
    blender_bytes: int = Field(
        6 * 1024**3, gt=0, description="Bytes of memory above which an idle Blender is replaced by a fresh one"
    )
    scale: float = Field(1.0, ge=0.05, le=1.0, description="Multiplies output width and height, kept even")
    fps: int = Field(30, ge=1, le=120, description="Frames a second of every delivered video")
    samples: int | None = Field(None, ge=1, le=4096, description="Overrides every tier's samples a pixel")
    ffmpeg: Path | None = Field(None, description="An ffmpeg to use instead of the bundled one")

    frame_cache: Path | None = Field(
        None, description="Folder of drawn frames, for the next render of the same shot; default: in the data folder"
    )
    frame_cache_bytes: int = Field(
        20 * 1024**3, ge=0, description="Bytes that drawn frames may take on disk; 0 keeps none"
    )
    frame_timeout: float = Field(600.0, gt=0, description="Seconds one frame may take before Blender counts as stuck")
    chunk_seconds: float = Field(
        60.0,
        gt=0,
        description="Seconds of drawing that a chunk is cut for; a worker that stops ends its chunk first",
    )
    lease_seconds: float = Field(30.0, gt=0, description="Seconds after which a silent worker has lost its chunk")
    attempts: int = Field(3, ge=1, description="Attempts a chunk gets before its render ends as an error")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe line logged")

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
        """The folder that FolderStorage keeps its files in."""
        return self.data.absolute() / "files"

    @property
    def copies(self) -> Path:
        """The folder of the copies that S3Storage keeps at hand."""
        return self.data.absolute() / "copies"
