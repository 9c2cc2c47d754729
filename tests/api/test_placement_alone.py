# SPDX-License-Identifier: Apache-2.0
"""placement-api alone: callers of noauth2, health checks, random candidates, the reference's policies by persona, and garbage
for every route."""
import os
import random
import re
import socket
import subprocess
import uuid

import pytest

from conftest import BIN
from garbage import broken_text
from placement_alone import Alone

PROJECT = "p"
SEED = int(os.environ.get("NUBO_GARBAGE_SEED", "1"))
NEW_DEFAULTS = "[oslo_policy]\nenforce_new_defaults = true\nenforce_scope = true\n"


@pytest.fixture(scope="module")
def placement(tmp_path_factory):
    it = Alone(tmp_path_factory.mktemp("alone"), extra=NEW_DEFAULTS + "[healthcheck]\nenabled = true\n"
               "[cors]\nallowed_origin = http://dash.example\n")
    it.manage("placement-manage", "db", "sync")
    it.start()
    yield it
    it.stop()


def test_noauth2_believes_the_request_and_the_log_warns(placement):
    assert "NOBODY IS CHECKED" in placement.log.read_text()
    status = lambda **how: placement.call("GET", "/resource_providers", **how).status_code  # noqa: E731
    assert status(token="admin") == 200 and status(token="admin:project") == 200
    assert status(token="user") == 403 and status(token="user:admin") == 403
    assert status(token="user", headers={"X-Roles": "reader, admin"}) == 200
    assert status(token="admin", headers={"X-Roles": "reader"}) == 403
    assert status(token="") == 401
    assert placement.call("GET", "/", token="").status_code == 200


PERSONAS = {"admin": {"X-Roles": "admin,member,reader"}, "service": {"X-Roles": "service"},
            "member": {"X-Roles": "member,reader"}, "reader": {"X-Roles": "reader"},
            "other reader": {"X-Roles": "reader", "X-Project-Id": "another"}, "nobody": {"X-Roles": ""},
            "system admin": {"X-Roles": "admin", "OpenStack-System-Scope": "all"},
            "system reader": {"X-Roles": "reader", "OpenStack-System-Scope": "all"}}


def allowed(placement, persona, method, path, body=None):
    headers = {"X-Project-Id": PROJECT, **PERSONAS[persona]}
    if "OpenStack-System-Scope" in headers:
        headers.pop("X-Project-Id")
    answer = placement.call(method, path, body, token="someone", headers=headers)
    assert answer.status_code != 401 and answer.status_code < 500, answer.text
    return answer.status_code != 403


def test_personas_of_the_new_defaults(placement):
    """Admins and services do everything but reshape (services alone); readers see the usages of their project; system scope
    nothing."""
    rp = uuid.uuid4()
    for method, path, body in (("GET", "/resource_providers", None), ("GET", "/traits", None), ("GET", "/resource_classes", None),
                               ("PUT", f"/resource_providers/{rp}/traits", {}), ("DELETE", f"/allocations/{rp}", None),
                               ("GET", "/allocation_candidates?resources=VCPU:1", None), ("POST", "/allocations", {})):
        for persona in PERSONAS:
            assert allowed(placement, persona, method, path, body) is (persona in ("admin", "service")), (persona, path)
    for persona in PERSONAS:
        assert allowed(placement, persona, "POST", "/reshaper", {}) is (persona == "service"), persona
        assert allowed(placement, persona, "GET", f"/usages?project_id={PROJECT}") is (
            persona in ("admin", "service", "member", "reader")), persona


def test_the_sample_policy_knows_the_personas(placement, tmp_path):
    """The sample's rules are those that hold, and an operator's own line changes one of them."""
    sample = subprocess.run([BIN, "policy", "sample", "placement"], check=True, capture_output=True, text=True).stdout
    assert '#"project_reader_api": "role:reader and project_id:%(project_id)s"' in sample
    assert '#"placement:usages": "rule:admin_or_project_reader_or_service_api"' in sample
    assert '#"placement:reshaper:reshape": "rule:service_api"' in sample
    (tmp_path / "policy.yaml").write_text('"placement:traits:list": "rule:project_reader_api or role:reader"\n')
    it = Alone(tmp_path, extra=NEW_DEFAULTS + f"policy_file = {tmp_path}/policy.yaml\n")
    it.manage("placement-manage", "db", "sync")
    it.start()
    try:
        assert allowed(it, "reader", "GET", "/traits") and not allowed(it, "reader", "GET", "/resource_classes")
    finally:
        it.stop()


def test_healthcheck_and_pages_of_other_origins(placement):
    answer = placement.call("GET", "/healthcheck", token="")
    assert (answer.status_code, answer.text) == (200, "OK")
    asked = {"Origin": "http://dash.example", "Access-Control-Request-Method": "PUT",
             "Access-Control-Request-Headers": "openstack-api-version"}
    answer = placement.call("OPTIONS", "/allocations", token="", headers=asked)
    assert answer.status_code == 200 and answer.headers["Access-Control-Allow-Origin"] == "http://dash.example"
    answer = placement.call("GET", "/resource_providers", headers={"Origin": "http://dash.example"})
    assert "OpenStack-API-Version" in answer.headers["Access-Control-Expose-Headers"]
    answer = placement.call("GET", "/resource_providers", headers={"Origin": "http://evil.example"})
    assert answer.status_code == 200 and "Access-Control-Allow-Origin" not in answer.headers


def test_random_candidates(tmp_path):
    """Without the option the same order each time; with it any sample of all of them, and no more than the limit."""
    def orders(it, count):
        found = [it.ok("GET", "/allocation_candidates?resources=VCPU:1&limit=3")["allocation_requests"] for _ in range(count)]
        return [tuple(next(iter(one["allocations"])) for one in requests) for requests in found]

    steady = Alone(tmp_path)
    steady.manage("placement-manage", "db", "sync")
    steady.start()
    rps = [steady.provider({"VCPU": {"total": 4}}) for _ in range(12)]
    assert orders(steady, 5) == [tuple(rps[:3])] * 5
    steady.stop()
    mixed = Alone(tmp_path, extra="[placement]\nrandomize_allocation_candidates = true\n").start()
    try:
        seen = orders(mixed, 60)
        assert {len(one) for one in seen} == {3} and all(len(set(one)) == 3 for one in seen)
        assert len(set(seen)) > 30 and {rp for one in seen for rp in one} == set(rps)
        everything = mixed.ok("GET", "/allocation_candidates?resources=VCPU:1")["allocation_requests"]
        assert len(everything) == 12
    finally:
        mixed.stop()


# ---- garbage

def routes():
    table = subprocess.run([BIN, "routes"], check=True, capture_output=True, text=True).stdout
    return re.findall(r"^placement\tapi\t(\w+)\t(/\S*)", table, re.M)


QUERIES = ["resources", "resources1", "resources_A", "required", "required1", "required_A", "member_of", "member_of1", "in_tree",
           "in_tree_A", "limit", "group_policy", "root_required", "same_subtree", "project_id", "user_id", "consumer_type", "name",
           "uuid", "associated", "nothing", "resources" + "z" * 65]
VERSIONS = ["latest", "1.40", "2.0", "x", "1.", "1.-1", "1." + "9" * 30]
WORDS = ["VCPU:1", "VCPU:0", "VCPU:-1", "VCPU:9999999999999999999", "VCPU", ":", "VCPU:1,VCPU:2", "MEMORY_MB:1,VCPU:1",
         "CUSTOM_X:1", "none", "isolate", "_A", "_A,_B", "1", "0", "99999999999999999999", "in:", "!in:", "in:,", "!",
         "!!HW_CPU_X86_AVX",
         "HW_CPU_X86_AVX,!HW_CPU_X86_AVX", "in:HW_CPU_X86_AVX,!X", "%00", "%ff%fe", "%2e%2e/", "'; DROP TABLE traits; --", "\u2603",
         "", "startswith:HW", "true", "a" * 5000]


def query(dice):
    words = [*WORDS, str(uuid.uuid4()), "in:" + str(uuid.uuid4())]
    chosen = [f"{dice.choice(QUERIES)}={dice.choice(words)}" for _ in range(dice.randint(0, 4))]
    return "?" + "&".join(chosen) if chosen else ""


def good_bodies(rp, consumer):
    one = {"allocations": {rp: {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u", "consumer_generation": None,
           "consumer_type": "INSTANCE", "mappings": {"": [rp]}}
    inventories = {"VCPU": {"total": 8, "reserved": 0, "min_unit": 1, "max_unit": 8, "step_size": 1, "allocation_ratio": 1.0}}
    return [one, {consumer: one}, {"name": "n", "uuid": str(uuid.uuid4()), "parent_provider_uuid": None}, {"name": "CUSTOM_G"},
            {"resource_provider_generation": 1, "inventories": inventories}, {"resource_provider_generation": 1, **inventories["VCPU"]},
            {"resource_provider_generation": 1, "traits": ["HW_CPU_X86_AVX"]}, {"resource_class": "VCPU", **inventories["VCPU"]},
            {"resource_provider_generation": 1, "aggregates": [str(uuid.uuid4())]}, [str(uuid.uuid4())],
            {"inventories": {rp: {"resource_provider_generation": 1, "inventories": inventories}}, "allocations": {consumer: one}},
            {"allocations": [{"resource_provider": {"uuid": rp}, "resources": {"VCPU": 1}}], "project_id": "p", "user_id": "u"}]


def test_garbage_for_every_route(placement):
    """A thousand broken requests, at any microversion: an answer that is no 500, and a service that still works."""
    table = routes()
    assert len(table) > 30 and ("POST", "/reshaper") in table
    dice = random.Random(SEED)
    rp, consumer = placement.provider({"VCPU": {"total": 8}}), str(uuid.uuid4())
    bodies = good_bodies(rp, consumer)
    for turn in range(1100):
        method, path = table[turn % len(table)]
        values = [rp, str(uuid.uuid4()), "VCPU", "CUSTOM_G", "%00", "x" * 2000, "%ff", "..%2f..", "\u2603", consumer]
        path = re.sub(r"\{\w+\}", lambda _: dice.choice(values), path) + query(dice)
        text = broken_text(dice, dice.choice(bodies))
        version = f"1.{dice.randint(0, 39)}" if dice.random() < 0.9 else dice.choice(VERSIONS)
        url = f"http://127.0.0.1:{placement.port}{path}"
        answer = placement.session.request(method, url, data=text if method != "GET" else None, timeout=120, headers={
            "OpenStack-API-Version": f"placement {version}", "X-Auth-Token": "admin", "X-Roles": "admin,service",
            "Content-Type": "application/json"})
        assert answer.status_code < 500, (method, path[:300], text[:1000], version, answer.text[:1000])
        if "json" in answer.headers.get("Content-Type", ""):
            answer.json()
    assert placement.call("GET", f"/resource_providers/{rp}").status_code in (200, 404)


def test_broken_http(placement):
    """Raw bytes that no client sends: each connection is answered or closed, and the next one is served."""
    for text in (b"\x00\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                 b"PUT /traits/A HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                 b"POST /allocations HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n{}",
                 b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
                 b"POST /reshaper HTTP/1.1\r\nHost: x\r\nX-Auth-Token: admin\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                 b"GET /resource_providers HTTP/1.1\r\nHost: x\r\nX-Auth-Token: admin\r\nX-Auth-Token: \xff\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", placement.port), 2) as s:
            try:
                s.sendall(text)
                s.shutdown(socket.SHUT_WR)
                got = s.recv(65536)
            except OSError:  # closed before all of it was sent
                got = b""
            assert not re.match(rb"HTTP/1.. 5(?!05)", got), got[:300]
        assert placement.call("GET", "/").status_code == 200
