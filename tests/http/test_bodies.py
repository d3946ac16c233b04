"""Hostile JSON: refused as the contract says, in bounded time and memory, or taken over exactly (spec 10 §1.2, §1.6)."""

import json
import pathlib
import sys
import time

import pytest

from harness import ROOT, Sinas

MIB = 1 << 20
BODY_MAX = 10 * MIB
SECONDS_MAX = 15       # of 10 MiB of anything; measured: well below one
MEMORY_MAX = 1 << 30   # of the reactor at its worst
sys.set_int_max_str_digits(0)
SUITE = ROOT.parent / "shared" / "suites" / "json"


@pytest.fixture(scope="module")
def keeper(sinas):
    """Skills take any text, providers any object."""
    return sinas.client(sinas.new_key("sinas.*:all"), timeout=60)


def send(keeper, body, path="/api/v1/skills", **more):
    return keeper.post(path, body=body, headers={"Content-Type": "application/json"}, **more)


def kinds(answer):
    assert answer.status == 422, answer
    return [item["type"] for item in answer.detail]


def skill(name, description='"d"', more=""):
    return f'{{"name":"{name}","description":{description},"content":"c"{more}}}'.encode()


# ---- syntax ----

BROKEN = {
    "nothing but blanks": b" \t\r\n", "byte order mark": b"\xef\xbb\xbf{}", "UTF-16": '{"a":1}'.encode("utf-16"), "UTF-16 without mark": '{"a":1}'.encode("utf-16-le"),
    "UTF-32": '{"a":1}'.encode("utf-32"), "trailing text": b"{} x", "two documents": b"{}{}", "trailing NUL": b"{}\0", "leading NUL": b"\0{}", "NaN": b'{"a":NaN}', "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":-Infinity}', "comment": b"{/**/}", "line comment": b"{}//", "single quotes": b"{'a':1}", "bare key": b"{a:1}", "trailing comma": b'{"a":1,}', "comma alone": b"{,}", "no colon": b'{"a" 1}',
    "two colons": b'{"a"::1}', "unclosed object": b'{"a":1', "unclosed string": b'{"a":"', "unclosed array": b'{"a":[', "wrong close": b'{"a":[}', "leading zero": b'{"a":01}', "plus": b'{"a":+1}', "no integer part": b'{"a":.5}',
    "no fraction": b'{"a":1.}', "no exponent": b'{"a":1e}', "hex": b'{"a":0x1}', "minus alone": b'{"a":-}', "True": b'{"a":True}', "nul": b'{"a":nul}', "undefined": b'{"a":undefined}', "bad escape": b'{"a":"\\x41"}',
    "short escape": b'{"a":"\\u12"}', "escape of nothing": b'{"a":"\\', "raw newline": b'{"a":"\n"}', "raw tab": b'{"a":"\t"}', "raw NUL": b'{"a":"\0"}', "raw control": b'{"a":"\x1f"}', "invalid UTF-8": b'{"a":"\xff"}', "overlong UTF-8": b'{"a":"\xc0\xaf"}',
    "CESU-8": b'{"a":"\xed\xa0\x80\xed\xb0\x80"}', "beyond Unicode": b'{"a":"\xf4\x90\x80\x80"}', "cut UTF-8": b'{"a":"\xe2\x82"}', "invalid UTF-8 as key": b'{"\xff":1}', "no-break space": '{\u00a0}'.encode(), "form feed": b"{\x0c}",
    "Python bytes": b"b'{}'", "JSONP": b"f({})", "guard": b")]}',\n{}", "multipart": b"--a\r\n\r\n{}\r\n--a--", "form": b"name=a&description=b", "XML": b"<?xml version='1.0'?><a/>", "YAML": b"a: b\n", "number then letter": b'{"a":1a}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_syntax(keeper, name):
    assert kinds(send(keeper, BROKEN[name])) == ["json_invalid"]


@pytest.mark.parametrize("body", [b"[]", b"5", b'"a"', b"null", b"true", b"[{}]", b"1e400", b"-0", b'""'])
def test_no_object(keeper, body):
    answer = send(keeper, body)
    assert answer.status == 422 and [item["loc"] for item in answer.detail] == [["body"]], answer


@pytest.mark.parametrize("text", [r'"\ud800"', r'"\udfff"', r'"a\ud800b"', r'"\udc00\ud800"', r'"\ud800\ud800"', r'"\ud83d"', r'"\ud83d\u0041"', r'"\u0000"', r'"a\u0000"'])
def test_text_that_no_database_takes(keeper, unique, text):
    assert send(keeper, skill(unique, text)).status == 422
    assert send(keeper, skill(unique, more=f',{text}:1')).status in (201, 422)
    assert send(keeper, f'{{"name":{text},"description":"d","content":"c"}}'.encode()).status == 422
    assert send(keeper, b'{"content":"c"}').status == 422


def test_json_test_suite(keeper):
    """Everything of the public suite as a body: never more than a refusal."""
    files = sorted(SUITE.rglob("*.json"))
    assert len(files) > 100
    for path in files:
        body = path.read_bytes()
        answer = send(keeper, body)
        assert answer.status == 422, (path.name, answer)
        if path.name.startswith("n_"):
            assert kinds(answer) == ["json_invalid"] or not body.strip(), (path.name, answer)
        if path.name.startswith("y_"):
            assert "json_invalid" not in kinds(answer), (path.name, answer)


# ---- depth ----

def nested(depth, opener="[", closer="]", inside=""):
    return opener * depth + inside + closer * depth


@pytest.mark.parametrize("opener, closer, inside", [("[", "]", ""), ('{"a":', "}", "1"), ('[{"a":', "}]", "[]")])
def test_depth(keeper, unique, opener, closer, inside):
    """The body is level 1, config level 2."""
    per = opener.count("[") + opener.count("{")
    inner = inside.count("[")
    for levels, status in ((64, 201), (65, 422), (66, 422), (1000, 422)):
        count = (levels - 2 - inner) // per
        text = nested(count, opener, closer, inside)
        levels_of_text = count * per + inner
        filled = '{"a":' * (levels - 2 - levels_of_text) + text + "}" * (levels - 2 - levels_of_text)
        body = f'{{"name":"{unique}{levels}","provider_type":"openai","config":{{"a":{filled}}}}}'
        answer = send(keeper, body.encode(), "/api/v1/llm-providers")
        assert answer.status == status, (levels, answer)
        if status == 201:
            assert json.loads(f'{{"a":{filled}}}') == answer.json()["config"]
        else:
            assert kinds(answer) == ["json_invalid"]


# ---- numbers, keys ----

NUMBERS = ["0", "-0", "-0.0", "0.1", "0.7", "1e400", "-1e400", "1e-400", "1E+2", "1.0", "100000000000000000000000000000", "9007199254740993", "18446744073709551616", "0.1000000000000000055511151231257827",
           "1" + "0" * 5000, "0." + "1" * 5000, "1e" + "9" * 5000, "-" + "9" * 400 + ".5e-400"]


def test_numbers_are_kept_as_they_are(keeper, unique):
    numbers = "[" + ",".join(NUMBERS) + "]"
    answer = send(keeper, f'{{"name":"{unique}","provider_type":"openai","config":{{"n":{numbers}}}}}'.encode(), "/api/v1/llm-providers")
    assert answer.status == 201, answer
    assert f'"config":{{"n":{numbers}}}' in answer.text
    assert f'"config":{{"n":{numbers}}}' in keeper.get(f"/api/v1/llm-providers/{unique}").text


@pytest.mark.parametrize("field", ["temperature", "max_tokens", "default_job_timeout"])
@pytest.mark.parametrize("number", [n for n in NUMBERS if n not in ("0", "0.1", "0.7", "1.0", "-0", "-0.0", "1E+2", "0.1000000000000000055511151231257827", "1e-400")] + ["-1", '"1e400"', '"NaN"', '"inf"', '"Infinity"', '"0x10"', '" 1 1"'], ids=lambda number: f"{number[:20]} of {len(number)}")
def test_numbers_out_of_bounds(keeper, unique, field, number):
    answer = send(keeper, f'{{"name":"{unique}","{field}":{number}}}'.encode(), "/api/v1/agents")
    if answer.status == 201:  # as far as the field's bounds allow it
        assert answer.json()[field] == json.loads(number.strip('"'))
    else:
        assert answer.status == 422 and [item["loc"] for item in answer.detail] == [["body", field]], answer


@pytest.mark.parametrize("query", ["limit=1e400", "limit=" + "9" * 400, "skip=" + "9" * 19, "skip=-1", "skip=" + "9" * 400, "limit=NaN", "limit=0x10", "limit=%00", "limit=5&limit=-5", "limit[]=5", "limit=", "limit=%F0%9F%98%80", "skip=%2B1", "limit=1_0"])
def test_numbers_in_queries(keeper, query):
    for path in ("/api/v1/skills", "/api/v1/users", "/chats"):
        answer = keeper.get(f"{path}?{query}")
        assert answer.status in (200, 400, 422), answer


def test_the_last_of_equal_keys_wins(keeper, unique):
    answer = send(keeper, f'{{"name":"0","name":5,"content":"c","name":"{unique}","description":7,"d\\u0065scription":"d"}}'.encode())
    assert answer.status == 201 and answer.json()["name"] == unique and answer.json()["description"] == "d"
    answer = send(keeper, skill(unique + "b", more=',"name":5'))
    assert kinds(answer) == ["string_type"]


@pytest.mark.parametrize("key", ["__proto__", "constructor", "", " ", "a" * 100000, "\\u0000", "\\ud83d\\ude00", "\\\"", "$where", "id", "user_id", "created_at", "managed_by", "is_admin"])
def test_unknown_keys_are_ignored(keeper, unique, key):
    answer = send(keeper, skill(unique, more=f',"{key}":{{"{key}":["00000000-0000-0000-0000-000000000000"]}}'))
    assert answer.status in (201, 422), answer
    if answer.status == 201:
        assert answer.json()["managed_by"] is None


# ---- 10 MiB of anything ----

FILLINGS = {
    "[": b"[", "{": b"{", "quotes": b'"', "blanks": b" ", "newlines": b"\n", "letters": b"a", "backslashes": b"\\", "NUL": b"\0", "ff": b"\xff", "digits": b"9", "zeros": b"0", "minus": b"-", "commas": b",", "colons": b":",
    "[],": b"[],", '{"a":': b'{"a":', "[[": b"[[],", "escapes": b"\\u0000", "surrogates": b"\\ud800", "emoji": "😀".encode(), "half emoji": "😀".encode()[:3], "true": b"true,", "1e9": b"1e9", "random": bytes((i * i * 7 + i // 3) % 256 for i in range(4099)),
}
FRAMES = {"bare": (b"", b""), "in an array": (b"[", b"]"), "in an object": (b'{"name":', b"}"), "in a string": (b'{"name":"', b'"}'), "in an array of a field": (b'{"name":[', b"0]}")}


def filled(filling, frame, size=BODY_MAX):
    head, tail = FRAMES[frame]
    room = size - len(head) - len(tail)
    return head + (FILLINGS[filling] * (room // len(FILLINGS[filling]) + 1))[:room] + tail


@pytest.fixture(scope="module")
def big(servers):
    sinas = Sinas(servers)
    try:
        yield sinas.start()
    finally:
        sinas.close()


def peak(sinas):
    text = pathlib.Path(f"/proc/{sinas.children()['reactor']}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmHWM:"))


def test_ten_mebibytes_of_anything(big):
    keeper = big.client(big.new_key("sinas.*:all"), timeout=60)
    pid, slowest, before = big.children()["reactor"], (0, None), peak(big)
    for filling in FILLINGS:
        for frame in FRAMES:
            body = filled(filling, frame)
            start = time.monotonic()
            answer = send(keeper, body)
            taken = time.monotonic() - start
            assert answer.status == 422, (filling, frame, answer)
            slowest = max(slowest, (taken, f"{filling} {frame}"))
    print(f"10 MiB of anything: slowest {slowest[0]:.2f} s ({slowest[1]}); the reactor's peak {peak(big) >> 20} MiB, before {before >> 20}")
    assert slowest[0] < SECONDS_MAX and peak(big) < MEMORY_MAX
    assert big.children()["reactor"] == pid
    assert send(keeper, filled("[", "bare", BODY_MAX + 1)).status == 413


def test_many_members(big):
    keeper = big.client(big.new_key("sinas.*:all"), timeout=60)
    pid = big.children()["reactor"]
    many = ",".join(f'"k{i}":{i}' for i in range(600000))
    for body in (f'{{"name":"many","provider_type":"openai","config":{{{many}}}}}', f'{{{many},"name":"many2","provider_type":"openai"}}',
                 '{"name":"many4","provider_type":"openai","config":{"k":[' + "1," * 5000000 + "1]}}", '{"name":"many5","provider_type":"openai","config":{"k":[' + "[]," * 3000000 + "[]]}}",
                 '{"name":"many3","provider_type":"openai","config":{' + ",".join(['"k":1'] * 1000000) + "}}"):
        start = time.monotonic()
        answer = send(keeper, body.encode(), "/api/v1/llm-providers")
        assert answer.status == 201, answer
        assert time.monotonic() - start < SECONDS_MAX
    print(f"the reactor's peak {peak(big) >> 20} MiB")
    assert big.children()["reactor"] == pid and peak(big) < MEMORY_MAX
    assert keeper.get("/api/v1/llm-providers/many").json()["config"]["k599999"] == 599999


def test_a_text_of_almost_ten_mebibytes(big):
    keeper = big.client(big.new_key("sinas.*:all"), timeout=60)
    room = BODY_MAX - len(skill("h0", '""'))
    for i, unit in enumerate(("a", "é", "😀", "\\n", "\\u00e9", "\\ud83d\\ude00", '\\"')):
        text = unit * (room // len(unit.encode()))
        answer = send(keeper, skill(f"h{i}", f'"{text}"'))
        assert answer.status == 201, answer
        assert answer.json()["description"] == json.loads(f'"{text}"')
