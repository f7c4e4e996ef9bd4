"""The file in the data folder that keeps the verdict about a GPU, so that a machine measures its engines only once."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile

import structlog
from pydantic import TypeAdapter, ValidationError

from farm.rendering.verdict import Key, Verdict
from farm.settings import Settings

log = structlog.get_logger()

FOLDER = "engines"  # in the data folder, which several machines may share
CONTENT: TypeAdapter[tuple[Key, Verdict]] = TypeAdapter(tuple[Key, Verdict])


class VerdictFile:
    """The file of one key."""

    def __init__(self, settings: Settings, key: Key) -> None:
        self._settings, self._key = settings, key
        self._path = settings.data.absolute() / FOLDER / f"{key.digest}.json"

    def load(self) -> Verdict | None:
        """The verdict that is kept; None if there is none, or the file is damaged or that of another key."""
        try:
            key, verdict = CONTENT.validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return None
        return verdict if key == self._key else None

    def store(self, verdict: Verdict) -> None:
        """Replace the file. A failure is only logged, because the next start can measure again."""
        try:
            self._make_folder()
            with NamedTemporaryFile(dir=self._path.parent, prefix=".put-", delete=False) as file:
                try:
                    file.write(CONTENT.dump_json((self._key, verdict)))
                    file.flush()
                    Path(file.name).replace(self._path)
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
        except OSError as error:
            log.warning("verdict_not_kept", error=str(error))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Inside the block, no other process has this lock. Where none can be had, this is only logged."""
        with contextlib.ExitStack() as stack:
            try:
                self._make_folder()
                lock = stack.enter_context(self._path.with_suffix(".lock").open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError as error:
                log.warning("verdict_not_kept", error=str(error))
            yield

    def _make_folder(self) -> None:
        self._settings.make_data_folder()
        self._path.parent.mkdir(exist_ok=True)
