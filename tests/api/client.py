"""A small HTTP client for the tests: sees exactly what the server sends, and nothing is retried."""

import http.client
import json as json_module
import urllib.parse


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json_module.loads(self.body)

    @property
    def detail(self):
        return self.json()["detail"]

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Event:
    """One server-sent event. data is its text; json() what the text holds."""

    def __init__(self, id, event, data):
        self.id, self.event, self.data = id, event, data

    def json(self):
        return json_module.loads(self.data)

    def __repr__(self):
        return f"<{self.id} {self.event} {self.data[:100]!r}>"

    def __eq__(self, other):
        return (self.id, self.event, self.data) == (other.id, other.event, other.data)


class EventStream:
    """An open text/event-stream response. Iterating yields events until its end; comments are counted."""

    def __init__(self, connection, response):
        self.connection, self.response = connection, response
        self.status, self.headers = response.status, response.headers
        self.comments = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __iter__(self):
        fields = {}
        while True:
            line = self.response.readline()
            if not line:
                return
            line = line.decode().rstrip("\n").rstrip("\r")
            if line.startswith(":"):
                self.comments += 1
            elif line:
                name, _, value = line.partition(":")
                value = value[1:] if value.startswith(" ") else value
                fields[name] = fields[name] + "\n" + value if name == "data" and name in fields else value
            elif fields:
                yield Event(fields.get("id"), fields.get("event", "message"), fields.get("data", ""))
                fields = {}

    def body(self):
        return self.response.read()

    def close(self):
        """Goes away at once, as a browser's tab does."""
        self.response.close()
        self.connection.close()


class Client:
    """Requests to one server with fixed headers, each on a connection of its own."""

    def __init__(self, url, headers=None, timeout=30):
        self.url, self.headers, self.timeout = url, dict(headers or {}), timeout
        self.host = urllib.parse.urlsplit(url).netloc

    def with_headers(self, **headers):
        return Client(self.url, {**self.headers, **headers}, self.timeout)

    def _send(self, method, path, json, body, headers, timeout):
        connection = http.client.HTTPConnection(self.host, timeout=timeout or self.timeout)
        headers = {**self.headers, **(headers or {})}
        if json is not None:
            body = json_module.dumps(json, ensure_ascii=False).encode()
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, body=body, headers=headers)
        return connection, connection.getresponse()

    def request(self, method, path, json=None, body=None, headers=None, timeout=None):
        connection, response = self._send(method, path, json, body, headers, timeout)
        try:
            return Response(response.status, response.headers, response.read())
        finally:
            connection.close()

    def stream(self, method, path, json=None, body=None, headers=None, timeout=None):
        return EventStream(*self._send(method, path, json, body, headers, timeout))

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, json=None, **more):
        return self.request("POST", path, json=json, **more)

    def put(self, path, json=None, **more):
        return self.request("PUT", path, json=json, **more)

    def patch(self, path, json=None, **more):
        return self.request("PATCH", path, json=json, **more)

    def delete(self, path, **more):
        return self.request("DELETE", path, **more)
