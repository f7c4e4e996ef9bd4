"""`farm reaper`: the reaper as a process of its own."""

import signal
import threading

from farm import logs
from farm.commands.shared import Data, settings_with
from farm.scheduling.reaper import run


def run_reaper(data: Data = None) -> None:
    """Give the work of lost workers to others, wake workers for queued work, and remove what is no longer kept.

    `farm up` includes a reaper.
    """
    settings = settings_with(data=data)
    logs.configure(settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    run(settings, stop)
