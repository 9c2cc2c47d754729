# SPDX-License-Identifier: Apache-2.0
"""The reference's placement and ours, in turn and at once on one MariaDB: what either writes the other reads, and answers alike."""
import concurrent.futures
import json
import random
import subprocess
import time
import uuid

import pytest
import requests

import engines
import reference
from conftest import BIN, dispose, new_cloud

WHY_NOT = reference.missing("placement")
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


class Theirs(reference.Reference):
    """Debian's placement, without keystone: its own noauth2. It does not try a claim again: with its default it takes the new
    generation and the old sum of what is used, so that two processes of it alone hand out more than there is."""

    def __init__(self, folder, url):
        super().__init__(folder, "placement", "placement.wsgi", "init_application", {"OS_PLACEMENT_CONFIG_DIR": str(folder)})
        self.config, self.database = folder / "placement.conf", url
        self.config.write_text(f"[placement_database]\nconnection = {url}\n[api]\nauth_strategy = noauth2\n"
                               "[placement]\nallocation_conflict_retry_count = 1\n")

    def call(self, method, path, body=None, version="1.39"):
        headers = {"OpenStack-API-Version": f"placement {version}", "X-Auth-Token": "admin"}
        return requests.request(method, self.url + path, json=body, headers=headers, timeout=120)


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


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The reference's placement on a database that it made, and a cloud of ours on the same one, which took it over."""
    server = engines.MariaDB().start()
    server.create("placement")
    theirs = Theirs(tmp_path_factory.mktemp("theirs"), server.url("placement"))
    theirs.manage("manage", "--config-file", str(theirs.config), "db", "sync")
    theirs.start()
    first = write(theirs)
    cloud = new_cloud(fake_compute=1)
    (cloud.state_dir / "etc").mkdir(parents=True)
    engines.write_configs(cloud.state_dir, cloud.offset,
                          lambda s: server.url("placement") if s == "placement" else f"sqlite:///{cloud.state_dir}/db/{s}.db")
    try:
        cloud.start()
        compare(theirs, Ours(cloud), first)
        yield theirs, cloud, first
    finally:
        theirs.stop()
        dispose(cloud)
        server.dispose()


def ours_manage(cloud, program, *words):
    return subprocess.run([BIN, program, "--config-file", str(cloud.state_dir / "etc" / "placement.conf"), *words],
                          check=True, capture_output=True, text=True, timeout=120).stdout


def test_in_turn_on_one_database(both):
    theirs, cloud, first = both
    ours = Ours(cloud)
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
    versions = {theirs.manage("manage", "--config-file", str(theirs.config), "db", "version").split()[-1],
                ours_manage(cloud, "placement-manage", "db", "version").split()[-1]}
    assert len(versions) == 1
    table = ours_manage(cloud, "placement-status", "upgrade", "check")
    assert table == theirs.manage("status", "--config-file", str(theirs.config), "upgrade", "check")
    assert table.count("| Result: Success ") == 3 and "Missing Root Provider IDs" in table


def test_what_the_reference_writes_beside_us_is_seen(both):
    """A second later at most, whatever it wrote: also what raises no generation (a release, a name, aggregates of 1.1)."""
    theirs, cloud, _ = both
    ours = Ours(cloud)

    def seen(ids):
        since = time.monotonic()
        while True:
            begun = time.monotonic()
            try:
                return compare(theirs, ours, ids)
            except AssertionError:
                if begun > since + 2:  # whatever was asked later than a second after the write is answered rightly
                    raise
                time.sleep(0.1)

    ids = write(theirs)
    seen(ids)
    ok(theirs.call("DELETE", f"/allocations/{ids['consumer']}"))
    seen(ids)
    ok(theirs.call("PUT", f"/resource_providers/{ids['store']}", {"name": f"renamed-{uuid.uuid4()}"}))
    seen(ids)
    ok(theirs.call("PUT", f"/resource_providers/{ids['store']}/aggregates", [], version="1.1"))
    seen(ids)
    ok(theirs.call("PUT", f"/resource_providers/{ids['node1']}/inventories", {
        "resource_provider_generation": ok(theirs.call("GET", f"/resource_providers/{ids['node1']}"))["generation"],
        "inventories": {}}))
    ok(theirs.call("DELETE", f"/resource_providers/{ids['node1']}"))
    gone = ids.pop("node1")
    ids["node1"] = ids["node0"]
    seen(ids)
    assert ours.call("GET", f"/resource_providers/{gone}").status_code == 404
    name = f"CUSTOM_{uuid.uuid4().hex.upper()}"
    ok(theirs.call("PUT", f"/traits/{name}"))
    cloud.wait(lambda: ours.call("GET", f"/resource_providers?required={name}").status_code == 200, every=0.1)


def test_race_with_the_reference_for_the_last_units(both):
    """Two processes of the reference and ours claim from the same providers at once: what is handed out is what there is."""
    theirs, cloud, _ = both
    ours = Ours(cloud)
    second = Theirs(theirs.folder, theirs.database).start()
    try:
        for turn in range(3):
            race(random.Random(turn), [theirs, second, ours, ours])
    finally:
        second.stop()


def race(dice, sides):
    total, rps = 12, []
    for _ in range(2):
        rps.append(ok(sides[0].call("POST", "/resource_providers", {"name": str(uuid.uuid4())}))["uuid"])
        ok(sides[0].call("PUT", f"/resource_providers/{rps[-1]}/inventories", {
            "resource_provider_generation": 0, "inventories": {"VCPU": {"total": total}, "DISK_GB": {"total": 1000}}}))
    amounts = [[dice.randint(1, 2) for _ in range(200)] for _ in sides]

    def client(side, amounts):
        won, projects = 0, ("race", "race2")
        for amount in amounts:
            consumer = str(uuid.uuid4())
            answer = side.call("PUT", f"/allocations/{consumer}", {
                "allocations": {rp: {"resources": {"VCPU": amount, "DISK_GB": 1}} for rp in rps},
                "project_id": projects[amount % 2], "user_id": consumer, "consumer_generation": None,
                "consumer_type": "INSTANCE"})
            if answer.status_code == 204:
                won += amount
            else:
                assert answer.status_code == 409, answer.text
                if amount == 1 and "exceed" in answer.text:
                    return won
        raise AssertionError("there was always room")

    with concurrent.futures.ThreadPoolExecutor(len(sides)) as pool:
        won = list(pool.map(client, sides, amounts))
    assert sum(won) == total, won
    for side in sides:
        for rp in rps:
            assert ok(side.call("GET", f"/resource_providers/{rp}/usages"))["usages"]["VCPU"] == total
