"""What is measured, and what it is measured with: processes, nginx, the vendor, the load generator, pgbench, the
statements that the server really sends."""

import contextlib
import itertools
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[1]
HERE = ROOT / "bench"
TOOLS = ROOT / "build" / "bench"
sys.path.insert(0, str(ROOT / "tests" / "api"))

from harness import SUPERADMIN, WITH_US, Servers, Sinas, free_port, until  # noqa: E402

median = statistics.median
CHATS = 2048 # of each kind
HISTORY = 10 # messages of a chat at the beginning
# Agents, and what the vendor answers for them: see vendor.c.
KINDS = {
    "one": "bench-1-0", "frames": "bench-64-0", "few": "bench-64-1", "many": "bench-1064-1", "steady": "bench-150-100",
    "burst": "bench-200-1-2500", "wait": "bench-1-0-60000",
}


def read(path):
    return pathlib.Path(path).read_text()


# ---- processes ----

def children_of(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(word) for word in task.read_text().split()]
    return found


def cpu_us(pids):
    """On the processor so far, of all their threads, in µs."""
    total = 0
    for pid in pids:
        for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                total += int(path.read_text().split()[0])
            except OSError:
                pass
    return total / 1000


def ended_children_us(pid):
    """The same of its children that have ended."""
    fields = read(f"/proc/{pid}/stat").rsplit(") ", 1)[1].split()
    return (int(fields[13]) + int(fields[14])) * 1e6 / os.sysconf("SC_CLK_TCK")


def switches(pid):
    return sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)", read(f"/proc/{pid}/status")))


def pss_kb(pid):
    return int(re.search(r"^Pss:\s+(\d+)", read(f"/proc/{pid}/smaps_rollup"), re.M)[1])


def kernel_kb():
    """What sockets and other kernel objects take, of the whole machine."""
    info = read("/proc/meminfo")
    pages = int(re.search(r"^TCP:.*mem (\d+)", read("/proc/net/sockstat"), re.M)[1])
    return int(re.search(r"^Slab:\s+(\d+)", info, re.M)[1]) + pages * 4


# ---- the other sides ----

NGINX = """
daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log;
load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
events {{ worker_connections 8192; }}
http {{
    access_log {directory}/access.log;
    keepalive_requests 1000000000;
    server_tokens off;
    upstream vendor {{ server 127.0.0.1:{vendor}; keepalive 1024; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /health {{
            default_type application/json;
            add_header X-Request-ID $request_id;
            add_header X-Content-Type-Options nosniff;
            add_header Referrer-Policy strict-origin-when-cross-origin;
            add_header X-XSS-Protection "1; mode=block";
            add_header X-Frame-Options SAMEORIGIN;
            return 200 '{{"status":"healthy"}}';
        }}
        location /v1/ {{
            proxy_pass http://vendor; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_buffering off; proxy_read_timeout 300s;
        }}
        location = /publish {{ nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 1000; }}
        location = /subscribe {{ nchan_subscriber eventsource; nchan_channel_id bench; }}
    }}
}}
"""


class Nginx:
    def __init__(self, directory, vendor_port):
        self.directory = directory / "nginx"
        self.directory.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        config = self.directory / "conf"
        config.write_text(NGINX.format(directory=self.directory, vendor=vendor_port, port=self.port))
        self.process = subprocess.Popen([*WITH_US, "nginx", "-p", self.directory, "-c", config], stderr=subprocess.DEVNULL)
        until(lambda: children_of(self.process.pid), what="nginx")
        self.worker = children_of(self.process.pid)[0]

    def close(self):
        self.process.terminate()
        self.process.wait()


class Vendor:
    def __init__(self):
        self.process = subprocess.Popen([*WITH_US, TOOLS / "vendor", "0"], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


def start_load(url, *options):
    return subprocess.Popen([*WITH_US, TOOLS / "load", *map(str, options), url], stdout=subprocess.PIPE, text=True)


def load(url, *options):
    """One run of bench/load.c. Its report; errors are not accepted."""
    process = start_load(url, *options)
    text = process.communicate()[0]
    report = json.loads(text)
    if report["errors"] or not report["ok"]:
        raise SystemExit(f"bench: load {' '.join(map(str, options))} {url}: {text}")
    return report


# ---- the statements of an operation ----

class Statement:
    """As the server prepared it, with the values it was executed with."""

    def __init__(self, text):
        self.text, self.values = text, {}


def parse_values(detail):
    found = {}
    for match in re.finditer(r"\$(\d+) = (NULL|'(?:[^']|'')*')", detail):
        found[int(match[1])] = None if match[2] == "NULL" else match[2][1:-1].replace("''", "'")
    return found


class Bed:
    """Everything that runs: PostgreSQL with fsync, Redis, the server, the vendor, nginx."""

    def __init__(self):
        self.servers = Servers()
        self.directory = pathlib.Path(self.servers.directory)
        self.tune_postgres()
        self.vendor = Vendor()
        self.nginx = Nginx(self.directory, self.vendor.port)
        self.sinas = Sinas(self.servers, ACCESS_TOKEN_EXPIRE_MINUTES=600).start()
        self.key = self.sinas.new_key("sinas.*:all")
        self.api = self.sinas.client(self.key)
        self.header = ("-H", f"Authorization: Bearer {self.key}")
        self.pg_master = int(read(self.directory / "pg" / "postmaster.pid").split()[0])
        self.redis = int(read(self.directory / "redis.pid"))
        self.types = statement_types()
        self.turns = itertools.count()
        self.superadmin = SUPERADMIN

    def close(self):
        for thing in (self.sinas, self.nginx, self.vendor, self.servers):
            thing.close()

    def tune_postgres(self):
        """As in production: the tests' own settings are for small databases."""
        with open(self.directory / "pg" / "postgresql.conf", "a") as config:
            config.write("shared_buffers = 256MB\nmax_wal_size = 4GB\nfsync = on\nsynchronous_commit = on\n")
        self.servers.control("postgres-stop")
        self.servers.control("postgres-start")

    # ---- processes ----

    @property
    def reactor(self):
        return server_processes(self.sinas)["reactor"][0]

    @property
    def llm(self):
        return server_processes(self.sinas)["llm"]

    def processes(self):
        return {"reactor": [self.reactor], "llm": self.llm, "postgres": children_of(self.pg_master), "redis": [self.redis],
                "vendor": [self.vendor.process.pid], "nginx": [self.nginx.worker]}

    def cpu_now(self):
        now = {name: cpu_us(pids) for name, pids in self.processes().items()}
        now["postgres"] += ended_children_us(self.pg_master)
        return now

    def spent(self, run):
        """What run() returns, and the µs that each process was on the processor meanwhile."""
        before = self.cpu_now()
        result = run()
        after = self.cpu_now()
        return result, {name: after[name] - before[name] for name in before}

    # ---- statements ----

    def log_statements(self, on):
        for name, value in (("log_statement", "all"), ("log_min_messages", "log"), ("log_line_prefix", "@")):
            self.servers.psql(f"alter system set {name} = '{value}'" if on else f"alter system reset {name}")
        self.servers.psql("select pg_reload_conf()")
        time.sleep(0.1)

    def statements(self, operation):
        """What the server executes for one operation, in order. Everything is prepared before."""
        operation()
        path = self.directory / "pg" / "log"
        self.log_statements(True)
        try:
            for _ in range(8):  # on each connection
                operation()
            time.sleep(0.1)
            start = path.stat().st_size
            operation()
            time.sleep(0.1)
            with open(path) as log:
                log.seek(start)
                text = log.read()
        finally:
            self.log_statements(False)
        found = []
        for entry in re.split(r"^@", text, flags=re.M):
            if match := re.match(r"LOG:  execute \S+: (.*)", entry, re.S):
                found.append(Statement(match[1].replace("\n\t", "\n").strip()))
            elif entry.startswith("DETAIL:  parameters:") and found:
                found[-1].values = parse_values(entry)
        return found

    # ---- pgbench ----

    def pgbench(self, script, clients, seconds):
        """Transactions per second, and the average latency in ms."""
        path = self.directory / "script.sql"
        text, variables = script
        path.write_text(text)
        url = self.sinas.database_url
        done = subprocess.run(["pgbench", "-n", "-M", "prepared", "-c", str(clients), "-T", str(seconds), "-f", path,
                               *(f"-D{name}={content}" for name, content in variables.items()), url],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise SystemExit(f"bench: pgbench: {done.stderr}\n{text}")
        report = done.stdout
        if failed := int(re.search(r"number of failed transactions: (\d+)", report)[1]):
            raise SystemExit(f"bench: pgbench: {failed} transactions failed")
        return float(re.search(r"tps = ([\d.]+)", report)[1]), float(re.search(r"latency average = ([\d.]+)", report)[1])

    def script(self, statements, replace=(), at_once=False, before=""):
        """A pgbench script of these statements, whose values are its variables and so parameters, as the server's are.
        replace: value → expression. at_once: in one flush, as the server sends them."""
        lines, variables = [], {}
        for number, statement in enumerate(statements):
            types = self.types.get(squeeze(statement.text), {})

            def value(match, number=number, statement=statement, types=types):
                n = int(match[1])
                content = statement.values[n]
                cast = f"::{types[n]}" if n in types else ""
                if content is None:
                    return "null" + cast
                if not types and re.fullmatch(r'\{[^:"]*\}', content):
                    cast = "::text[]" # the statements of resource kinds declare no types but these
                if content in replace:
                    return f"({replace[content]}){cast}"
                variables[f"v{number}_{n}"] = content
                return f":v{number}_{n}{cast}"

            lines.append(re.sub(r"\$(\d+)", value, without_colons(statement.text)).rstrip(";") + ";\n")
        if at_once:
            lines = ["\\startpipeline\n", *lines, "\\endpipeline\n"]
        return before + "".join(lines), variables

    def message_statements(self):
        """Those of a whole chat message, with the values that differ from message to message as expressions of pgbench."""
        chat = self.chat_ids("one")[0]
        statements = [statement for statement in self.statements(lambda: self.say(chat)) if not is_background(statement.text)]
        channel = self.sinas.psql(f"select channel_id from turns where chat_id = '{chat}'")
        replace = {chat: "lpad(to_hex(:n::bigint), 32, '0')", channel: "lpad(to_hex(:r::bigint), 32, 'f')"}
        return statements, replace

    def message_script(self, only=("",)):
        """The statements of a message that hold one of these words; each client of pgbench has chats of its own."""
        statements, replace = self.message_statements()
        first = int(self.chat_ids("one")[0].replace("-", ""), 16)
        before = (f"\\set n {first} + :client_id + 32 * random(0, {CHATS // 32 - 1})\n"
                  "\\set r random(1, 1000000000000)\n")
        chosen = [statement for statement in statements if any(word in statement.text for word in only)]
        return self.script(chosen, replace, before=before), statements

    def say(self, chat):
        answer = self.api.post(f"/chats/{chat}/messages", {"content": "Say something."})
        assert answer.status == 200, answer

    # ---- what there is in the database ----

    def prepare(self):
        self.make_provider()
        for kind, model in KINDS.items():
            self.must(201, self.api.post("/api/v1/agents", {
                "namespace": "bench", "name": kind, "model": model, "description": "An agent of the benchmark",
                "system_prompt": "You are a helpful assistant. Answer in one sentence."}))
        for n in range(100 - len(KINDS) - 1):
            self.must(201, self.api.post("/api/v1/agents", {"name": f"agent{n}", "description": "One of many",
                                                            "system_prompt": "You are a helpful assistant."}))
        self.make_chats()
        self.make_user()

    @staticmethod
    def must(status, answer):
        assert answer.status == status, answer
        return answer

    def make_provider(self):
        self.must(201, self.api.post("/api/v1/llm-providers", {
            "name": "bench", "provider_type": "openai", "api_key": "sk-bench", "api_endpoint": self.vendor.url + "/v1",
            "default_model": "bench-64-0", "is_default": True}))

    def make_chats(self):
        """For each kind of agent CHATS chats with numbers as ids, so that pgbench can compute them."""
        self.sinas.psql(f"""
            insert into chats (id, user_id, agent_id, agent_namespace, agent_name, title, keep_alive, last_seq, last_message_at)
            select lpad(to_hex(k.n * {CHATS} + c), 32, '0')::uuid, u.id, a.id, a.namespace, a.name, 'bench',
                   a.name in ('wait', 'burst'), {HISTORY}, now()
              from users u, unnest(array{list(KINDS)}) with ordinality k (name, n)
              join agents a on a.namespace = 'bench' and a.name = k.name, generate_series(0, {CHATS - 1}) c
             where u.email = '{self.superadmin}';
            insert into messages (chat_id, seq, role, content, content_is_parts)
            select c.id, s, case when s % 2 = 1 then 'user' else 'assistant' end, 'A message of medium length, number ' || s, false
              from chats c, generate_series(1, {HISTORY}) s;
            insert into turns (chat_id, channel_id, node_id, generation, user_id, ended_at)
            select id, gen_random_uuid(), gen_random_uuid(), 1, user_id, now() from chats;
            analyze""")

    def chat_ids(self, kind, count=CHATS):
        first = (list(KINDS).index(kind) + 1) * CHATS
        return [str(uuid.UUID(int=first + n)) for n in range(count)]

    def paths(self, kind, what, count=CHATS):
        """A file of paths for bench/load.c."""
        path = self.directory / f"paths-{kind}"
        path.write_text("".join(f"/chats/{chat}/{what}\n" for chat in self.chat_ids(kind, count)))
        return path

    def make_user(self):
        """Somebody with 200 grants."""
        self.sinas.psql("""
            insert into roles (name, description) values ('bench', 'Many grants');
            insert into role_permissions (role_id, permission_key, permission_value)
            select id, 'sinas.agents/bench/a' || n || '.chat:own', true from roles, generate_series(0, 199) n where name = 'bench';
            update auth_epoch set epoch = epoch + 1""")
        self.user_token = self.sinas.make_user("many@bench.test", ("bench",)).tokens["access_token"]

    # ---- turns that others watch ----

    @contextlib.contextmanager
    def turn(self, kind):
        """A running turn: its chat and channel."""
        chat = self.chat_ids(kind)[next(self.turns)]
        with self.api.stream("POST", f"/chats/{chat}/messages/stream", {"content": "Say something."}):
            yield chat, self.sinas.psql(f"select channel_id from turns where chat_id = '{chat}'")
        self.api.delete(f"/chats/{chat}")

    @contextlib.contextmanager
    def counted(self):
        """The pids' counters of another server on the same database, whose allocations are counted."""
        directory = self.directory / "mallocs"
        directory.mkdir()
        other = Sinas(self.servers, self.sinas.database_url, self.sinas.redis_url, LD_PRELOAD=TOOLS / "mallocs.so",
                      MALLOCS_DIRECTORY=directory).start()
        try:
            yield other, lambda: {name: sum(int.from_bytes((directory / str(pid)).read_bytes()[:8], "little") for pid in pids)
                                  for name, pids in server_processes(other).items()}
        finally:
            other.close()


def server_processes(sinas):
    found = {"reactor": [], "llm": []}
    for title, pid in sinas.children().items():
        for name in found:
            if title.startswith(name):
                found[name].append(pid)
    return found


def is_background(text):
    """What is done now and then, not per operation."""
    return text.startswith(("update api_keys set last_used_at", "insert into nodes"))


def without_colons(text):
    """Texts with a colon in them, which pgbench would take for a variable, written with its number."""
    def literal(match):
        if not re.search(r":\w", match[0]):
            return match[0]
        return "U&" + match[0].replace("\\", "\\\\").replace(":", "\\003a")

    return re.sub(r"'(?:[^']|'')*'", literal, text)


def squeeze(text):
    return re.sub(r"\s+", " ", text).strip().rstrip(";")


def statement_types():
    """Text of a named statement → number of a parameter → its type."""
    found = {}
    for path in (ROOT / "sql").glob("*.sql"):
        for part in re.split(r"^-- name: ", path.read_text(), flags=re.M)[1:]:
            params = ",".join(re.findall(r"^-- params: (.*)", part, re.M))
            body = re.split(r";\s*$", re.sub(r"^--.*\n?", "", part.split("\n", 1)[1], flags=re.M), flags=re.M)[0]
            names = [word.split()[1].rstrip("?").replace("double", "double precision") for word in params.split(",") if word.strip()]
            found[squeeze(body)] = dict(enumerate(names, 1))
    return found
