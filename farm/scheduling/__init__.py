"""The database side of work: renders queued, chunks leased, statuses changed, workers woken, expired leases reaped."""
