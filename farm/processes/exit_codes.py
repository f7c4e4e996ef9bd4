"""Exit codes of `farm worker`, for its supervisor: systemd, a container's restart policy, `farm up`."""

STOPPED = 0  # by a signal, or drained: must not be restarted
REFUSED = 3  # the node cannot join the farm, or stay in it; restarted as after any other failure
