"""The rows of the table. Each is a generator of results; those without a must only inform."""

import json
import re
import signal
import subprocess
import threading
import time

from side import TOOLS, WITH_US, load, kernel_kb, median, pss_kb, read, start_load, switches

PAIRS = 5
SECONDS = 0.8
VENDOR_64 = ("-e", "[DONE]", "-b", '{"model":"bench-64-0","stream":true,"messages":[{"role":"user","content":"Say something."}]}')
SAY = ("-b", '{"content":"Say something."}')
STREAM_END = ("-e", "event: done")
EVENT = '{"content":" benchmark","tool_calls":null,"finish_reason":null}'


class Result:
    def __init__(self, name, value, unit="", must=None, aim=None, is_most=False, notes=""):
        self.name, self.value, self.unit, self.must, self.aim, self.is_most, self.notes = name, value, unit, must, aim, is_most, notes

    def meets(self, bound):
        return self.value <= bound if self.is_most else self.value >= bound

    def is_ok(self):
        return self.meets(self.must)

    def line(self):
        value = f"{self.value:.3g}" if self.value < 1000 else f"{self.value:.0f}"
        text = f"{self.name:<52} {value:>7} {self.unit:<3}"
        if self.must is not None:
            sign = "≤" if self.is_most else "≥"
            verdict = "MISSED" if not self.is_ok() else "ok" if not self.meets(self.aim) else "ok, aim met"
            text += f" must {sign} {self.must:<5g} aim {self.aim:<5g} {verdict}"
        return text + (f"\n    {self.notes}" if self.notes else "")


class Side:
    """Runs of one side: what each gave, and what it cost."""

    def __init__(self, bed, run):
        self.bed, self.run = bed, run
        self.values, self.costs = [], []

    def once(self):
        (value, operations), spent = self.bed.spent(self.run)
        self.values.append(value)
        self.costs.append({name: us / operations for name, us in spent.items()})

    def value(self):
        return median(self.values)

    def cost(self, name):
        return median([cost[name] for cost in self.costs])

    def costs_text(self):
        names = [name for name in self.costs[0] if self.cost(name) >= 0.5]
        return "CPU-µs " + ", ".join(f"{name} {self.cost(name):.0f}" for name in names)


def pairs(bed, ours, theirs, count=PAIRS):
    """Both sides in turn, so that whatever else the machine does meets both."""
    a, b = Side(bed, ours), Side(bed, theirs)
    for i in range(count):
        for side in ((a, b) if i % 2 == 0 else (b, a)):
            side.once()
    return a, b


def ratio(a, b):
    return median([x / y for x, y in zip(a.values, b.values)])


def rate(url, *options, seconds=SECONDS):
    """Requests per second, as a side's run."""
    def run():
        report = load(url, "-d", seconds, *options)
        return report["per_second"], report["ok"]
    return run


def pgbench(bed, script, clients, seconds=1):
    def run():
        tps, _ = bed.pgbench(script, clients, seconds)
        return tps, tps * seconds
    return run


def syscalls(bed, operation, count):
    """System calls of the reactor per operation, by strace."""
    path = TOOLS / "strace"
    tracer = subprocess.Popen([*WITH_US, "strace", "-c", "-o", path, "-p", str(bed.reactor)], stderr=subprocess.PIPE, text=True)
    tracer.stderr.readline() # attached
    operation()
    tracer.send_signal(signal.SIGINT)
    tracer.wait()
    tracer.stderr.close()
    calls = {}
    for line in read(path).splitlines():
        words = line.split()
        if len(words) >= 5 and words[3].isdigit() and words[-1] != "total":
            calls[words[-1]] = int(words[3]) / count
    most = sorted(calls.items(), key=lambda item: -item[1])[:6]
    return sum(calls.values()), ", ".join(f"{name} {n:.1f}" for name, n in most if n >= 0.01)


def round_trips(bed, operation):
    """How often one operation waits for PostgreSQL: sends to it with a wait for events in between."""
    path = TOOLS / "strace"
    tracer = subprocess.Popen([*WITH_US, "strace", "-e", "trace=sendto,epoll_wait,epoll_pwait", "-s", "1", "-o", path, "-p", str(bed.reactor)],
                              stderr=subprocess.PIPE, text=True)
    tracer.stderr.readline()
    operation()
    tracer.send_signal(signal.SIGINT)
    tracer.wait()
    tracer.stderr.close()
    waits, has_waited = 0, True
    for line in read(path).splitlines():
        if "epoll" in line:
            has_waited = True
        elif re.match(r'sendto\(\d+, "[BPQ]"', line) and has_waited:
            waits += 1
            has_waited = False
    return waits


# ---- rows ----

def health(bed):
    options = ("-c", 8)
    run = lambda url: (lambda: (lambda r: (r["per_second"], r["ok"]))(load(url + "/health", "-d", SECONDS, *options)))
    a, b = pairs(bed, run(bed.sinas.url), run(bed.nginx.url))
    value = median([x["reactor"] / y["nginx"] for x, y in zip(a.costs, b.costs)])
    wrk = re.search(r"Requests/sec:\s+([\d.]+)", subprocess.run(
        ["wrk", "-t1", "-c8", "-d1s", bed.sinas.url + "/health"], stdout=subprocess.PIPE, text=True).stdout)[1]
    count, names = syscalls(bed, lambda: load(bed.sinas.url + "/health", "-n", 200), 200)
    yield Result("/health, CPU per request ÷ nginx return 200", value, must=1.5, aim=0.9, is_most=True,
                 notes=f"{a.cost('reactor'):.1f} µs against {b.cost('nginx'):.1f} µs; {a.value():.0f}/s against {b.value():.0f}/s"
                       f" (wrk: {float(wrk):.0f}/s); syscalls {count:.1f}: {names}")
    logged = Side(bed, rate(bed.sinas.url + "/info", *options))
    for _ in range(PAIRS):
        logged.once()
    yield Result("  /info, which is in the access log, ÷ the same", logged.cost("reactor") / b.cost("nginx"),
                 notes=f"{logged.cost('reactor'):.1f} µs")


def operation_row(bed, name, request, path, options, clients=8, at_once=True, **bounds):
    statements = bed.statements(request)
    script = bed.script(statements, at_once=at_once and len(statements) > 1)
    a, b = pairs(bed, rate(bed.sinas.url + path, "-c", clients, *bed.header, *options), pgbench(bed, script, clients))
    count, names = syscalls(bed, lambda: load(bed.sinas.url + path, "-n", 100, *bed.header, *options), 100)
    waits = round_trips(bed, lambda: load(bed.sinas.url + path, "-n", 1, *bed.header, *options))
    yield Result(name, ratio(a, b), **bounds,
                 notes=f"{a.value():.0f}/s against {b.value():.0f}/s; {a.costs_text()}; pgbench: {b.costs_text()}\n"
                       f"    {len(statements)} statements, {waits} PostgreSQL waits; syscalls {count:.1f}: {names}")
    yield Result("  PostgreSQL waits", waits, must=1, aim=1, is_most=True)


def get_agent(bed):
    path = "/api/v1/agents/bench/one"
    yield from operation_row(bed, "GET agent, c=8, ÷ pgbench", lambda: bed.api.get(path), path, (), must=0.5, aim=0.75)


def list_agents(bed):
    path = "/api/v1/agents?limit=100"
    assert len(bed.api.get(path).json()) == 100
    yield from operation_row(bed, "list of 100 agents, c=8, ÷ pgbench", lambda: bed.api.get(path), path, (), must=0.5, aim=0.75)


def check_permissions(bed):
    path = "/auth/check-permissions"
    body = json.dumps({"permissions": [f"sinas.agents/bench/a{n}.chat:own" for n in range(0, 400, 20)], "logic": "OR"})
    client = bed.api.with_headers(Authorization=f"Bearer {bed.user_token}")
    answer = client.request("POST", path, body=body.encode(), headers={"Content-Type": "application/json"})
    assert answer.status == 200 and answer.json()["result"], answer
    header = bed.header
    bed.header = ("-H", f"Authorization: Bearer {bed.user_token}")
    try:
        yield from operation_row(bed, "check-permissions, 200 grants, c=8, ÷ pgbench",
                                 lambda: client.request("POST", path, body=body.encode(), headers={"Content-Type": "application/json"}),
                                 path, ("-b", body), must=0.5, aim=0.75)
    finally:
        bed.header = header


def first_token(bed):
    """Each side's median of 40 answers, 20 ms apart; what the direct way takes is taken off."""
    pace = ("-c", 1, "-n", 40, "-r", 50)
    ours = (*pace, *bed.header, *SAY, *STREAM_END, "-p", bed.paths("frames", "messages/stream", 200))
    direct = (*pace, *VENDOR_64)
    commits, _ = bed.message_script(("into turns", "update turns"))

    def first(url, *options):
        return load(url, *options)["first_event_us"]["p50"]

    rows = []
    for _ in range(PAIRS):
        none = first(bed.vendor.url + "/v1/chat/completions", *direct)
        proxied = first(bed.nginx.url + "/v1/chat/completions", *direct)
        own = first(bed.sinas.url + "/", *ours)
        commit = bed.pgbench(commits, 1, 1)[1] / 2 * 1000
        rows.append((none, proxied, own, commit))
    none, proxied, own, commit = (median(column) for column in zip(*rows))
    value = median([(r[2] - r[0] - r[3]) / max(r[1] - r[0], 1) for r in rows])
    yield Result("first token, idle, added time ÷ nginx's", value, must=3, aim=2, is_most=True,
                 notes=f"first event after {none:.0f} µs directly, {proxied:.0f} µs through nginx, {own:.0f} µs here,"
                       f" of which {commit:.0f} µs are the commit (pgbench)")


def streams(bed):
    ours = ("-c", 32, *bed.header, *SAY, *STREAM_END, "-p", bed.paths("frames", "messages/stream"))
    a, b = pairs(bed, rate(bed.sinas.url + "/", *ours, seconds=1), rate(bed.nginx.url + "/v1/chat/completions", "-c", 32, *VENDOR_64))
    ceiling = median([load(bed.vendor.url + "/v1/chat/completions", "-c", 32, "-d", 0.5, *VENDOR_64)["per_second"] for _ in range(3)])
    reactor, llm = bed.reactor, bed.llm
    before = [switches(pid) for pid in [reactor, *llm]]
    report = load(bed.sinas.url + "/", "-n", 640, *ours)
    after = [switches(pid) for pid in [reactor, *llm]]
    frames = report["events"]
    count, names = syscalls(bed, lambda: load(bed.sinas.url + "/", "-n", 64, *ours), 64 * 64)
    yield Result("streamed answers, 64 frames, c=32, ÷ nginx", ratio(a, b), must=0.3, aim=0.6,
                 notes=f"{a.value():.0f}/s against {b.value():.0f}/s; the vendor's ceiling is {ceiling:.0f}/s; per answer {a.costs_text()};"
                       f" nginx: {b.costs_text()}\n"
                       f"    per frame: reactor {a.cost('reactor') / 64:.1f} µs, llm {a.cost('llm') / 64:.1f} µs; context switches"
                       f" {(after[0] - before[0]) / frames:.3f} reactor, {(sum(after[1:]) - sum(before[1:])) / frames:.3f} llm;"
                       f" syscalls of the reactor {count:.2f}: {names}")


def messages(bed):
    path = bed.paths("one", "messages")
    ours = ("-c", 32, *bed.header, *SAY, "-p", path)
    script, statements = bed.message_script()
    a, b = pairs(bed, rate(bed.sinas.url + "/", *ours, seconds=1), pgbench(bed, script, 32))
    ceiling = load(bed.vendor.url + "/v1/chat/completions", "-c", 32, "-d", 0.5, "-b", VENDOR_64[-1].replace("64", "1"))["per_second"]
    count, names = syscalls(bed, lambda: load(bed.sinas.url + "/", "-n", 20, "-c", 1, *ours[2:]), 20)
    waits = round_trips(bed, lambda: load(bed.sinas.url + "/", "-n", 1, "-c", 1, *ours[2:]))
    commits = sum(not re.match(r"\s*(--[^\n]*\n\s*)*(select|with newest)", s.text) for s in statements)
    yield Result("chat message, 1 frame, c=32, ÷ pgbench", ratio(a, b), must=0.4, aim=0.7,
                 notes=f"{a.value():.0f}/s against {b.value():.0f}/s; the vendor's ceiling is {ceiling:.0f}/s; {a.costs_text()};"
                       f" pgbench: {b.costs_text()}\n"
                       f"    {len(statements)} statements, {commits} commits, {waits} PostgreSQL waits; syscalls {count:.0f}: {names}")
    yield Result("  commits per message", commits, must=2, aim=2, is_most=True)


def allocations(bed):
    """Per relayed frame: what 1 000 further frames cost, 1 ms apart so that none are handled together."""
    counts = {}
    with bed.counted() as (other, counters):
        for kind in ("few", "many", "few", "many"): # the first two warm up
            before = counters()
            load(other.url + "/", "-n", 1, *bed.header, *SAY, *STREAM_END, "-p", bed.paths(kind, "messages/stream", 1))
            time.sleep(0.1)
            after = counters()
            counts[kind] = {name: after[name] - before[name] for name in after}
    per = {name: (counts["many"][name] - counts["few"][name]) / 1000 for name in counts["few"]}
    yield Result("allocations per relayed frame, reactor", per["reactor"], must=None,
                 notes=f"aim 0; llm worker {per['llm']:.2f}")


def idle_clients(bed):
    """10 000 subscribers of a stream that says nothing, of a server that has done nothing else."""
    count = 10000
    bed.sinas.stop()
    bed.sinas.start()
    with bed.turn("wait") as (chat, channel):
        url = f"{bed.sinas.url}/chats/{chat}/stream/{channel}"
        start_load(url, "-i", "-c", 10, "-d", 0.3, *bed.header).communicate() # what the first one needs is there
        before, kernel = pss_kb(bed.reactor), kernel_kb()
        waiting = start_load(url, "-i", "-c", count, "-d", 8, *bed.header)
        time.sleep(6)
        connected = int(read("/proc/net/sockstat").split("TCP: inuse ")[1].split()[0])
        after, kernel_after = pss_kb(bed.reactor), kernel_kb()
        assert waiting.wait() in (0, 1)
        waiting.stdout.close()
    yield Result("idle SSE client, PSS", (after - before) / count, "KB", must=3, aim=1.5, is_most=True,
                 notes=f"{before} KB → {after} KB with {count} clients ({connected} sockets in use);"
                       f" kernel, both ends: {(kernel_after - kernel) / count:.1f} KB per connection")


def broadcast(bed):
    clients, events = 1000, 200

    def ours():
        with bed.turn("burst") as (chat, channel):
            report = load(f"{bed.sinas.url}/chats/{chat}/stream/{channel}", "-c", clients, "-n", clients, "-d", 20, *bed.header, *STREAM_END)
        assert report["events"] >= clients * events, report
        return report["events"] / report["events_seconds"], report["events"]

    def theirs():
        waiting = start_load(bed.nginx.url + "/subscribe", "-i", "-c", clients, "-d", 4, "-H", "Accept: text/event-stream")
        time.sleep(0.7)
        publishing = load(bed.nginx.url + "/publish", "-c", 4, "-n", events, "-b", EVENT)
        report = json.loads(waiting.communicate()[0])
        assert report["events"] >= clients * publishing["ok"] * 0.99, report
        return report["events"] / report["events_seconds"], report["events"]

    a, b = pairs(bed, ours, theirs, 5)
    yield Result(f"one channel to {clients} clients, events/s ÷ nchan", ratio(a, b), must=1.0, aim=1.6,
                 notes=f"{a.value():.0f}/s against {b.value():.0f}/s; per delivery {a.cost('reactor'):.2f} µs against {b.cost('nginx'):.2f} µs")


def json_speed(bed):
    report = json.loads(subprocess.run([TOOLS / "json"], check=True, stdout=subprocess.PIPE, text=True).stdout)
    for row in report:
        yield Result(f"JSON {row['name']}, MB/s ÷ jansson", row["own"] / row["jansson"], must=5, aim=10,
                     notes=f"{row['own']:.0f} MB/s; jansson {row['jansson']:.0f}; a scan of the bytes {row['scan']:.0f} (× {row['scan'] / row['own']:.1f})")


def health_under_load(bed):
    """500 chats with 10 frames a second each, and bodies of 10 MiB one after the other."""
    options = (*bed.header, *SAY)
    chats = start_load(bed.sinas.url + "/", "-c", 500, "-n", 500, "-d", 30, *options, *STREAM_END, "-p", bed.paths("steady", "messages/stream", 500))
    time.sleep(2.5)
    document = '{"content":[' + ",".join(['{"type":"text","text":"word"}'] * 360000)[:10 * 1024 * 1024 - 600] # cut: 10 MiB parsed, then refused
    stop = threading.Event()
    sent = []

    def bodies():
        while not stop.is_set():
            bed.api.request("POST", "/api/v1/skills", body=document.encode(), headers={"Content-Type": "application/json"})
            sent.append(1)

    sender = threading.Thread(target=bodies)
    sender.start()
    p99 = [load(bed.sinas.url + "/health", "-c", 20, "-r", 500, "-d", 1)["latency_us"]["p99"] / 1000 for _ in range(PAIRS)]
    stop.set()
    sender.join()
    quiet = json.loads(chats.communicate()[0])
    assert quiet["errors"] == 0, quiet
    yield Result("/health p99, 500 chats and 10 MiB bodies", median(p99), "ms", must=20, aim=5, is_most=True,
                 notes=f"{min(p99):.1f} to {max(p99):.1f} ms; {len(sent)} bodies meanwhile; chats: first event p50"
                       f" {quiet['first_event_us']['p50'] / 1000:.0f} ms, {quiet['events_per_second']:.0f} events/s")


def start(bed):
    ready = []
    bed.sinas.stop()
    try:
        for _ in range(PAIRS):
            began = time.monotonic()
            bed.sinas.start()
            ready.append((time.monotonic() - began) * 1000)
            time.sleep(0.3)
            pss = pss_kb(bed.reactor) / 1024
            others = sum(pss_kb(pid) for pid in bed.llm) / 1024
            bed.sinas.stop()
    finally:
        bed.sinas.start()
    yield Result("idle reactor, PSS", pss, "MB", must=16, aim=6, is_most=True, notes=f"llm workers together {others:.1f} MB")
    yield Result("start to ready, migrated database", median(ready), "ms", must=300, aim=100, is_most=True,
                 notes=f"{min(ready):.0f} to {max(ready):.0f} ms")


ROWS = [health, get_agent, list_agents, check_permissions, first_token, streams, messages, allocations, idle_clients, broadcast,
        json_speed, health_under_load, start]
