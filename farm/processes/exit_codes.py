"""How `farm worker` ends, for whoever starts it again: systemd, a container's restart policy, `farm up`."""

TOLD_TO = 0  # by a signal, or drained: not to be started again
REFUSED = 3  # the node cannot join the farm as it is, or stay; to be tried again, like any other failure
