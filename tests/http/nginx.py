"""A real nginx in front of a server, with a few kept connections to it that all clients share."""

import os
import pathlib
import socket
import subprocess
import tempfile

from harness import WITH_US, until

# Two ports: bodies are gathered by nginx, or passed on as they come. As much as possible of what is odd is let through.
CONF = """
daemon off;
worker_processes 1;
user root;
pid {directory}/pid;
error_log {directory}/error.log info;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    large_client_header_buffers 8 64k;
    client_max_body_size 0;
    ignore_invalid_headers off;
    underscores_in_headers on;
    merge_slashes off;
    keepalive_requests 100000;
    keepalive_timeout 60;
    lingering_close off;
    upstream sinas {{ server {upstream}; keepalive {kept}; keepalive_requests 100000; }}
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Connection "";
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $http_x_test_scheme;
    proxy_ignore_client_abort on;
    proxy_next_upstream off;
    {more}
    server {{ listen 127.0.0.1:{buffered}; location / {{ proxy_pass http://sinas; }} }}
    server {{ listen 127.0.0.1:{direct}; location / {{ proxy_pass http://sinas; proxy_request_buffering off; }} }}
}}
"""


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Nginx:
    def __init__(self, upstream, kept=1, more=""):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sinas-nginx-"))
        ports = free_ports(2)
        self.buffered, self.direct = (("127.0.0.1", port) for port in ports)
        conf = CONF.format(directory=self.directory, upstream="%s:%d" % upstream, kept=kept, more=more, buffered=ports[0], direct=ports[1])
        if os.getuid() != 0:
            conf = conf.replace("user root;", "")
        (self.directory / "conf").write_text(conf)
        self.process = subprocess.Popen([*WITH_US, "nginx", "-e", self.directory / "error.log", "-p", self.directory, "-c", self.directory / "conf"],
                                        stdin=subprocess.DEVNULL)
        until(self.is_ready, what="nginx")

    def is_ready(self):
        assert self.process.poll() is None, self.errors()
        try:
            socket.create_connection(self.direct).close()
            return True
        except ConnectionRefusedError:
            return False

    def errors(self):
        return (self.directory / "error.log").read_text(errors="replace")

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=10)
        subprocess.run(["rm", "-rf", self.directory], check=True)
