"""A scripted SMTP server for one test: says what it is told to say and keeps what it hears."""

import base64
import socket
import ssl
import subprocess
import threading


def make_certificate(directory):
    """A self-made certificate for 127.0.0.1. Paths of certificate and key."""
    certificate, key = directory / "smtp.crt", directory / "smtp.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mail",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    return certificate, key


class Conversation:
    def __init__(self):
        self.commands = []  # (line, was it encrypted)
        self.message = None
        self.credentials = None  # (what AUTH PLAIN brought, was it encrypted)

    def lines(self, word):
        return [line for line, _ in self.commands if line.upper().startswith(word)]


class SmtpServer:
    """answers replaces the reply to a command's first word; gate (a threading.Barrier) holds each DATA back."""

    def __init__(self, certificate=None, starttls=True, tls=False, port=0, answers=None, gate=None, auth=True):
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self.starttls, self.tls, self.auth = starttls, tls, auth
        self.answers, self.gate = answers or {}, gate
        self.conversations, self.threads = [], []
        self.listener = socket.create_server(("127.0.0.1", port), backlog=100)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        """No further connections: the accepting thread ends, and the port is nobody's."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed before
        self.listener.close()

    @property
    def messages(self):
        return [talk.message for talk in self.conversations if talk.message is not None]

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            talk = Conversation()
            self.conversations.append(talk)
            threading.Thread(target=self.serve, args=(connection, talk), daemon=True).start()

    def serve(self, connection, talk):
        try:
            if self.tls:
                connection = self.context.wrap_socket(connection, server_side=True)
            self.talk(connection, talk, self.tls)
        except (OSError, ssl.SSLError):
            pass
        finally:
            connection.close()

    def talk(self, connection, talk, encrypted):
        reader = connection.makefile("rb")

        def say(text):
            connection.sendall(text.encode() + b"\r\n")

        if not (encrypted and not self.tls):
            say(self.answers.get("GREETING", "220 mail.test"))
        while line := reader.readline():
            line = line.decode().rstrip("\r\n")
            talk.commands.append((line, encrypted))
            word = line.split(" ")[0].upper()
            if word == "STARTTLS":
                say("220 go ahead")
                self.talk(self.context.wrap_socket(connection, server_side=True), talk, True)
                return
            if word == "DATA":
                say("354 go on")
                data = []
                while (part := reader.readline()) != b".\r\n":
                    data.append(part[1:] if part.startswith(b".") else part)
                if self.gate:
                    self.gate.wait(timeout=20)
                talk.message = b"".join(data)
                say(self.answers.get("END", "250 taken"))
            elif word in self.answers:
                say(self.answers[word])
            elif word in ("EHLO", "HELO"):
                say("250-mail.test\r\n" + ("250-STARTTLS\r\n" if self.starttls and not encrypted else "")
                    + ("250-AUTH PLAIN\r\n" if self.auth else "") + "250 8BITMIME")
            elif word == "AUTH":
                say("334 ")
                talk.credentials = base64.b64decode(reader.readline()), encrypted
                say("235 welcome")
            elif word == "QUIT":
                say("221 bye")
                return
            else:
                say("250 fine")
