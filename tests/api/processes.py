# SPDX-License-Identifier: Apache-2.0
"""The same cloud as processes of their own: each entry of GROUPS is one `nubo run ROLE...`, all on one state directory, which
an all-in-one start made (users, catalog, configuration)."""
import re
import shutil
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from conftest import BIN, Cloud

GROUPS = {
    "keystone": ["keystone"],
    "placement": ["placement-api"],
    "glance": ["glance-api"],
    "neutron": ["neutron-server"],
    "nova": ["nova-api", "nova-scheduler", "nova-conductor", "nova-compute"],
}
SERVICE = {"keystone": "identity", "placement": "placement", "glance": "image", "neutron": "network", "nova": "compute"}


class Processes(Cloud):
    """A cloud whose parts run apart. `options` are {service: {section: {name: value}}} on top of what nubo wrote."""

    def __init__(self, options=None, groups=None, **settings):
        super().__init__(tempfile.mkdtemp(prefix="nubo-apart-"), **settings)
        self.options = options or {}
        self.groups = {**GROUPS, **(groups or {})}
        self.parts = {}

    def start(self, env=None):
        super().start(env)
        assert self.stop() == 0
        self.process = None
        for service, sections in self.options.items():
            self.configure(service, sections)
        for group in GROUPS:
            self.start_part(group)
        return self

    def configure(self, service, sections):
        with open(self.state_dir / "etc" / f"{service}.conf", "a", encoding="utf-8") as out:
            for section, options in sections.items():
                out.write(f"\n[{section}]\n" + "".join(f"{name} = {value}\n" for name, value in options.items()))

    def start_part(self, group, **get):
        with open(self.log, "ab") as log:
            self.parts[group] = subprocess.Popen(
                [BIN, "run", *self.groups[group], "--state-dir", str(self.state_dir), "--fake-compute", str(self.fake_compute),
                 "--port-offset", str(self.offset), "--bind", "127.0.0.1"], stdout=log, stderr=log, env=self.env)

        def answers():
            assert self.parts[group].poll() is None, f"{group} ended:\n" + self.tail()
            try:
                scheme = "https" if get else "http"
                return requests.get(self.url(SERVICE[group]).rsplit("/v", 1)[0].replace("http:", f"{scheme}:") + "/", timeout=120,
                                    **get).status_code
            except requests.ConnectionError:
                return None
        self.wait(answers)

    def start_elsewhere(self, group, roles, state_dir):
        """Roles on what is another host to them: a state directory of their own with a copy of the configuration."""
        shutil.copytree(self.state_dir / "etc", state_dir / "etc")
        (state_dir / "db").mkdir()
        with open(self.log, "ab") as log:
            self.parts[group] = subprocess.Popen(
                [BIN, "run", *roles, "--state-dir", str(state_dir), "--fake-compute", str(self.fake_compute),
                 "--port-offset", str(self.offset), "--bind", "127.0.0.1"], stdout=log, stderr=log, env=self.env)

    def stop_part(self, group):
        self.parts[group].terminate()
        assert self.parts[group].wait(120) == 0, self.tail()

    def restart_part(self, group):
        self.stop_part(group)
        self.start_part(group)

    def move_identity(self, url):
        """Where the catalog says that keystone is; the one behind tells."""
        for point in self.get("identity", "/endpoints").json()["endpoints"]:
            if point["url"].endswith("/v3"):
                answer = self.call("PATCH", "identity", f"/endpoints/{point['id']}", {"endpoint": {"url": url}})
                assert answer.status_code == 200, answer.text


def end(cloud):
    bad = []
    for group, part in cloud.parts.items():
        if part.poll() is None:
            part.terminate()
    for group, part in cloud.parts.items():
        if part.wait(120) != 0:
            bad.append((group, part.returncode))
    report, tail = cloud.reports(), cloud.tail()
    shutil.rmtree(cloud.state_dir, ignore_errors=True)
    assert report is None, report
    assert not bad, f"{bad}:\n{tail}"



class Middleman:
    """An HTTP server between a service and keystone that counts, and misbehaves when it is told to. `tls`: an SSL context that it
    speaks with; `more` is requests' for the calls to keystone."""

    def __init__(self, target, tls=None, **more):
        self.target = target
        self.tls = tls
        self.mode = "pass"
        self.seen = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.seen.append((self.command, self.path, dict(self.headers)))
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if outer.mode == "slow":
                    time.sleep(60)
                elif outer.mode == "loop":
                    return self.answer(302, {"Location": self.path}, b"")
                elif outer.mode == "away":
                    return self.answer(302, {"Location": "http://127.0.0.2:1/v3"}, b"")
                elif outer.mode == "huge":
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(1 << 32))
                    self.end_headers()
                    try:
                        while True:
                            self.wfile.write(b" " * 65536)
                    except OSError:
                        return None
                elif outer.mode == "garbage":
                    return self.answer(200, {"Content-Type": "application/json"}, b'{"token": {"user": 5, "roles": {}}}')
                elif outer.mode == "busy":
                    outer.mode = "pass"
                    return self.answer(503, {"Retry-After": "1"}, b"{}")
                time.sleep(0.2 if outer.mode == "late" else 0)
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "content-length", "connection")}
                got = requests.request(self.command, outer.target + self.path, data=body, headers=headers, timeout=120, **more)
                return self.answer(got.status_code, got.headers, got.content)

            do_POST = do_HEAD = do_GET

            def answer(self, status, headers, body):
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "connection", "date", "transfer-encoding"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls is not None:  # the handshake is the connection's own thread's
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.server.server_address[1]}"

    def validations(self):
        return [s for s in self.seen if s[0] == "GET" and s[1].startswith("/v3/auth/tokens")]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def trace(cloud, request_id):
    done = subprocess.run([BIN, "trace", request_id, "--state-dir", str(cloud.state_dir)], capture_output=True, text=True,
                          timeout=120, check=False)
    return done.stdout
