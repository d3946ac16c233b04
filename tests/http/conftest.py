"""The fixtures of these tests are in tests/api/fixtures.py."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))

from fixtures import *  # noqa: E402, F401, F403
