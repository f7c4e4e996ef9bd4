"""The synchronous client, which clients/python/make_synchronous.py makes of the asynchronous one."""
