"""The asynchronous client, from which clients/python/make_synchronous.py makes the synchronous one."""
