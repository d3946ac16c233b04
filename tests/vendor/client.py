"""Starts the scripted vendor and talks to its control endpoints."""

import json
import os
import subprocess
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))


class Vendor:
    def __init__(self):
        self.process, self.port, self.url = None, None, None

    def __enter__(self):
        self.process = subprocess.Popen(["/usr/bin/python3", os.path.join(HERE, "vendor.py")],
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def call(self, path, value=None):
        data = json.dumps(value).encode() if value is not None else None
        request = urllib.request.Request(self.url + "/control/" + path, data,
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def script(self, model, script):
        self.call("script", {"model": model, "script": script})

    def validate(self, on=True):
        self.call("validate", {"on": on})

    def requests(self):
        return self.call("requests")

    def state(self):
        return self.call("state")

    def wait(self, model, what, count=1):
        """Until the model's count of open, aborted or finished requests is so high; False after 10 s."""
        try:
            self.call(f"wait?model={model}&what={what}&count={count}")
            return True
        except urllib.error.HTTPError:
            return False

    def reset(self):
        self.call("reset", {})
