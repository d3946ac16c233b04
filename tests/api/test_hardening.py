"""The program's file is built so that a memory error is hard to turn into something worse."""

import subprocess

from harness import SINAS


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
