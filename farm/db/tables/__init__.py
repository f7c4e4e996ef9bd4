"""The tables, by what they are about. docs/glossary.md defines the terms."""

from farm.db.tables.accounts import Account, Answer, BrowserSession, Invitation, Key, LedgerEntry
from farm.db.tables.base import Table, UtcDateTime, now
from farm.db.tables.nodes import Node
from farm.db.tables.operation import AuditEntry, Cleanup, CounterIncrement
from farm.db.tables.renders import Asset, AttemptLog, Chunk, Render, Segment, Shot
from farm.db.tables.uploads import Model, Overlay, SuspectModel, Tag

__all__ = [
    "Account",
    "Answer",
    "Asset",
    "AttemptLog",
    "AuditEntry",
    "BrowserSession",
    "Chunk",
    "Cleanup",
    "CounterIncrement",
    "Invitation",
    "Key",
    "LedgerEntry",
    "Model",
    "Node",
    "Overlay",
    "Render",
    "Segment",
    "Shot",
    "SuspectModel",
    "Table",
    "Tag",
    "UtcDateTime",
    "now",
]
