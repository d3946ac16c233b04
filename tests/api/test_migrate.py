"""`sinas migrate`: exit codes, and several at once."""

import os
import subprocess

from harness import SINAS


def start(url, *words, **settings):
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "STARTUP_TIMEOUT": "5", **settings}
    return subprocess.Popen([SINAS, "migrate", *words], env=environment, cwd="/", stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def status(url, *words, **settings):
    process = start(url, *words, **settings)
    process.communicate(timeout=60)
    return process.returncode


def test_statuses(servers):
    url = servers.new_database()
    assert status(url, "--check") == 1
    assert servers.psql("select count(*) from pg_tables where schemaname = 'public'", url) == "0"
    assert status(url) == 0
    assert status(url, "--check") == 0
    assert status(url) == 0
    servers.psql("insert into schema_migrations (number, name, checksum) values (9999, '9999_later', '')", url)
    assert status(url, "--check") == 2
    assert status(url) == 2


def test_several_at_once(servers):
    url = servers.new_database()
    outputs = []
    for process in [start(url) for _ in range(6)]:
        outputs.append(process.communicate(timeout=60)[0])
        assert process.returncode == 0
    count = int(servers.psql("select count(*) from schema_migrations where number > 0", url))
    assert sum(int(text.split()[0]) for text in outputs) == count > 0


def test_no_server():
    assert status("postgresql://x@127.0.0.1:1/x", STARTUP_TIMEOUT="0") == 2


def test_wrong_words(servers):
    assert status(servers.database_url, "--nonsense") == 2
