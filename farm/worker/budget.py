"""The time that a node may spend on a chunk, over all attempts."""

from pathlib import Path

from farm.blender.client import MODEL_SECONDS_PER_MB, megabytes
from farm.db import chunks
from farm.errors import OverBudget
from farm.orders import plan
from farm.orders.dataset_plan import DatasetSpec
from farm.orders.plan import ShotSpec
from farm.worker.context import WorkerContext
from farm.worker.lease import Lease

FRAME_SECONDS_PER_MB = 2.0  # of the model; 5.5 million triangles in 99 MB take 1 to 2 minutes a frame on two busy cores

MAX_MEASURED_ESTIMATES = 5.0  # a CPU that is five times slower than the one of the estimate still gets its factor
GPU_SPEEDUP = 20.0  # of a GPU over two CPU cores, to which the estimate applies


def seconds_in_all(context: WorkerContext, lease: Lease, spec: ShotSpec | DatasetSpec, model: Path) -> float:
    """The seconds for all attempts, opening the model included. Raises OverBudget if they are over."""
    chunk, settings = lease.chunk, context.settings
    with lease.database.read() as db:
        measured = chunks.seconds_per_frame(db, chunk.tier, context.engine)
    estimate = plan.estimated_seconds_per_frame(spec.width, spec.height)
    if context.engine != "cycles":
        estimate /= GPU_SPEEDUP
    # At least the estimate: many renders of trivial models must not shorten the budget of others. At most a few times
    # that of a CPU: slow renders that stay within their budget must not raise that of the next ones without end.
    most = MAX_MEASURED_ESTIMATES * plan.estimated_seconds_per_frame(spec.width, spec.height)
    frame = settings.budget_factor * min(max(measured, estimate), most) if measured else settings.frame_timeout
    size = megabytes(model)
    drawing = max(chunk.frames * (frame + FRAME_SECONDS_PER_MB * size), settings.min_budget)
    budget = settings.opening_timeout + MODEL_SECONDS_PER_MB * size + drawing
    if budget <= chunk.seconds_lost:
        raise OverBudget(budget, chunk.frames)
    return budget
