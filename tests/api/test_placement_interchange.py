# SPDX-License-Identifier: Apache-2.0
"""The reference's placement and ours, in turn on one MariaDB: what either writes the other reads, and answers alike."""
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import uuid

import pytest
import requests

import engines
from conftest import BIN, dispose, new_cloud

REFERENCE = """
import sys
from wsgiref.simple_server import make_server, WSGIRequestHandler
from placement.wsgi import init_application
class Quiet(WSGIRequestHandler):
    def log_message(self, *ignored):
        pass
make_server("127.0.0.1", int(sys.argv[1]), init_application(), handler_class=Quiet).serve_forever()
"""
HEADERS = {"OpenStack-API-Version": "placement 1.39", "X-Auth-Token": "admin"}


def wanted():
    if importlib.util.find_spec("placement") is None:
        return "python3-placement is not installed"
    return None if shutil.which("mariadbd") else "mariadb-server is not installed"


pytestmark = pytest.mark.skipif(wanted() is not None, reason=str(wanted()))


class Reference:
    """Debian's placement, without keystone: its own noauth2."""

    def __init__(self, folder, url):
        self.folder, self.port = folder, engines.free_port()
        (folder / "placement.conf").write_text(f"[placement_database]\nconnection = {url}\n"
                                               "[api]\nauth_strategy = noauth2\n")
        self.process = None

    def manage(self, program, *words):
        done = subprocess.run([sys.executable, "-c", f"import sys; from placement.cmd.{program} import main; sys.exit(main())",
                               "--config-file", str(self.folder / "placement.conf"), *words], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self):
        env = dict(os.environ, OS_PLACEMENT_CONFIG_DIR=str(self.folder))
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", REFERENCE, str(self.port)], env=env, stdout=log, stderr=log)
        for _ in range(600):
            try:
                requests.get(f"http://127.0.0.1:{self.port}/", timeout=5)
                return self
            except requests.ConnectionError:
                assert self.process.poll() is None, (self.folder / "log").read_text()[-3000:]
                time.sleep(0.1)
        raise AssertionError("the reference is not ready after 60 s")

    def call(self, method, path, body=None):
        return requests.request(method, f"http://127.0.0.1:{self.port}{path}", json=body, headers=HEADERS, timeout=60)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Ours:
    def __init__(self, cloud):
        self.cloud = cloud

    def call(self, method, path, body=None):
        return self.cloud.call(method, "placement", path, body, headers={"OpenStack-API-Version": "placement 1.39"})


def ok(answer):
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.text else None


def write(side):
    """A host with two nodes, shared storage, a claim; all through the API. Returns the ids."""
    aggregate, ids = str(uuid.uuid4()), {}
    for name, parent, inventories, traits in (
            ("host", None, {"MEMORY_MB": {"total": 1024, "reserved": 24, "allocation_ratio": 1.5}}, ["HW_CPU_X86_SSE", "CUSTOM_INTERCHANGE"]),
            ("node0", "host", {"VCPU": {"total": 4, "max_unit": 3}}, []), ("node1", "host", {"VCPU": {"total": 4}, "CUSTOM_CARD": {"total": 2}}, []),
            ("store", None, {"DISK_GB": {"total": 100, "step_size": 5}}, ["MISC_SHARES_VIA_AGGREGATE"])):
        ok(side.call("PUT", "/resource_classes/CUSTOM_CARD"))
        ok(side.call("PUT", "/traits/CUSTOM_INTERCHANGE"))
        body = {"name": f"{name}-{uuid.uuid4()}", **({"parent_provider_uuid": ids[parent]} if parent else {})}
        ids[name] = ok(side.call("POST", "/resource_providers", body))["uuid"]
        path = f"/resource_providers/{ids[name]}"
        ok(side.call("PUT", path + "/inventories", {"resource_provider_generation": 0, "inventories": inventories}))
        ok(side.call("PUT", path + "/traits", {"resource_provider_generation": 1, "traits": traits}))
        if name in ("host", "store"):
            generation = ok(side.call("GET", path))["generation"]
            ok(side.call("PUT", path + "/aggregates", {"resource_provider_generation": generation, "aggregates": [aggregate]}))
    ids["consumer"] = str(uuid.uuid4())
    ok(side.call("PUT", f"/allocations/{ids['consumer']}", {
        "allocations": {ids["node0"]: {"resources": {"VCPU": 2}}, ids["store"]: {"resources": {"DISK_GB": 10}}},
        "project_id": "interchange", "user_id": "someone", "consumer_generation": None, "consumer_type": "INSTANCE"}))
    return ids


def questions(ids):
    for name in ("host", "node0", "node1", "store"):
        for part in ("", "/inventories", "/usages", "/traits", "/aggregates", "/allocations"):
            yield f"/resource_providers/{ids[name]}{part}"
    yield from (f"/allocations/{ids['consumer']}", "/resource_classes", "/traits", "/usages?project_id=interchange",
                f"/resource_providers?in_tree={ids['host']}", "/resource_providers?required=CUSTOM_INTERCHANGE",
                "/allocation_candidates?resources=VCPU:1,MEMORY_MB:64,DISK_GB:5&root_required=CUSTOM_INTERCHANGE",
                "/allocation_candidates?resources_A=VCPU:3&resources_B=CUSTOM_CARD:1&same_subtree=_A,_B&group_policy=none",
                f"/allocation_candidates?resources=VCPU:3&in_tree={ids['host']}")


def plain(value):
    """Without order where order has no meaning."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return sorted((plain(v) for v in value), key=lambda v: json.dumps(v, sort_keys=True))
    return value


def compare(reference, ours, ids):
    for path in questions(ids):
        theirs, mine = reference.call("GET", path), ours.call("GET", path)
        assert (mine.status_code, plain(mine.json())) == (theirs.status_code, plain(theirs.json())), path


@pytest.fixture
def server():
    it = engines.MariaDB().start()
    it.create("placement")
    yield it
    it.dispose()


def test_in_turn_on_one_database(server, tmp_path):
    reference = Reference(tmp_path, server.url("placement"))
    reference.manage("manage", "db", "sync")
    reference.start()
    cloud = new_cloud(fake_compute=1)
    (cloud.state_dir / "etc").mkdir(parents=True)
    engines.write_configs(cloud.state_dir, cloud.offset,
                          lambda s: server.url("placement") if s == "placement" else f"sqlite:///{cloud.state_dir}/db/{s}.db")
    ours = Ours(cloud)
    try:
        first = write(reference)
        subprocess.run([BIN, "placement-manage", "--config-file", str(cloud.state_dir / "etc" / "placement.conf"), "db", "sync"],
                       check=True, timeout=120)
        cloud.start()
        compare(reference, ours, first)
        second = write(ours)
        compare(reference, ours, second)
        ok(ours.call("DELETE", f"/allocations/{first['consumer']}"))
        ok(ours.call("DELETE", f"/resource_providers/{first['node1']}"))
        assert reference.call("GET", f"/resource_providers/{first['node1']}").status_code == 404
        assert ok(reference.call("GET", f"/allocations/{first['consumer']}")) == {"allocations": {}}
        assert cloud.stop() == 0
        third = write(reference)
        ok(reference.call("DELETE", f"/allocations/{second['consumer']}"))
        (cloud.state_dir / "run" / "ready").unlink(missing_ok=True)
        cloud.start()
        compare(reference, ours, second)
        compare(reference, ours, third)
        versions = {reference.manage("manage", "db", "version").split()[-1], subprocess.run(
            [BIN, "placement-manage", "--config-file", str(cloud.state_dir / "etc" / "placement.conf"), "db", "version"],
            check=True, capture_output=True, text=True, timeout=60).stdout.split()[-1]}
        assert len(versions) == 1
        assert "Success" in reference.manage("status", "upgrade", "check")
    finally:
        reference.stop()
        dispose(cloud)
