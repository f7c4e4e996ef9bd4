"""The examples of the Python client in the docs, run against the real API."""

import re
from pathlib import Path

import pytest

from plinth_client import Polling
from tests.support.clients import Client
from tests.support.finished_renders import FILES, Finish
from tests.support.glb import glb
