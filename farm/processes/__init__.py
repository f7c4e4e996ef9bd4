"""Child processes: how they are started, kept alive and ended, their exit codes and scratch folders."""
