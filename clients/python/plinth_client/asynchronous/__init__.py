"""The asynchronous client, from which clients/make_synchronous.py makes the synchronous one."""
