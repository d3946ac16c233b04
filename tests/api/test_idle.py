"""An idle server sleeps, and starts quickly ("must hold" 5)."""

import re
import signal
import subprocess
import time

from harness import Sinas

READY_MS = 300       # the aim on a migrated database; ten times as much is allowed
WATCH_SECONDS = 10
# Of one process in that time: the supervisor asks each process every 5 s, a reactor's own timers are minutes apart.
WAKEUPS_MAX = 2 * (WATCH_SECONDS // 5 + 1)


def wakeups(pid):
    """Returns from a wait in WATCH_SECONDS, counted by strace."""
    strace = subprocess.Popen(["strace", "-f", "-qq", "-e", "trace=epoll_wait,epoll_pwait,poll,ppoll,select", "-p", str(pid)],
                              stderr=subprocess.PIPE, text=True)
    time.sleep(WATCH_SECONDS)
    strace.send_signal(signal.SIGINT)
    text = strace.communicate()[1]
    return len(re.findall(r"^(?:\[pid +\d+\] )?(?:<\.\.\. )?(?:epoll_p?wait|p?poll|select)\b.*= \d", text, re.M)), text


def test_idle_processes_sleep(servers):
    sinas = Sinas(servers)
    try:
        sinas.start()
        sinas.client(sinas.new_key("sinas.*:all")).get("/auth/me")
        time.sleep(2)  # connections settle
        counts = {}
        for title, pid in {"supervisor": sinas.process.pid, **sinas.children()}.items():
            counts[title], text = wakeups(pid)
            assert counts[title] <= (WAKEUPS_MAX if title != "supervisor" else WAKEUPS_MAX * 6), (title, text)
        print(f"wake-ups in {WATCH_SECONDS} s:", counts)
    finally:
        sinas.close()


def test_start_to_ready(servers):
    sinas = Sinas(servers)
    try:
        sinas.start()
        sinas.stop()
        times = []
        for _ in range(5):
            start = time.monotonic()
            sinas.start()
            times.append((time.monotonic() - start) * 1000)
            sinas.stop()
        times.sort()
        print("ms to ready on a migrated database:", [round(t) for t in times])
        assert times[2] < 10 * READY_MS
    finally:
        sinas.close()
