"""A node's name is unique on its machine, and free as soon as its process ends."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from farm.errors import NodeRefused
from farm.nodes import names


@pytest.fixture
def farm(tmp_path: Path) -> str:
    """Another farm for every test, as names are reserved machine-wide."""
    return str(tmp_path)


class TestReserved:
    def test_numbers_the_machines_name(self, farm: str) -> None:
        host = socket.gethostname()
        with names.reserved(None, None, farm) as one, names.reserved(None, None, farm) as two:
            assert (one, two) == (host, f"{host}-2")
            with names.reserved(None, 1, farm) as on_a_gpu:
                assert on_a_gpu == f"{host}-gpu1"

    def test_refuses_a_reserved_name(self, farm: str) -> None:
        with names.reserved("a", None, farm):
            with pytest.raises(NodeRefused, match="already"), names.reserved("a", None, farm):
                pass
            with names.reserved("a", None, f"another {farm}"):
                pass
        with names.reserved("a", None, farm):
            pass

    def test_frees_the_name_of_a_killed_process(self, farm: str) -> None:
        program = "from farm.nodes import names; import sys, time\n"
        program += "with names.reserved('killed', None, sys.argv[1]) as name: print(name, flush=True); time.sleep(600)"
        with subprocess.Popen([sys.executable, "-c", program, farm], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert process.stdout.readline() == "killed\n"
            with pytest.raises(NodeRefused), names.reserved("killed", None, farm):
                pass
            process.kill()
        with names.reserved("killed", None, farm):
            pass

    @pytest.mark.parametrize("bad", ["", "a b", "-a", "ä", "a/b", "a" * 101])
    def test_refuses_an_invalid_name(self, farm: str, bad: str) -> None:
        with pytest.raises(NodeRefused, match="not a valid name"), names.reserved(bad, None, farm):
            pass
