"""A headless Chromium for the tests, spoken to over its debugging pipe; everything it does is kept from leaving the machine."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time

PROGRAM = shutil.which("chromium")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--disable-extensions", "--no-first-run",
           "--no-default-browser-check", "--window-size=1400,1000", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
           "--remote-debugging-pipe"]


class Browser:
    """One page. complaints collects what its console and its network say went wrong, requests what it asked for."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="sinas-browser-")
        to_browser, self.writer = os.pipe()
        self.reader, from_browser = os.pipe()
        # The browser expects its pipe as descriptors 3 and 4; ours may have these numbers, so both move up first.
        script = (f'exec {to_browser + 100}<&{to_browser} {from_browser + 100}>&{from_browser};'
                  f' exec 3<&{to_browser + 100} 4>&{from_browser + 100}; exec "$@"')
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", script, "bash", PROGRAM, *OPTIONS, f"--user-data-dir={self.profile}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=[to_browser, from_browser], start_new_session=True)
        os.close(to_browser)
        os.close(from_browser)
        self.buffered, self.number, self.session = b"", 0, None
        self.complaints, self.requests = [], []
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Network", "Page"):
            self.call(domain + ".enable")

    def close(self):
        os.close(self.writer)
        os.close(self.reader)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)  # a session of its own: nothing but what we started
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self):
        while b"\0" not in self.buffered:
            data = os.read(self.reader, 1 << 16)
            assert data, "the browser has ended"
            self.buffered += data
        text, _, self.buffered = self.buffered.partition(b"\0")
        message = json.loads(text)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method, event):
        if method == "Network.requestWillBeSent":
            self.requests.append(event["request"]["url"])
        elif method == "Network.loadingFailed" and not event.get("canceled"):
            self.complaints.append(event["errorText"] + " " + event.get("blockedReason", ""))
        elif method == "Network.responseReceived" and event["response"]["status"] >= 400:
            self.complaints.append(f"{event['response']['status']} {event['response']['url']}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(event["exceptionDetails"])[:1000])
        elif method == "Runtime.consoleAPICalled" and event["type"] in ("error", "assert"):
            self.complaints.append(json.dumps(event["args"])[:1000])
        elif method == "Log.entryAdded" and event["entry"]["level"] == "error":
            self.complaints.append(event["entry"]["text"] + " " + event["entry"].get("url", ""))

    def visit(self, url):
        """Leaves what was there, with what it complained of."""
        self.call("Page.navigate", url="about:blank")
        self.complaints.clear()
        self.requests.clear()
        self.call("Page.navigate", url=url)

    def run(self, script):
        """The value of a JavaScript expression."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, script, seconds=60):
        """The value once it is true. The bound only decides how long a failure takes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.run(script)
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"{script} did not come true; the page complained: {self.complaints}; "
                             + str(self.run("document.body.innerText"))[:1000])

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
