# SPDX-License-Identifier: Apache-2.0
"""Placement through its API, and through the real osc-placement client."""
import concurrent.futures
import random
import uuid

import pytest
import requests

V = {"OpenStack-API-Version": "placement 1.39"}


class Placement:
    def __init__(self, cloud):
        self.cloud = cloud

    def call(self, method, path, body=None, version="1.39", headers=None, **more):
        return self.cloud.call(method, "placement", path, body,
                               headers={"OpenStack-API-Version": f"placement {version}", **(headers or {})}, **more)

    def ok(self, method, path, body=None, **more):
        answer = self.call(method, path, body, **more)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.text else None

    def provider(self, inventories=None, parent=None, traits=(), aggregates=()):
        body = {"name": "test-" + uuid.uuid4().hex}
        if parent:
            body["parent_provider_uuid"] = parent
        one = self.ok("POST", "/resource_providers", body)
        path = f"/resource_providers/{one['uuid']}"
        generation = 0
        if inventories:
            generation = self.ok("PUT", path + "/inventories", {
                "resource_provider_generation": generation,
                "inventories": inventories})["resource_provider_generation"]
        if traits:
            for name in traits:
                if name.startswith("CUSTOM_"):
                    self.ok("PUT", f"/traits/{name}")
            generation = self.ok("PUT", path + "/traits", {
                "resource_provider_generation": generation, "traits": list(traits)})["resource_provider_generation"]
        if aggregates:
            self.ok("PUT", path + "/aggregates",
                    {"resource_provider_generation": generation, "aggregates": list(aggregates)})
        return one["uuid"]

    def claim(self, consumer, allocations, generation=None, **more):
        return self.call("PUT", f"/allocations/{consumer}", {
            "allocations": {rp: {"resources": resources} for rp, resources in allocations.items()},
            "project_id": "p", "user_id": "u", "consumer_generation": generation, "consumer_type": "INSTANCE"}, **more)


@pytest.fixture
def placement(cloud):
    return Placement(cloud)


def test_version_document_and_negotiation(placement):
    answer = placement.call("GET", "/", token="", version="1.15")
    assert answer.json()["versions"][0]["max_version"] == "1.39"
    assert answer.headers["OpenStack-API-Version"] == "placement 1.15"
    assert answer.headers["Cache-Control"] == "no-cache"
    answer = placement.call("GET", "/resource_providers", version="1.99")
    assert answer.status_code == 406
    error = answer.json()["errors"][0]
    assert (error["title"], error["max_version"], error["min_version"]) == ("Not Acceptable", "1.39", "1.0")
    assert "Unacceptable version header: 1.99" in error["detail"]
    assert placement.call("GET", "/resource_providers", version="pony.horse").status_code == 400
    assert placement.call("GET", "/traits", version="1.5").status_code == 404
    assert placement.call("PATCH", "/traits").status_code == 405


def test_errors_have_the_reference_form(placement):
    answer = placement.call("GET", f"/resource_providers/{uuid.UUID(int=1)}")
    error = answer.json()["errors"][0]
    assert error["detail"] == ("The resource could not be found.\n\n No resource provider with uuid "
                               f"{uuid.UUID(int=1)} found  ")
    assert error["code"] == "placement.undefined_code" and error["request_id"].startswith("req-")
    one = placement.provider()
    name = placement.ok("GET", f"/resource_providers/{one}")["name"]
    answer = placement.call("POST", "/resource_providers", {"name": name})
    assert answer.status_code == 409 and answer.json()["errors"][0]["code"] == "placement.duplicate_name"
    answer = placement.call("PUT", f"/resource_providers/{one}/inventories",
                            {"resource_provider_generation": 7, "inventories": {}})
    assert answer.json()["errors"][0]["code"] == "placement.concurrent_update"
    for accept, kind in (("text/html", "text/html"), ("text/plain", "text/plain"), ("image/png", "text/plain"),
                         ("*/*", "application/json")):
        answer = placement.call("GET", f"/nowhere<b>{uuid.uuid4()}", headers={"Accept": accept})
        assert answer.status_code == 404 and answer.headers["Content-Type"].startswith(kind)
        assert "The resource could not be found" in answer.text and "<b>" not in answer.text
    for bad in ({"name": 1}, {"nome": "x"}, {"name": "x" * 201}, []):
        assert placement.call("POST", "/resource_providers", bad).status_code == 400


def test_inventories_one_by_one(placement):
    one = placement.provider()
    path = f"/resource_providers/{one}/inventories"
    full = {"total": 16, "reserved": 0, "min_unit": 1, "max_unit": 2147483647, "step_size": 1, "allocation_ratio": 1.0}
    made = placement.call("POST", path, {"resource_class": "VCPU", "total": 16, "resource_provider_generation": 0})
    assert made.status_code == 201 and made.json() == {"resource_provider_generation": 1, **full}
    assert made.headers["Location"].endswith(f"{path}/VCPU")
    again = placement.call("POST", path, {"resource_class": "VCPU", "total": 8})
    assert again.status_code == 409 and "already exists" in again.text
    for bad in ({"resource_class": "NONE_SUCH", "total": 1}, {"resource_class": "VCPU"}, {"resource_class": "DISK_GB", "total": 0},
                {"resource_class": "DISK_GB", "total": 5, "reserved": 6}, {"resource_class": "DISK_GB", "total": 5, "min_unit": 0}):
        assert placement.call("POST", path, bad).status_code == 400, bad
    changed = placement.call("PUT", f"{path}/VCPU", {"total": 32, "resource_provider_generation": 1})
    assert changed.json() == {"resource_provider_generation": 2, **full, "total": 32}
    assert placement.call("PUT", f"{path}/VCPU", {"total": 64, "resource_provider_generation": 1}).status_code == 409
    assert placement.ok("GET", path) == {"resource_provider_generation": 2, "inventories": {"VCPU": {**full, "total": 32}}}
    for status in (204, 404):
        assert placement.call("DELETE", f"{path}/VCPU").status_code == status
    assert placement.ok("GET", path) == {"resource_provider_generation": 3, "inventories": {}}


def test_groups_without_resources(placement):
    """Of the same tree as others by same_subtree alone (1.36)."""
    root = placement.provider({"MEMORY_MB": {"total": 1024}}, traits=["CUSTOM_SUBTREE_TEST"])
    numa = placement.provider(parent=root, traits=["CUSTOM_SUBTREE_NUMA"])
    cpus = placement.provider({"VCPU": {"total": 4}}, parent=numa)
    placement.provider({"VCPU": {"total": 4}}, parent=root)  # not below the other
    query = "/allocation_candidates?resources_CPU=VCPU:1&required_NUMA=CUSTOM_SUBTREE_NUMA&group_policy=none"
    found = placement.ok("GET", query + "&same_subtree=_CPU,_NUMA&root_required=CUSTOM_SUBTREE_TEST")
    assert [set(request["allocations"]) for request in found["allocation_requests"]] == [{cpus}]
    assert found["allocation_requests"][0]["mappings"] == {"_CPU": [cpus], "_NUMA": [numa]}
    lonely = placement.call("GET", query)
    assert lonely.status_code == 400 and "same_subtree" in lonely.text
    assert placement.call("GET", query + "&same_subtree=_CPU,_GPU").status_code == 400


def test_nested_and_shared_candidates(placement):
    aggregate = str(uuid.uuid4())
    root = placement.provider({"MEMORY_MB": {"total": 1024}}, aggregates=[aggregate], traits=["CUSTOM_NESTED_TEST"])
    children = [placement.provider({"VCPU": {"total": 4}}, parent=root) for _ in range(2)]
    disk = placement.provider({"DISK_GB": {"total": 100}}, traits=["MISC_SHARES_VIA_AGGREGATE"],
                              aggregates=[aggregate])
    found = placement.ok("GET", "/allocation_candidates?resources=VCPU:1,MEMORY_MB:64,DISK_GB:5"
                                "&root_required=CUSTOM_NESTED_TEST")
    got = [set(request["allocations"]) for request in found["allocation_requests"]]
    assert sorted(map(sorted, got)) == sorted(sorted([root, child, disk]) for child in children)
    assert set(found["provider_summaries"]) == {root, disk, *children}
    found = placement.ok("GET", "/allocation_candidates?resources1=VCPU:1&resources2=VCPU:1&group_policy=isolate"
                                f"&in_tree1={root}&in_tree2={root}")
    assert len(found["allocation_requests"]) == 2
    assert all(len(request["mappings"]) == 2 for request in found["allocation_requests"])


def test_race_for_the_last_units(placement):
    """64 clients want one unit each of a provider that has 10: exactly 10 get it, the rest hear 409."""
    rp = placement.provider({"VCPU": {"total": 10}})
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: placement.claim(uuid.uuid4(), {rp: {"VCPU": 1}}), range(64)))
    assert sorted(a.status_code for a in answers) == [204] * 10 + [409] * 54
    assert {a.json()["errors"][0]["code"] for a in answers if a.status_code == 409} == {"placement.undefined_code"}
    assert placement.ok("GET", f"/resource_providers/{rp}/usages")["usages"] == {"VCPU": 10}
    assert placement.ok("GET", f"/allocation_candidates?resources=VCPU:1&in_tree={rp}")["allocation_requests"] == []


def test_consumer_generations(placement):
    rp = placement.provider({"VCPU": {"total": 10}})
    consumer = str(uuid.uuid4())
    assert placement.claim(consumer, {rp: {"VCPU": 1}}).status_code == 204
    answer = placement.claim(consumer, {rp: {"VCPU": 2}})
    assert answer.status_code == 409
    assert "consumer generation conflict - expected 1 but got None" in answer.json()["errors"][0]["detail"]
    assert placement.claim(consumer, {rp: {"VCPU": 2}}, 1).status_code == 204
    assert placement.claim(consumer, {}, 2).status_code == 204
    assert placement.ok("GET", f"/allocations/{consumer}") == {"allocations": {}}
    assert placement.call("DELETE", f"/allocations/{consumer}").status_code == 404


def test_claims_and_releases_leave_no_trace(placement):
    """Random claims, moves and releases by several clients: what the usages say is what the allocations say."""
    rps = [placement.provider({"VCPU": {"total": 30}, "DISK_GB": {"total": 50}}) for _ in range(3)]

    def live(seed):
        dice = random.Random(seed)
        consumer = str(uuid.UUID(int=dice.getrandbits(128), version=4))
        for _ in range(12):
            now = placement.ok("GET", f"/allocations/{consumer}")
            if dice.random() < 0.3:
                placement.call("DELETE", f"/allocations/{consumer}")
            else:
                chosen = dice.sample(rps, dice.randint(1, 2))
                placement.claim(consumer, {rp: {"VCPU": dice.randint(1, 4), "DISK_GB": 5} for rp in chosen},
                                now.get("consumer_generation"))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(live, range(24)))
    for rp in rps:
        held = {"VCPU": 0, "DISK_GB": 0}
        for one in placement.ok("GET", f"/resource_providers/{rp}/allocations")["allocations"].values():
            for name, amount in one["resources"].items():
                held[name] += amount
        assert placement.ok("GET", f"/resource_providers/{rp}/usages")["usages"] == held
        assert held["VCPU"] <= 30 and held["DISK_GB"] <= 50
        summary = placement.ok("GET", f"/allocation_candidates?resources=VCPU:1&in_tree={rp}")["provider_summaries"]
        if summary:
            assert summary[rp]["resources"]["VCPU"]["used"] == held["VCPU"]


def audit(cloud):
    """What must hold in the tables whatever happened: nothing over capacity, no row that names nothing, no consumer without a
    claim; and the generations of the providers."""
    over = cloud.query("placement",
                       "SELECT i.resource_provider_id FROM inventories i JOIN allocations a ON a.resource_provider_id ="
                       " i.resource_provider_id AND a.resource_class_id = i.resource_class_id GROUP BY i.id"
                       " HAVING SUM(a.used) > MAX((i.total - i.reserved) * i.allocation_ratio)")
    lost = cloud.query("placement",
                       "SELECT id FROM allocations WHERE consumer_id NOT IN (SELECT uuid FROM consumers) OR resource_provider_id"
                       " NOT IN (SELECT id FROM resource_providers)")
    idle = cloud.query("placement", "SELECT uuid FROM consumers WHERE uuid NOT IN (SELECT consumer_id FROM allocations)")
    assert (over, lost, idle) == ([], [], [])
    return {rp: int(number) for rp, number in cloud.query("placement", "SELECT uuid, generation FROM resource_providers")}


def test_kill_in_the_middle_of_claims(own_cloud):
    """kill -9 under load, three times: every claim that was answered is there, none is half there, no generation goes back."""
    placement = Placement(own_cloud)
    rps = [placement.provider({"VCPU": {"total": 100000}, "DISK_GB": {"total": 100000}}) for _ in range(4)]
    answered, generations = set(), {}

    def live(seed):
        dice = random.Random(seed)
        while True:
            consumer = str(uuid.uuid4())
            try:
                claim = {rp: {"VCPU": 1, "DISK_GB": 2} for rp in dice.sample(rps, 2)}
                if placement.claim(consumer, claim).status_code == 204:
                    answered.add(consumer)
            except requests.RequestException:
                return

    for turn in range(3):
        before = len(answered)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            running = [pool.submit(live, turn * 100 + n) for n in range(8)]
            while len(answered) < before + 150:
                assert not all(one.done() for one in running)
            own_cloud.kill()
        own_cloud.start()
        now = audit(own_cloud)
        assert all(now[rp] >= generations.get(rp, 0) for rp in rps)
        generations = now
    held = {}
    for rp in rps:
        of_this = placement.ok("GET", f"/resource_providers/{rp}/allocations")["allocations"]
        for consumer, one in of_this.items():
            held.setdefault(consumer, []).append(one["resources"])
        usages = placement.ok("GET", f"/resource_providers/{rp}/usages")["usages"]
        assert usages == {"VCPU": len(of_this), "DISK_GB": 2 * len(of_this)}
    assert answered <= set(held)
    assert all(parts == [{"VCPU": 1, "DISK_GB": 2}] * 2 for parts in held.values())


def test_only_admins_and_services(placement, cloud):
    member = cloud.make_user("placement-member", "member", "placement-project")
    for method, path in (("GET", "/resource_providers"), ("GET", "/traits"),
                         ("GET", "/allocation_candidates?resources=VCPU:1"), ("DELETE", f"/allocations/{uuid.uuid4()}")):
        answer = placement.call(method, path, token=member)
        assert answer.status_code == 403 and answer.json()["errors"][0]["title"] == "Forbidden", answer.text
        assert placement.call(method, path, token="").status_code == 401
        assert placement.call(method, path, token="nonsense").status_code == 401


def test_client(cloud):
    """osc-placement, unmodified."""
    probe = cloud.openstack("resource", "provider", "list", check=False)
    if probe.returncode != 0 and "is not an openstack command" in probe.stderr:
        pytest.skip("osc-placement is not installed")
    made = cloud.openstack("resource", "provider", "create", "client-rp")
    cloud.openstack("resource", "provider", "inventory", "set", made["uuid"], "--resource", "VCPU=8",
                    "--resource", "VCPU:allocation_ratio=2.0")
    shown = cloud.openstack("resource", "provider", "inventory", "list", made["uuid"])
    assert (shown[0]["resource_class"], shown[0]["total"], shown[0]["allocation_ratio"]) == ("VCPU", 8, 2.0)
    cloud.openstack("--os-placement-api-version", "1.6", "resource", "provider", "trait", "set",
                    "--trait", "HW_CPU_X86_AVX", made["uuid"])
    found = cloud.openstack("--os-placement-api-version", "1.29", "allocation", "candidate", "list",
                            "--resource", "VCPU=2", "--required", "HW_CPU_X86_AVX")
    assert [row["resource provider"] for row in found] == [made["uuid"]]
    cloud.openstack("resource", "provider", "delete", made["uuid"], parse=False)
