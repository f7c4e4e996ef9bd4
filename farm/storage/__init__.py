"""Storage of model files and finished assets: in a folder, or in a bucket of any S3 service."""

from collections.abc import Iterable
from functools import lru_cache

import structlog

from farm.settings import Settings
from farm.storage.folder import FolderStorage
from farm.storage.protocol import Link as Link
from farm.storage.protocol import Storage as Storage

log = structlog.get_logger()


@lru_cache(maxsize=1)
def open_storage(settings: Settings) -> Storage:
    """The farm's storage: S3 if a bucket is configured, otherwise the data folder. Opened once per process."""
    if settings.s3_bucket is None:
        return FolderStorage(settings.files)
    from farm.storage.s3 import S3Storage  # importing boto3 takes 0.2 s

    return S3Storage(settings, settings.s3_bucket)


def discard(storage: Storage, keys: Iterable[str]) -> int:
    """Delete files that are no longer needed. Returns how many cannot be deleted now: a later cleanup deletes them."""
    left = 0
    for key in keys:
        try:
            storage.delete(key)
        except Exception as error:
            left += 1
            log.warning("file_not_deleted", key=key, error=str(error))
    return left
