"""The program's file is built, and its unit made, so that a memory error is hard to turn into something worse."""

import re
import shutil
import subprocess

import pytest

from harness import ROOT, SINAS


def readelf(*options):
    return subprocess.run(["readelf", "-W", *options, SINAS], check=True, stdout=subprocess.PIPE, text=True).stdout


def test_is_position_independent():
    assert "DYN (Position-Independent Executable file)" in readelf("-h")
    assert "PIE" in readelf("-d")


def test_has_full_relro():
    assert "GNU_RELRO" in readelf("-l")
    flags = readelf("-d")
    assert "BIND_NOW" in flags or " NOW" in flags


def test_stack_is_not_executable():
    stack = [line for line in readelf("-l").splitlines() if "GNU_STACK" in line]
    assert len(stack) == 1
    assert stack[0].split()[6] == "RW"


def test_no_segment_is_writable_and_executable():
    for line in readelf("-l").splitlines():
        if line.strip().startswith("LOAD"):
            flags = "".join(line.split()[6:-1])
            assert not {"W", "E"} <= set(flags), line


def test_has_stack_protector():
    assert "__stack_chk_fail" in readelf("--dyn-syms")


def test_has_no_search_path_for_libraries():
    dynamic = readelf("-d")
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_unit_is_hardened():
    """systemd's own figure: 0 is nothing exposed, 10 everything."""
    report = subprocess.run(["systemd-analyze", "security", "--offline=true", ROOT / "etc" / "sinas.service"],
                            stdout=subprocess.PIPE, text=True).stdout
    assert float(re.search(r"exposure level for sinas.service: ([0-9.]+)", report)[1]) <= 1.5
