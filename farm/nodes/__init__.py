"""The nodes of the farm: names, facts, heartbeats, assignments and quarantine."""
