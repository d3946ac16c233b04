"""Servers for the tests: PostgreSQL, Redis and the program itself, each started and stopped by pid."""

import itertools
import os
import pathlib
import re
import secrets
import shlex
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from client import Client

ROOT = pathlib.Path(__file__).resolve().parents[2]
SINAS = ROOT / os.environ.get("SINAS", "build/plain/sinas")
SERVERS = ROOT / "tests" / "servers"
SUPERADMIN = "root@sinas.test"


# In front of a command: it ends when the tests do, also when they are killed.
WITH_US = ["setpriv", "--pdeathsig", "TERM", "--"]
# So that `make run` takes the program that is tested.
BUILD_VARIABLES = [f"{name}={os.environ[name]}" for name in ("CC", "SAN", "COVERAGE") if os.environ.get(name)]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


# A run in the background of a script inherits an ignored SIGINT, and would hand it on to servers that shall end by it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def until(condition, seconds=10, what="condition"):
    """Waits for something that another process does. The bound only decides how long a failure takes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come true within {seconds} s")


class Servers:
    """The private PostgreSQL and Redis: those of `make test`, or ones of our own."""

    def __init__(self):
        self.is_ours = "TEST_DIRECTORY" not in os.environ
        variables = dict(os.environ)
        if self.is_ours:
            text = subprocess.run([SERVERS, "start"], check=True, stdout=subprocess.PIPE, text=True).stdout
            variables = dict(word.split("=", 1) for word in shlex.split(text) if "=" in word)
        self.directory = variables["TEST_DIRECTORY"]
        self.database_url = variables["TEST_DATABASE_URL"]
        self.redis_url = variables["TEST_REDIS_URL"]
        self.numbers = itertools.count(1)

    def close(self):
        if self.is_ours:
            self.control("stop")

    def control(self, command):
        """postgres-stop, postgres-start, redis-stop, redis-start."""
        subprocess.run([SERVERS, command, self.directory], check=True)

    def database(self, name):
        """The URL of another database of the same server."""
        return re.sub(r"(postgresql://[^/]*/)[^?]*", lambda match: match[1] + name, self.database_url)

    def new_database(self):
        name = f"t{os.getpid()}_{next(self.numbers)}"
        self.psql(f"create database {name}")
        return self.database(name)

    def new_redis(self):
        """Redis has 16 numbered databases: taken in turn, emptied first."""
        number = next(self.numbers) % 16
        self.redis("-n", str(number), "flushdb")
        return f"{self.redis_url}?db={number}"

    def psql(self, sql, url=None):
        """What the statement returns, one line per row."""
        return subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, url or self.database_url],
                              check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def redis(self, *words):
        path = self.redis_url.removeprefix("unix://")
        return subprocess.run(["redis-cli", "-s", path, *words], check=True, stdout=subprocess.PIPE,
                              text=True).stdout.strip()


class Sinas:
    """One running server with a database of its own. settings override or add environment variables."""

    def __init__(self, servers, database_url=None, redis_url=None, **settings):
        self.servers = servers
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sinas-api-"))
        self.log_path = self.directory / "log"
        self.database_url = database_url or servers.new_database()
        self.redis_url = redis_url or servers.new_redis()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.url = "http://127.0.0.1:%d" % self.socket.getsockname()[1]
        self.environment = {
            "PATH": os.environ["PATH"],
            "SECRET_KEY": "test-" + secrets.token_hex(16),
            "ENCRYPTION_KEY": "QUFBQUFBQUFBQUFBQUFBQUJCQkJCQkJCQkJCQkJCQkI=",
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "SUPERADMIN_EMAIL": SUPERADMIN,
            "RATE_LIMIT_LOGIN_IP_MAX": "100000",
            "RATE_LIMIT_LOGIN_EMAIL_MAX": "100000",
            "RATE_LIMIT_OTP_IP_MAX": "100000",
            **{name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")},
            **{name: str(value) for name, value in settings.items()},
        }
        self.process = None

    def start(self):
        """Returns when the server has said that it is ready."""
        log = open(self.log_path, "ab")
        fd = self.socket.fileno()
        # The socket is ours and passed as systemd does it, so that no other process can take its port.
        script = f'exec 3<&{fd} {fd}<&-; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" serve'
        if fd == 3:
            script = 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" serve'
        self.process = subprocess.Popen([*WITH_US, "/bin/bash", "-c", script, SINAS], env=self.environment, cwd=self.directory,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, pass_fds=[fd])
        log.close()
        line = self.process.stdout.readline().decode()
        if line != f"ready {self.url}\n":
            self.process.kill()
            raise AssertionError(f"the server said {line!r}; its log:\n{self.log()[-4000:]}")
        return self

    def stop(self):
        """Ends it as systemd does. Its exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=30)
        self.process.stdout.close()
        self.process = None
        return status

    def close(self):
        try:
            self.stop()
        finally:
            self.socket.close()
            subprocess.run(["rm", "-rf", self.directory], check=True)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def run(self, *words, check=True, **settings):
        """Another command of the program with the same settings, such as create-api-key."""
        return subprocess.run([SINAS, *words], env={**self.environment, **settings}, cwd=self.directory, check=check,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def psql(self, sql):
        return self.servers.psql(sql, self.database_url)

    # ---- its processes ----

    def children(self):
        """Title → pid of every process that the supervisor runs now."""
        found = {}
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if len(words) > 4 and words[1] == b"--process" and words[3] == b"%d" % self.process.pid:
                found[words[4].decode()] = int(path.parent.name)
        return found

    def kill(self, title, number=signal.SIGKILL):
        pid = self.children()[title]
        os.kill(pid, number)
        return pid

    # ---- callers ----

    def client(self, credential=None, **more):
        headers = {"Authorization": f"Bearer {credential}"} if credential else {}
        return Client(self.url, headers, **more)

    def new_key(self, *permissions):
        """A fresh API key of the superadmin, who must be seeded."""
        words = [word for permission in permissions for word in ("--permission", permission)]
        return self.run("create-api-key", "--name", "test", *words).stdout.strip()

    def login_code(self, email, after):
        """The code that the log shows for an address, behind an offset of the log."""
        pattern = re.compile(r"^.*\b" + re.escape(email) + r"\b.*?\b(\d{6})\b\s*$", re.M)
        return until(lambda: pattern.search(self.log()[after:]), what=f"login code of {email}")[1]

    def login(self, email):
        """Signs in with a code. The answer with tokens and user."""
        after = len(self.log())
        answer = self.client().post("/auth/login", {"email": email})
        assert answer.status == 200, answer
        code = self.login_code(email, after)
        answer = self.client().post("/auth/verify-otp",
                                    {"session_id": answer.json()["session_id"], "otp_code": code})
        assert answer.status == 200, answer
        return answer.json()

    def make_user(self, email, roles=("Users",)):
        """A signed-in client of a user who has exactly these roles; its .user is the user's object."""
        quoted = ", ".join(f"'{role}'" for role in roles)
        self.psql(f"insert into users (email) values ('{email}') on conflict do nothing")
        self.psql(f"update user_roles set active = false from users u where u.id = user_id and u.email = '{email}'")
        if roles:
            self.psql("insert into user_roles (role_id, user_id) select r.id, u.id from roles r, users u"
                      f" where u.email = '{email}' and r.name in ({quoted})"
                      " on conflict (role_id, user_id) do update set active = true")
        answer = self.login(email)
        client = self.client(answer["access_token"])
        client.user = answer["user"]
        client.tokens = answer
        return client


class MakeRun:
    """An instance that `make run` started, in a directory of its own."""

    def __init__(self, var_name="var", port=None, **settings):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sinas-run-test-"))
        self.directory.chmod(0o755)
        self.var = self.directory / var_name
        self.log_path = self.directory / "log"
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = settings
        self.process = None
        self.ready_line = None

    def environment(self):
        """Nothing of the tests' own servers and providers."""
        dropped = {"DATABASE_URL", "REDIS_URL", "OPENAI_API_KEY", "OLLAMA_HOST", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
        return {name: value for name, value in os.environ.items() if name not in dropped} | self.settings

    def command(self, target):
        return ["make", "-s", "-C", str(ROOT), target, f"PORT={self.port}", f"VAR={self.var}", *BUILD_VARIABLES]

    def make(self, target):
        return subprocess.run(self.command(target), env=self.environment(), check=True, stdout=subprocess.PIPE,
                              text=True).stdout

    def start(self):
        """Returns when the ready line has come: of a first start also the installation of the model."""
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen([*WITH_US, *self.command("run")], env=self.environment(), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
        log.close()
        self.ready_line = next((line for line in self.process.stdout if line.startswith("ready ")), None)
        assert self.ready_line, self.log()[-4000:]
        return self

    def require_model(self):
        """Fails without the local model, or skips where that is allowed: the package index may be out of reach."""
        if "could not be fetched" in self.log():
            assert os.environ.get("ALLOW_SKIP") == "1", self.log()[-4000:]
            pytest.skip("the local model could not be fetched")

    def stop(self, number=signal.SIGTERM):
        """As Ctrl-C does, or systemd: the signal goes to make and what it runs in the foreground."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        self.process.stdout.read()
        status = self.process.wait(timeout=60)
        self.process.stdout.close()
        self.process = None
        return status

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=60)
        self.process.stdout.close()
        self.process = None

    def close(self):
        try:
            self.stop()
        finally:
            subprocess.run(["rm", "-rf", self.directory], check=True)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def client(self, credential=None, **more):
        return Client(self.url, {"Authorization": f"Bearer {credential}"} if credential else {}, **more)
