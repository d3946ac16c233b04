"""What the tests of the running program share. Each fixture says how long its object lives.

    servers      PostgreSQL and Redis                                   session
    sinas        the server, with settings of a fresh installation      session; tests use names of their own
    new_sinas    starts further servers: new_sinas(SETTING="value")     each until the end of its test
    make_run     starts an instance by `make run`: make_run(SETTING="value")
    vendor       the scripted model provider (tests/vendor/README.md)    session
    http         an anonymous client of sinas
    admin        a client with a superadmin's API key
    make_user    make_user(email, roles=("Users",)): a client that is signed in
    unique       a word that no other test uses
"""

import importlib.util
import itertools

import pytest

from harness import ROOT, MakeRun, Servers, Sinas

words = itertools.count(1)


@pytest.fixture(scope="session")
def servers():
    servers = Servers()
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def sinas(servers):
    sinas = Sinas(servers)
    try:
        yield sinas.start()
    finally:
        sinas.close()


@pytest.fixture
def new_sinas(servers):
    started = []

    def start(**settings):
        started.append(Sinas(servers, **settings))
        return started[-1].start()

    yield start
    for sinas in started:
        sinas.close()


def load(name, path):
    """A module by its file: tests/vendor has a client.py too."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def vendor():
    with load("vendor_client", ROOT / "tests" / "vendor" / "client.py").Vendor() as vendor:
        vendor.validate()
        yield vendor


@pytest.fixture
def http(sinas):
    return sinas.client()


@pytest.fixture(scope="session")
def admin(sinas):
    return sinas.client(sinas.new_key("sinas.*:all"))


@pytest.fixture
def make_user(sinas):
    return sinas.make_user


@pytest.fixture
def unique():
    return f"w{next(words)}"


@pytest.fixture
def make_run():
    started = []

    def start(starts=True, **settings):
        started.append(MakeRun(**settings))
        return started[-1].start() if starts else started[-1]

    yield start
    for server in started:
        server.close()
