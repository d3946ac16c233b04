"""Every row of the table against the running program, at once, octet by octet and in random pieces."""

import os
import random

import pytest

from rows import CLOSED, KEPT, ROWS, SILENT
from wire import DETAIL_OF_A_REFUSAL, Wire, marked, new_marker, was_smuggled

SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
RANDOM_SPLITS = 3
BYTEWISE_MAX = 40000
print(f"SEED={SEED}")


def whole(sent, _):
    return [sent]


def octets(sent, _):
    """A long row's middle is one piece: what matters is where its parts meet."""
    if len(sent) <= BYTEWISE_MAX:
        return [sent[i:i + 1] for i in range(len(sent))]
    half = BYTEWISE_MAX // 8
    return octets(sent[:half], _) + [sent[half:-half]] + octets(sent[-half:], _)


def pieces(sent, randomly):
    points = sorted({0, len(sent), *(randomly.randrange(len(sent) + 1) for _ in range(randomly.choice((1, 2, 5, 20))))})
    return [sent[a:b] for a, b in zip(points, points[1:])]


def exchange(address, row, parts):
    """What comes back when the parts are sent, up to the end of the connection."""
    with Wire(address) as wire:
        wire.send(*parts)
        wire.half_close()
        return wire.answers(row.heads)


def check(row, answers, marker):
    wanted = list(row.statuses) + ([200] if row.connection == KEPT else [])
    assert [answer.status for answer in answers] == wanted
    assert [word for answer in answers for word in answer.markers] == ([marker] if row.connection == KEPT else [])
    ids = [answer.field(b"x-request-id") for answer in answers if answer.status >= 200]
    assert None not in ids and len(set(ids)) == len(ids)
    if row.connection == CLOSED:
        assert answers[-1].closes
        if answers[-1].status in (400, 408, 413, 414, 415, 417, 431, 501, 505):
            assert DETAIL_OF_A_REFUSAL.fullmatch(answers[-1].body), answers[-1]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace("\\", "_").replace("[", "("))
def test_row(sinas, row):
    randomly = random.Random(f"{SEED} {row.name}")
    for cut in [whole, octets] + [pieces] * RANDOM_SPLITS:
        marker = new_marker()
        sent = row.sent + (marked(marker) if row.connection != SILENT else b"")
        try:
            check(row, exchange(sinas.socket.getsockname(), row, cut(sent, randomly)), marker)
        except AssertionError as error:
            raise AssertionError(f"{cut.__name__}, SEED={SEED}: {error}") from error


def test_nothing_was_smuggled(sinas):
    assert not was_smuggled(sinas)


def test_there_are_enough_rows():
    print(f"{len(ROWS)} rows")
    assert len(ROWS) >= 200
