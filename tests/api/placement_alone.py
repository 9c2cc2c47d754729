# SPDX-License-Identifier: Apache-2.0
"""Our placement-api as a program of its own, without keystone (auth_strategy noauth2): quick to start, as often as a test wants."""
import pathlib
import socket
import subprocess
import time
import uuid

import requests

from conftest import BIN
import ports


class Alone:
    """One process. `database` is a URL, or None: SQLite in `folder`. `extra` is more text of placement.conf."""

    def __init__(self, folder, database=None, extra=""):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = ports.claim()
        self.config = self.folder / f"placement-{self.port}.conf"
        self.log = self.folder / f"placement-{self.port}.log"
        self.config.write_text(
            f"[DEFAULT]\nbind_host = 127.0.0.1\nbind_port = {self.port}\nstate_path = {self.folder}\n"
            f"[placement_database]\nconnection = {(database or f'sqlite:///{self.folder}/placement.db').replace('$', '$$')}\n"
            f"[api]\nauth_strategy = noauth2\n{extra}")
        self.process, self.session = None, requests.Session()
        self.session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=64))

    def manage(self, program, *words):
        return subprocess.run([BIN, program, "--config-file", str(self.config), *words], check=True, capture_output=True,
                              text=True, timeout=120).stdout

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(["placement-api", "--config-file", str(self.config)], executable=BIN,
                                            stdout=log, stderr=log)
        end = time.monotonic() + 300
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 20).close()
                return self
            except OSError:
                assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()[-3000:]
                time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        status = self.process.wait(120)
        self.session.close()
        text = self.log.read_text()
        assert status == 0 and "Sanitizer" not in text and "runtime error" not in text, text[-4000:]

    def call(self, method, path, body=None, version="1.39", headers=None, token="admin", **more):
        sent = {"OpenStack-API-Version": f"placement {version}", **({"X-Auth-Token": token} if token else {}), **(headers or {})}
        return self.session.request(method, f"http://127.0.0.1:{self.port}{path}", json=body, headers=sent, timeout=120, **more)

    def ok(self, method, path, body=None, **more):
        answer = self.call(method, path, body, **more)
        assert answer.status_code < 300, (method, path, answer.text)
        return answer.json() if answer.text else None

    def provider(self, inventories=None, parent=None, traits=(), aggregates=()):
        body = {"name": "test-" + uuid.uuid4().hex, **({"parent_provider_uuid": parent} if parent else {})}
        made = self.ok("POST", "/resource_providers", body)["uuid"]
        for part, value in (("inventories", inventories), ("traits", list(traits)), ("aggregates", list(aggregates))):
            if value:
                generation = self.ok("GET", f"/resource_providers/{made}")["generation"]
                self.ok("PUT", f"/resource_providers/{made}/{part}", {"resource_provider_generation": generation, part: value})
        return made

    def claim(self, allocations, consumer=None, generation=None, **more):
        """The answer; allocations as {provider: {class: amount}}."""
        return self.call("PUT", f"/allocations/{consumer or uuid.uuid4()}", {
            "allocations": {rp: {"resources": resources} for rp, resources in allocations.items()},
            "project_id": "p", "user_id": "u", "consumer_generation": generation, "consumer_type": "INSTANCE", **more})
