"""The renders and the queue of all accounts, for keys of admin accounts."""
