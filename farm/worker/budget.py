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


def seconds_left(context: WorkerContext, lease: Lease, spec: ShotSpec | DatasetSpec, model: Path) -> float:
    """The seconds that are left for this attempt, opening the model included. Raises OverBudget if there are none."""
    chunk, settings = lease.chunk, context.settings
    with lease.database.read() as db:
        measured = chunks.seconds_per_frame(db, chunk.tier, context.engine)
    frame = settings.budget_factor * (measured or plan.estimated_seconds_per_frame(spec.width, spec.height))
    size = megabytes(model)
    drawing = max(chunk.frames * (frame + FRAME_SECONDS_PER_MB * size), settings.min_budget)
    budget = settings.opening_timeout + MODEL_SECONDS_PER_MB * size + drawing
    if budget <= chunk.seconds_lost:
        raise OverBudget(budget, chunk.frames)
    return budget - chunk.seconds_lost
