"""The synchronous client, which clients/make_synchronous.py makes of the asynchronous one."""
