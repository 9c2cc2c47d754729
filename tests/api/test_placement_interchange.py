# SPDX-License-Identifier: Apache-2.0
"""The reference's placement and ours, in turn on one MariaDB: what either writes the other reads, and answers alike."""
import json
import subprocess
import uuid

import pytest
import requests

import engines
import reference
from conftest import BIN, dispose, new_cloud

HEADERS = {"OpenStack-API-Version": "placement 1.39", "X-Auth-Token": "admin"}
WHY_NOT = reference.missing("placement")
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


class Theirs(reference.Reference):
    """Debian's placement, without keystone: its own noauth2."""

    def __init__(self, folder, url):
        super().__init__(folder, "placement", "placement.wsgi", "init_application", {"OS_PLACEMENT_CONFIG_DIR": str(folder)})
        self.config = folder / "placement.conf"
        self.config.write_text(f"[placement_database]\nconnection = {url}\n[api]\nauth_strategy = noauth2\n")

    def call(self, method, path, body=None):
        return requests.request(method, self.url + path, json=body, headers=HEADERS, timeout=60)


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
            ("host", None, {"MEMORY_MB": {"total": 1024, "reserved": 24, "allocation_ratio": 1.5}},
             ["HW_CPU_X86_SSE", "CUSTOM_INTERCHANGE"]),
            ("node0", "host", {"VCPU": {"total": 4, "max_unit": 3}}, []),
            ("node1", "host", {"VCPU": {"total": 4}, "CUSTOM_CARD": {"total": 2}}, []),
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


def compare(theirs, ours, ids):
    for path in questions(ids):
        wanted, got = theirs.call("GET", path), ours.call("GET", path)
        assert (got.status_code, plain(got.json())) == (wanted.status_code, plain(wanted.json())), path


@pytest.fixture
def server():
    it = engines.MariaDB().start()
    it.create("placement")
    yield it
    it.dispose()


def test_in_turn_on_one_database(server, tmp_path):
    theirs = Theirs(tmp_path, server.url("placement"))
    theirs.manage("manage", "--config-file", str(theirs.config), "db", "sync")
    theirs.start()
    cloud = new_cloud(fake_compute=1)
    (cloud.state_dir / "etc").mkdir(parents=True)
    engines.write_configs(cloud.state_dir, cloud.offset,
                          lambda s: server.url("placement") if s == "placement" else f"sqlite:///{cloud.state_dir}/db/{s}.db")
    ours = Ours(cloud)
    try:
        first = write(theirs)
        subprocess.run([BIN, "placement-manage", "--config-file", str(cloud.state_dir / "etc" / "placement.conf"), "db", "sync"],
                       check=True, timeout=120)
        cloud.start()
        compare(theirs, ours, first)
        second = write(ours)
        compare(theirs, ours, second)
        ok(ours.call("DELETE", f"/allocations/{first['consumer']}"))
        ok(ours.call("DELETE", f"/resource_providers/{first['node1']}"))
        assert theirs.call("GET", f"/resource_providers/{first['node1']}").status_code == 404
        assert ok(theirs.call("GET", f"/allocations/{first['consumer']}")) == {"allocations": {}}
        assert cloud.stop() == 0
        third = write(theirs)
        ok(theirs.call("DELETE", f"/allocations/{second['consumer']}"))
        (cloud.state_dir / "run" / "ready").unlink(missing_ok=True)
        cloud.start()
        compare(theirs, ours, second)
        compare(theirs, ours, third)
        versions = {theirs.manage("manage", "--config-file", str(theirs.config), "db", "version").split()[-1], subprocess.run(
            [BIN, "placement-manage", "--config-file", str(cloud.state_dir / "etc" / "placement.conf"), "db", "version"],
            check=True, capture_output=True, text=True, timeout=60).stdout.split()[-1]}
        assert len(versions) == 1
        assert "Success" in theirs.manage("status", "--config-file", str(theirs.config), "upgrade", "check")
    finally:
        theirs.stop()
        dispose(cloud)
