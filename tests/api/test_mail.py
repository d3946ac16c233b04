"""Login mail over real SMTP conversations: spec 10 §2.10."""

import concurrent.futures
import email
import email.policy
import re
import socket
import threading

import pytest

from harness import SUPERADMIN, until
from smtp import SmtpServer, make_certificate

FAILED = "Failed to send OTP email"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("smtp"))


@pytest.fixture
def smtp():
    servers = []

    def start(*args, **more):
        servers.append(SmtpServer(*args, **more))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def mailing(new_sinas, certificate):
    """A server that sends its mail to the given port."""
    def start(port, **more):
        return new_sinas(**{"SMTP_HOST": "127.0.0.1", "SMTP_PORT": port, "SMTP_DOMAIN": "sinas.test",
                            "SMTP_CA_FILE": certificate[0], "DOMAIN": "sinas.example.org", **more})

    return start


def login(sinas, address=SUPERADMIN):
    return sinas.client().post("/auth/login", {"email": address})


def sessions(sinas):
    return sinas.psql("select count(*) from otp_sessions")


def failed(sinas, answer):
    assert (answer.status, answer.detail) == (503, FAILED)
    assert sessions(sinas) == "0"  # a code that nobody got is not kept


def test_code_comes_by_mail_over_starttls(smtp, mailing, certificate):
    server = smtp(certificate)
    sinas = mailing(server.port, SMTP_USER="robot", SMTP_PASSWORD="s3cret")
    assert sinas.client().get("/info").json()["features"]["smtp"] is True
    answer = login(sinas)
    assert answer.status == 200

    talk = server.conversations[-1]
    encrypted = {line.split(" ")[0]: is_encrypted for line, is_encrypted in talk.commands}
    assert encrypted["AUTH"] and encrypted["MAIL"] and encrypted["RCPT"] and encrypted["DATA"]
    assert talk.lines("EHLO")[0] == "EHLO sinas.test"
    assert talk.lines("MAIL")[0].startswith("MAIL FROM:<login@sinas.test>")
    assert talk.lines("RCPT") == [f"RCPT TO:<{SUPERADMIN}>"]
    assert talk.credentials == (b"\0robot\0s3cret", True)

    message = email.message_from_bytes(talk.message, policy=email.policy.default)
    assert (message["From"], message["To"], message["Subject"]) == ("login@sinas.test", SUPERADMIN, "Your Login Code")
    assert message["Date"] and re.fullmatch(r"<[\w-]{43}@sinas\.test>", message["Message-ID"])
    assert message.get_content_type() == "multipart/alternative"
    plain, html = message.iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    code = re.search(r"\b(\d{6})\b", plain.get_content())[1]
    assert code in html.get_content() and "10 minutes" in plain.get_content()

    body = {"session_id": answer.json()["session_id"], "otp_code": code}
    assert sinas.client().post("/auth/verify-otp", body).status == 200
    assert code not in sinas.log() and "s3cret" not in sinas.log()


def test_plain_connection_is_refused(smtp, mailing):
    server = smtp(starttls=False)
    sinas = mailing(server.port, SMTP_USER="robot", SMTP_PASSWORD="s3cret")
    failed(sinas, login(sinas))
    assert server.messages == []
    assert all(talk.lines("AUTH") == [] and talk.lines("MAIL") == [] for talk in server.conversations)


def test_debug_allows_a_plain_connection(smtp, mailing):
    server = smtp(starttls=False)
    assert login(mailing(server.port, DEBUG="true")).status == 200
    assert len(server.messages) == 1


def test_certificate_of_a_stranger_is_refused(smtp, mailing, certificate, tmp_path):
    server = smtp(make_certificate(tmp_path))
    sinas = mailing(server.port)
    failed(sinas, login(sinas))
    assert server.messages == []


def test_port_465_is_tls_from_the_start(smtp, mailing, certificate):
    server = smtp(certificate, tls=True, port=465)
    assert login(mailing(465)).status == 200
    assert len(server.messages) == 1
    assert all(is_encrypted for _, is_encrypted in server.conversations[-1].commands)


@pytest.mark.parametrize("answers", [
    {"RCPT": "550 no such user"}, {"MAIL": "451 later"}, {"END": "554 spam"}, {"GREETING": "554 go away"},
    {"AUTH": "535 who are you"},
])
def test_refusal_by_the_mail_server(smtp, mailing, certificate, answers):
    server = smtp(certificate, answers=answers)
    sinas = mailing(server.port, SMTP_USER="robot", SMTP_PASSWORD="s3cret")
    failed(sinas, login(sinas))
    assert "mail: not sent" in sinas.log()


def test_no_mail_server_listens(smtp, mailing):
    server = smtp()
    server.close()
    sinas = mailing(server.port)
    failed(sinas, login(sinas))


class FirstWaits:
    """A gate that only opens for the first message when the test says so."""

    def __init__(self):
        self.first, self.opened = True, threading.Event()

    def wait(self, timeout):
        if self.first:
            self.first = False
            self.opened.wait(timeout)


def test_mail_server_that_takes_too_long_holds_nobody_up(smtp, mailing, certificate):
    """It is given up after 10 s; meanwhile other mails go out."""
    server = smtp(certificate, gate=FirstWaits())
    sinas = mailing(server.port)
    sinas.psql("insert into users (email) values ('second@mail.test')")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(login, sinas)
        until(lambda: server.conversations and server.conversations[-1].lines("DATA"), what="DATA")
        assert login(sinas, "second@mail.test").status == 200
        assert not waiting.done()
        answer = waiting.result(timeout=15)
    server.gate.opened.set()
    assert (answer.status, answer.detail) == (503, FAILED)
    assert sessions(sinas) == "1"
    assert "took too long" in sinas.log()


def test_silent_mail_server_is_given_up(mailing):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sinas = mailing(listener.getsockname()[1])
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(login, sinas)
            connection, _ = listener.accept()
            with connection:
                failed(sinas, waiting.result(timeout=15))
    assert "took too long" in sinas.log()


def test_mails_are_sent_at_the_same_time(smtp, mailing, certificate):
    """The mail server takes the first message only when all of them are there."""
    count = 12
    server = smtp(certificate, gate=threading.Barrier(count))
    sinas = mailing(server.port)
    for n in range(count):
        sinas.psql(f"insert into users (email) values ('u{n}@mail.test')")
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(lambda n: login(sinas, f"u{n}@mail.test"), range(count)))
    assert [answer.status for answer in answers] == [200] * count
    to = {email.message_from_bytes(message)["To"] for message in server.messages}
    assert to == {f"u{n}@mail.test" for n in range(count)}


def test_death_of_the_mail_worker(smtp, mailing, certificate):
    gate = threading.Barrier(2)
    server = smtp(certificate, gate=gate)
    sinas = mailing(server.port)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(login, sinas)
        until(lambda: server.conversations and server.conversations[-1].lines("DATA"), what="DATA")
        sinas.kill("outbound-0")
        failed(sinas, waiting.result(timeout=10))
    gate.wait(timeout=10)
    server.gate = None
    assert login(sinas).status == 200  # the next one waits for the new worker


def test_without_mail_a_real_domain_refuses(new_sinas):
    sinas = new_sinas(DOMAIN="sinas.example.org")
    failed(sinas, login(sinas))
    assert "one-time code" not in sinas.log()


@pytest.mark.parametrize("settings", [{}, {"DOMAIN": "localhost"}, {"DOMAIN": "127.0.0.1"},
                                      {"DOMAIN": "sinas.example.org", "DEBUG": "true"}])
def test_without_mail_a_development_server_logs_the_code(new_sinas, settings):
    sinas = new_sinas(**settings)
    assert sinas.login(SUPERADMIN)["user"]["email"] == SUPERADMIN
