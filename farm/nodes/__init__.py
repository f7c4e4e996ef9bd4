"""The nodes that draw: how they join the farm, what they report, what they may do."""
