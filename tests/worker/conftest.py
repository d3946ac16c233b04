import json
import os
import socket
import subprocess
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../vendor")]

from client import Vendor  # noqa: E402
from proto import Reactor  # noqa: E402

SINAS = os.environ.get("SINAS", os.path.join(HERE, "../../build/plain/sinas"))
KEY = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="  # of the public Fernet test vectors


class Worker:
    """The real worker process on a listening socket that we hold, as its supervisor would."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "llm.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(128)
        self.process = None
        self.start()

    def start(self):
        fd = self.listener.fileno()
        environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        environment.update(ENCRYPTION_KEY=KEY, SECRET_KEY="x" * 40, RUN_USER="",
                           http_proxy="http://127.0.0.1:1", all_proxy="http://127.0.0.1:1")
        self.process = subprocess.Popen([SINAS, "--process", "llm", str(os.getpid()), "llm-0", "--instance", "0",
                                         "--listen", str(fd)], pass_fds=[fd], env=environment)

    def stop(self):
        self.process.terminate()
        return self.process.wait(20)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Client:
    """A reactor that asks the vendor through the worker."""

    def __init__(self, worker, vendor):
        self.worker, self.vendor = worker, vendor
        self.reactor = Reactor(worker.path)

    def start(self, model="m", text="hi", provider="openai", config=None, key=None, window=1 << 18, endpoint=None,
              messages=None, timeout_ms=0, label=None, **body):
        base = {"openai": "/v1", "mistral": "/mistral/v1", "anthropic": "", "ollama": ""}[provider]
        body = {"model": model, "messages": messages or [{"role": "user", "content": text}], **body}
        return self.reactor.start(window=window, provider_id="p1", provider_type=provider,
                                  endpoint=self.vendor.url + base if endpoint is None else endpoint,
                                  key_encrypted=key, config_json=json.dumps(config) if config is not None else None,
                                  timeout_ms=timeout_ms, label=label, body_json=json.dumps(body))

    def events(self, *args, **kwargs):
        return list(self.reactor.events(self.start(*args, **kwargs)))

    def text(self, *args, **kwargs):
        """The whole text; the call must end well."""
        events = self.events(*args, **kwargs)
        assert events[-1][0] == "llm_end", events[-1]
        return "".join(values["text"] for name, values in events if name == "llm_delta")

    def failure(self, *args, **kwargs):
        name, values = self.events(*args, **kwargs)[-1]
        assert name == "llm_failed", (name, values)
        return values


@pytest.fixture(scope="session")
def shared_vendor():
    with Vendor() as running:
        running.validate()
        yield running


@pytest.fixture
def vendor(shared_vendor):
    shared_vendor.reset()
    return shared_vendor


@pytest.fixture
def worker():
    with tempfile.TemporaryDirectory() as directory:
        running = Worker(directory)
        yield running
        assert running.stop() == 0
        running.listener.close()


@pytest.fixture
def client(worker, vendor):
    made = Client(worker, vendor)
    yield made
    made.reactor.close()
