"""The RQ worker and its work-horses: chunks are claimed, drawn, finished and published."""
