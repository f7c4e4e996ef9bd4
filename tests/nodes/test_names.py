"""A node's name is its own on its machine, and free the moment its process ends."""

import socket
import subprocess
import sys

import pytest

from farm.errors import NodeRefused
from farm.nodes import names


class TestHeld:
    def test_is_the_machines_name_then_numbered(self) -> None:
        host = socket.gethostname()
        with names.reserved(None, None, "farm") as one, names.reserved(None, None, "farm") as two:
            assert (one, two) == (host, f"{host}-2")
            with names.reserved(None, 1, "farm") as on_a_gpu:
                assert on_a_gpu == f"{host}-gpu1"

    def test_is_refused_where_it_is_taken(self) -> None:
        with names.reserved("a", None, "farm"):
            with pytest.raises(NodeRefused, match="already"), names.reserved("a", None, "farm"):
                pass
            with names.reserved("a", None, "another farm"):
                pass
        with names.reserved("a", None, "farm"):
            pass

    def test_is_free_once_its_process_is_killed(self) -> None:
        program = "from farm.nodes import names; import time\n"
        program += "with names.reserved('killed', None, 'farm') as name: print(name, flush=True); time.sleep(600)"
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert process.stdout.readline() == "killed\n"
            with pytest.raises(NodeRefused), names.reserved("killed", None, "farm"):
                pass
            process.kill()
        with names.reserved("killed", None, "farm"):
            pass

    @pytest.mark.parametrize("bad", ["", "a b", "-a", "ä", "a/b", "a" * 101])
    def test_is_refused_where_it_is_no_name(self, bad: str) -> None:
        with pytest.raises(NodeRefused, match="not a valid name"), names.reserved(bad, None, "farm"):
            pass
