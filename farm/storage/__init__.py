"""Where files are kept, model files and finished assets: in a folder, or in a bucket of any S3."""

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
    """The farm's storage: S3 where a bucket is named, the data folder otherwise. A process opens it once."""
    if settings.s3_bucket is None:
        return FolderStorage(settings.files)
    from farm.storage.s3 import S3Storage  # boto3 takes a fifth of a second to import

    return S3Storage(settings, settings.s3_bucket)


def discard(storage: Storage, keys: Iterable[str]) -> None:
    """Remove files that nobody needs any more. What cannot be removed now is found when a render's files are swept."""
    for key in keys:
        try:
            storage.delete(key)
        except Exception as error:
            log.warning("a file could not be removed", key=key, error=str(error))
