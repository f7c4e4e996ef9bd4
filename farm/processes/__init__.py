"""Child processes: starting, restarting and ending them, their exit codes and scratch folders."""
