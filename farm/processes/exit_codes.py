"""Exit codes of `farm worker`, for its supervisor: systemd, a container's restart policy, `farm up`."""

STOPPED = 0  # by a signal, or drained: not to be restarted
REFUSED = 3  # the node cannot join the farm as it is, or stay; restarted like after any other failure
