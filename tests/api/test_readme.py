"""The README's tutorial does what it says: each block of it is run, in order, in one shell."""

import os
import re
import subprocess

import pytest

from harness import ROOT, until


def blocks():
    text = (ROOT / "README.md").read_text()
    tutorial = text[text.index("## Five minutes"):text.index("## Model providers")]
    return re.findall(r"^```sh\n(.*?)^```", tutorial, re.M | re.S)


class Shell:
    """A shell that stays open, so that variables last from block to block."""

    def __init__(self, environment):
        self.process = subprocess.Popen(["bash"], cwd=ROOT, env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, commands):
        self.process.stdin.write(commands + "\nprintf '\\nend of block %s\\n' $?\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.startswith("end of block "):
                return "".join(lines), int(line.split()[-1])
            lines.append(line)
        raise AssertionError("the shell ended: " + "".join(lines))

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()


@pytest.fixture
def shell(make_run):
    """A shell for which the tutorial's address and `make key` mean a server of the test's own."""
    server = make_run()
    server.require_model()
    shell = Shell({**os.environ, "PORT": str(server.port), "VAR": str(server.var)})
    shell.server = server
    yield shell
    shell.close()


def expect(output, *texts):
    for text in texts:
        assert text in output, output


def test_tutorial(shell):
    steps = iter(blocks())

    def step():
        commands = next(steps).replace("http://127.0.0.1:8000", shell.server.url)
        output, status = shell.run(commands)
        assert status == 0, output
        return output

    expect(step(), '{"status":"healthy"}')
    expect(step(), "admin@sinas.local", "Admins")
    expect(step(), "event: message", "event: done")
    expect(step(), '"role": "user"', "capital of France", '"role": "assistant"')
    expect(step(), '"namespace": "tutorial"', '"name": "pirate"')
    expect(step(), '"reply": "', '"session_key": "parrot"')
    after = shell.server.log().rfind("admin@sinas.local")
    step()
    code = until(lambda: re.search(r"admin@sinas\.local\b.*?\b(\d{6})\s*$", shell.server.log()[after + 1:], re.M),
                 what="the login code")
    shell.run(f"CODE={code[1]}")
    expect(step(), '"token_type": "bearer"', '"email": "admin@sinas.local"')
    expect(step(), "detail")
    assert next(steps, None) is None
