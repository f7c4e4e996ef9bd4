"""Calls of functions that block, such as a write to a disk: in a thread for the asynchronous client, else directly."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

in_thread = asyncio.to_thread


def directly(function: Callable[Arguments, Result], *arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
    """Call the function."""
    return function(*arguments, **options)
