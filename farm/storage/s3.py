"""Storage in a bucket of any S3 service: boto3 signs, retries, and uploads large files in parts."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import structlog
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody
from urllib3.exceptions import HTTPError

from farm.errors import Unavailable
from farm.settings import Settings
from farm.storage.copies import Copies
from farm.storage.protocol import BLOCK_BYTES, Link, StoredFile

log = structlog.get_logger()

MAX_ATTEMPTS = 4
LINK_EXPIRY_SECONDS = 3600  # a running download continues after that
MAX_CONNECTIONS = 40  # the number of threads of the API
TRANSFER_CONFIG = TransferConfig(
    multipart_threshold=16 * 1024**2,
    multipart_chunksize=16 * 1024**2,
    max_concurrency=4,
    preferred_transfer_client="classic",
)
NOT_FOUND_CODES = {"NoSuchKey", "404"}  # the response to HEAD has no body with the code


class S3Storage:
    """Storage in an S3 bucket. A put is atomic, because S3 shows an object only after its last part."""

    def __init__(self, settings: Settings, bucket: str) -> None:
        self.bucket = bucket
        self._copies = Copies(settings.copies, settings.s3_cache_bytes)
        self._s3 = _client(settings, settings.s3_endpoint)
        public = settings.s3_public_endpoint
        self._public = _client(settings, public) if public else None

    def put(self, key: str, source: Path) -> None:
        with _translated_errors(key):
            self._s3.upload_file(str(source), self.bucket, key, Config=TRANSFER_CONFIG)

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        if length == 0:  # S3 has no Range for zero bytes
            self._tag(key)
            return iter(())
        found = self._get(key, start, None if length is None else start + length)
        return self._blocks(key, found["Body"], start, start + found["ContentLength"]) if found else iter(())

    def local(self, key: str) -> Path:
        return self._copies.get(key, lambda path: self._fetch(key, path))

    def delete(self, key: str) -> None:
        with _translated_errors(key):
            self._s3.delete_object(Bucket=self.bucket, Key=key)

    def keys(self, prefix: str) -> Iterator[str]:
        return (file.key for file in self._listed(prefix))

    def files(self) -> Iterator[StoredFile]:
        return self._listed("")

    def link(self, key: str, content_type: str, disposition: str) -> Link | None:
        if self._public is None:
            return None
        headers = {"ResponseContentType": content_type, "ResponseContentDisposition": disposition}
        parameters = {"Bucket": self.bucket, "Key": key, **headers}
        url = self._public.generate_presigned_url("get_object", Params=parameters, ExpiresIn=LINK_EXPIRY_SECONDS)
        return Link(url, self._tag(key))

    def _listed(self, prefix: str) -> Iterator[StoredFile]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        with _translated_errors(prefix):
            for page in pages:
                for item in page.get("Contents", ()):
                    yield StoredFile(item["Key"], item["Size"], item["LastModified"])

    def _fetch(self, key: str, path: Path) -> None:
        with _translated_errors(key):
            self._s3.download_file(
                self.bucket, key, str(path), Config=TRANSFER_CONFIG
            )  # boto3 renames it when complete

    def _tag(self, key: str) -> str:
        with _translated_errors(key):
            return str(self._s3.head_object(Bucket=self.bucket, Key=key)["ETag"])

    def _get(self, key: str, start: int, end: int | None) -> dict[str, Any] | None:
        """S3's response with an unread body; None if the object has no byte in the range."""
        byte_range = f"bytes={start}-{'' if end is None else end - 1}"
        with _translated_errors(key):
            try:
                return dict(self._s3.get_object(Bucket=self.bucket, Key=key, Range=byte_range))
            except ClientError as error:
                if _code(error) != "InvalidRange":
                    raise
                return None

    def _blocks(self, key: str, body: StreamingBody, at: int, end: int) -> Iterator[bytes]:
        """The bytes from `at` to `end`. When the connection fails, the remaining bytes are requested again."""
        failures = 0
        while at < end:
            try:
                with contextlib.closing(body):
                    for block in body.iter_chunks(BLOCK_BYTES):
                        at, failures = at + len(block), 0
                        yield block
            except (BotoCoreError, HTTPError) as error:
                failures += 1
                if failures == MAX_ATTEMPTS:
                    raise _unavailable(key, error) from error
                rest = self._get(key, at, end)
                assert rest, "objects never change"
                body = rest["Body"]


def _client(settings: Settings, endpoint: str | None) -> Any:
    secret = settings.s3_secret_key
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=Config(
            signature_version="s3v4",
            connect_timeout=settings.s3_timeout,
            read_timeout=settings.s3_timeout,
            retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
            max_pool_connections=MAX_CONNECTIONS,
            # Optional checksums are an extension of Amazon's, which other services refuse.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


@contextlib.contextmanager
def _translated_errors(key: str) -> Iterator[None]:
    """Convert exceptions of boto3 to FileNotFoundError or Unavailable."""
    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        if _code(error) in NOT_FOUND_CODES:
            raise FileNotFoundError(key) from error
        raise _unavailable(key, error) from error


def _unavailable(key: str, error: Exception) -> Unavailable:
    log.warning("s3_failed", key=key, error=str(error))
    return Unavailable(f"The file storage is unavailable ({_code(error)}): try again in a few minutes")


def _code(error: BaseException) -> str:
    """The error code of S3, or the exception of boto3: AccessDenied, SlowDown, ReadTimeoutError."""
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    if isinstance(error, Boto3Error) and error.__context__:  # a wrapper without information of its own
        return _code(error.__context__)
    return type(error).__name__
