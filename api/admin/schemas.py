"""Response bodies of the calls for operators."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field

from api.envelope import ApiModel, Timestamp
from api.ids import AccountId
from api.queries import SPLIT, ListQuery, Moment, SearchText
from api.renders.schemas import STATUSES, RenderDetail, Status
from api.text import NO_CONTROL_CHARACTERS
from farm.db.attempt_logs import Observer, Outcome
from farm.db.renders import Detail
from farm.db.statistics import AccountCounts
from farm.db.tables import Account, AttemptLog, Chunk
from farm.scheduling.administration import QueueCounts

MAX_EMAIL_LENGTH = 320

EmailField = Annotated[str, Field(description="Email address of the account's owner", examples=["user@example.com"])]
Waiting = Annotated[int, Field(ge=0, description="Number of chunks that wait", examples=[12])]
Running = Annotated[int, Field(ge=0, description="Number of chunks that a worker holds", examples=[2])]
Oldest = Annotated[
    Timestamp | None,
    Field(description="Time of creation of the oldest chunk that waits, UTC; null when none waits", examples=[None]),
]


class AllRendersQuery(ListQuery):
    """Which renders of all accounts to list."""

    status: Annotated[
        list[Status], SPLIT, Field(max_length=len(STATUSES), description="Only these statuses; separated by commas")
    ] = []  # noqa: RUF012 - pydantic copies it
    account: Annotated[
        str,
        NO_CONTROL_CHARACTERS,
        Field(max_length=MAX_EMAIL_LENGTH, description="Only renders of the account with this id or email address"),
    ] = ""
    node: Annotated[SearchText, Field(description="Only renders that the node of this name has worked on")] = ""
    error: Annotated[
        SearchText,
        Field(description="Only renders with this text in their error, in upper or lower case"),
    ] = ""
    created_before: Annotated[
        Moment | None, Field(description="Only renders created before this time: ISO 8601, UTC unless it has an offset")
    ] = None
    sort: Annotated[
        Literal["createdAt", "-createdAt", "updatedAt", "-updatedAt"],
        Field(description="Order, descending with a minus"),
    ] = "-createdAt"


class AccountReference(ApiModel):
    """The account that an object belongs to."""

    id: AccountId
    email: EmailField

    @classmethod
    def from_row(cls, row: Account) -> Self:
        return cls(id=row.id, email=row.email)


class AnyRender(RenderDetail):
    """A render of any account, with its account and nodes."""

    account: Annotated[AccountReference, Field(description="The account that the render belongs to")]
    nodes: Annotated[
        list[str],
        Field(description="The nodes that work on it now, or else those that have", examples=[["studio-1"]]),
    ]
    retries: Annotated[int, Field(ge=0, description="How often it was queued again after an error", examples=[0])]

    @classmethod
    def of(cls, detail: Detail, nodes: Sequence[str]) -> Self:
        return cls(**cls._shared(detail, nodes))

    @staticmethod
    def _shared(detail: Detail, nodes: Sequence[str]) -> dict[str, object]:
        row = detail.render
        shared = RenderDetail.from_detail(detail)
        return {name: getattr(shared, name) for name in RenderDetail.model_fields} | {
            "account": AccountReference.from_row(row.account),
            "nodes": list(nodes),
            "retries": row.retries,
        }


class Attempt(ApiModel):
    """One attempt at a chunk."""

    attempt: Annotated[int, Field(ge=1, description="Number of the attempt", examples=[1])]
    node: Annotated[str, Field(description="Name of the node", examples=["studio-1"])]
    began_at: Annotated[
        Timestamp | None, Field(description="Time at which it began, UTC", examples=["2026-02-15T20:00:00.000Z"])
    ]
    ended_at: Annotated[
        Timestamp | None, Field(description="Time at which it ended, UTC; null until then", examples=[None])
    ]
    outcome: Annotated[Outcome | None, Field(description="How it ended; null until then", examples=[None])]
    noticed_by: Annotated[Observer | None, Field(description="What noticed the end", examples=["worker"])]
    reason: Annotated[str | None, Field(description="Why it failed", examples=["A disk of the farm is full"])]

    @classmethod
    def from_row(cls, row: AttemptLog) -> Self:
        return cls(
            attempt=row.attempt,
            node=row.worker,
            began_at=row.began_at,
            ended_at=row.ended_at,
            outcome=row.outcome,
            noticed_by=row.noticed_by,
            reason=row.reason,
        )


class ChunkDetail(ApiModel):
    """A part of a render: frames to be drawn, or the finishing of its files."""

    kind: Annotated[Literal["draw", "finish"], Field(description="What is done", examples=["draw"])]
    first_frame: Annotated[int, Field(ge=0, description="Number of its first frame, from 0", examples=[0])]
    frames: Annotated[int, Field(ge=0, description="Number of its frames; 0 for finishing", examples=[60])]
    frames_done: Annotated[int, Field(ge=0, description="Number of frames drawn by this attempt", examples=[24])]
    state: Annotated[
        Literal["queued", "running", "done", "failed"], Field(description="State of the chunk", examples=["running"])
    ]
    node: Annotated[str | None, Field(description="The node that holds it, or held it last", examples=["studio-1"])]
    attempt: Annotated[int, Field(ge=1, description="Number of the current attempt", examples=[1])]
    attempts: Annotated[list[Attempt], Field(description="The attempts that have ended or stored a log")]

    @classmethod
    def from_rows(cls, row: Chunk, attempts: Sequence[AttemptLog]) -> Self:
        return cls(
            kind=row.kind,
            first_frame=row.first_frame,
            frames=row.frames,
            frames_done=row.frames_done,
            state=row.state,
            node=row.worker,
            attempt=row.attempt,
            attempts=[Attempt.from_row(entry) for entry in attempts],
        )


class AnyRenderDetail(AnyRender):
    """A render of any account, with its credits, its chunks and all attempts at them."""

    credits: Annotated[int, Field(ge=0, description="Credits that it has cost, without refunds", examples=[4])]
    chunks: Annotated[list[ChunkDetail], Field(description="Its chunks in the order of its frames, finishing last")]

    @classmethod
    def of_parts(
        cls, detail: Detail, nodes: Sequence[str], credits: int, parts: Sequence[tuple[Chunk, list[AttemptLog]]]
    ) -> Self:
        chunks = [ChunkDetail.from_rows(chunk, attempts) for chunk, attempts in parts]
        return cls(**cls._shared(detail, nodes), credits=credits, chunks=chunks)


class QueueDetail(ApiModel):
    """What waits and runs in one of the farm's queues; suspended accounts do not count as waiting."""

    queue: Annotated[str, Field(description="Name of the queue: finishing, previews or drawing", examples=["drawing"])]
    waiting: Waiting
    running: Running
    oldest: Oldest

    @classmethod
    def from_counts(cls, counts: QueueCounts) -> Self:
        return cls(**counts._asdict())


class AccountWork(ApiModel):
    """What waits and runs for one account."""

    account: Annotated[AccountReference, Field(description="The account")]
    waiting: Waiting
    running: Running
    oldest: Oldest
    suspended: Annotated[bool, Field(description="Whether its work waits until it is resumed", examples=[False])]
    node_tag: Annotated[
        str | None, Field(description="The tag that its nodes must have; null for all nodes", examples=[None])
    ]

    @classmethod
    def from_counts(cls, counts: AccountCounts) -> Self:
        return cls(
            account=AccountReference(id=counts.account_id, email=counts.email),
            waiting=counts.waiting,
            running=counts.running,
            oldest=counts.oldest,
            suspended=counts.is_suspended,
            node_tag=counts.node_tag,
        )


class QueueState(ApiModel):
    """What waits and runs, by queue and by account."""

    queues: Annotated[list[QueueDetail], Field(description="Each queue, in the order in which nodes take from them")]
    accounts: Annotated[list[AccountWork], Field(description="Accounts with unfinished work, the most waiting first")]
