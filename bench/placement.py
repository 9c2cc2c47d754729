# SPDX-License-Identifier: Apache-2.0
"""Placement with many hosts: questions and claims, in one process on SQLite and in several on one MariaDB. The hosts are made
through the API."""
import collections
import concurrent.futures
import http.client
import json
import re
import tempfile
import threading
import time
import uuid

from common import cpu_of, cpu_seconds, empty_handler, fdatasync_rate, line, measure_rate, wrk
import engines
from placement_alone import Alone

HOST = {"VCPU": {"total": 64, "allocation_ratio": 4.0}, "MEMORY_MB": {"total": 262144, "reserved": 512}, "DISK_GB": {"total": 2000}}
RARE = "CUSTOM_BENCH_RARE"


class Placement:
    """Calls by many threads, each on a connection of its own."""

    def __init__(self, base, token):
        self.base = base
        self.host = re.match(r"http://([^/]+)", self.base).group(1)
        self.headers = {"X-Auth-Token": token, "Content-Type": "application/json", "OpenStack-API-Version": "placement 1.39"}
        self.local = threading.local()

    def call(self, method, path, body=None):
        if not hasattr(self.local, "connection"):
            self.local.connection = http.client.HTTPConnection(self.host)
        self.local.connection.request(method, path, json.dumps(body) if body is not None else None, self.headers)
        answer = self.local.connection.getresponse()
        data = answer.read()
        assert answer.status < 300, (method, path, answer.status, data[:500])
        return json.loads(data) if data else None

    def provider(self, inventories, parent=None, traits=(), aggregates=()):
        name = str(uuid.uuid4())
        body = {"name": name, "uuid": name}
        if parent:
            body["parent_provider_uuid"] = parent
        made = self.call("POST", "/resource_providers", body)
        generation = made["generation"]
        if traits:
            generation = self.call("PUT", f"/resource_providers/{name}/traits",
                                   {"resource_provider_generation": generation, "traits": list(traits)})["resource_provider_generation"]
        if aggregates:
            generation = self.call("PUT", f"/resource_providers/{name}/aggregates",
                                   {"resource_provider_generation": generation, "aggregates": list(aggregates)})["resource_provider_generation"]
        if inventories:
            self.call("PUT", f"/resource_providers/{name}/inventories",
                      {"resource_provider_generation": generation, "inventories": inventories})
        return name

    def claim(self, host):
        self.call("PUT", f"/allocations/{uuid.uuid4()}", {
            "allocations": {host: {"resources": {"VCPU": 1, "MEMORY_MB": 64}}},
            "project_id": "bench", "user_id": "bench", "consumer_generation": None, "consumer_type": "INSTANCE"})


def ask(cloud, placement, what, query, expected=None):
    count = len(placement.call("GET", "/allocation_candidates?" + query)["allocation_requests"])
    assert expected is None or count == expected, (query, count)
    rate, cpu = measure_rate(cloud, placement.base + "/allocation_candidates?" + query, placement.headers)
    ceiling, ceiling_cpu = empty_handler(cloud)
    line(what, f"{cpu / 1000:.3f}", "ms", f"of CPU each, {rate:.0f}/s, {count} answers; empty handler {ceiling_cpu / 1000:.3f} ms")


def nested_host(placement, number, aggregate):
    """A host, two NUMA nodes, a device below each: five providers on three levels."""
    root = placement.provider({"MEMORY_MB": HOST["MEMORY_MB"]}, aggregates=[aggregate], traits=["COMPUTE_TRUSTED_CERTS"])
    for _ in range(2):
        node = placement.provider({"VCPU": HOST["VCPU"]}, parent=root, traits=["HW_CPU_X86_AVX2"])
        placement.provider({"VGPU": {"total": 4}}, parent=node, traits=[RARE] if number % 500 == 0 else [])


def bench_placement(cloud):
    placement = Placement(cloud.url("placement"), cloud.token())
    placement.call("PUT", f"/traits/{RARE}")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        hosts = list(pool.map(lambda _: placement.provider(HOST), range(990)))
        ask(cloud, placement, "candidates, 1,000 hosts, limit 10", "resources=VCPU:1,MEMORY_MB:1024,DISK_GB:10&limit=10", 10)
        ask(cloud, placement, "candidates, 1,000 hosts, all of them", "resources=VCPU:1,MEMORY_MB:1024,DISK_GB:10")
        claims(cloud, placement, hosts)
        aggregates = [str(uuid.uuid4()) for _ in range(18)]
        for aggregate in aggregates:
            placement.provider({"DISK_GB": {"total": 1000000}}, aggregates=[aggregate], traits=["MISC_SHARES_VIA_AGGREGATE"])
        list(pool.map(lambda n: nested_host(placement, n, aggregates[n % 18]), range(1800)))
    nested = "resources=MEMORY_MB:1024,DISK_GB:10&resources_CPU=VCPU:2&required_CPU=HW_CPU_X86_AVX2&resources_GPU=VGPU:1" \
             "&same_subtree=_CPU,_GPU&group_policy=none"
    ask(cloud, placement, "10,000 providers, 3 levels, sharing, limit 10", nested + "&limit=10", 10)
    ask(cloud, placement, "  the same, a trait that 8 of them have", nested + f"&required_GPU={RARE}", 8)
    ask(cloud, placement, "  the same, no host fits", nested.replace("VCPU:2", "VCPU:512"), 0)
    ask(cloud, placement, "  the same, limit 1,000 as nova asks", nested + "&limit=1000", 1000)


def claims(cloud, placement, hosts):
    """Durable allocations: 16 clients, each for a consumer of its own, over all hosts."""
    count, begin, before = 8000, time.time(), cpu_seconds(cloud)

    def claim(n):
        placement.claim(hosts[n % len(hosts)])
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(claim, range(count)))
    line("allocations put, 16 at a time", f"{count / (time.time() - begin):.0f}", "/s",
         f"{(cpu_seconds(cloud) - before) / count * 1e6:.0f} us of CPU each; fdatasync {fdatasync_rate():.0f}/s",
         "Zed 20 to 36 ms each")


# ---- several processes on one MariaDB, without keystone (noauth2)

PROCESSES = 3
QUESTION = "/allocation_candidates?resources=VCPU:1,MEMORY_MB:1024,DISK_GB:10&limit=10"


def bench_placement_processes(_):
    server = engines.MariaDB().start()
    server.create("placement")
    with tempfile.TemporaryDirectory(prefix="nubo-bench-") as folder:
        sides = [Alone(folder, server.url("placement")) for _ in range(PROCESSES)]
        try:
            sides[0].manage("placement-manage", "db", "sync")
            for side in sides:
                side.start()
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                hosts = list(pool.map(lambda n: sides[n % PROCESSES].provider(HOST), range(1000)))
            ask_all(sides)
            claims_of_all(server, sides, hosts)
            last_units(sides)
        finally:
            for side in sides:
                side.stop()
            server.dispose()


bench_placement_processes.alone = True


def ask_all(sides):
    """Every process is asked at once; they must say the same."""
    before, begin = cpu_of([side.process.pid for side in sides]), time.time()
    headers = {"X-Auth-Token": "admin", "OpenStack-API-Version": "placement 1.39"}
    with concurrent.futures.ThreadPoolExecutor(len(sides)) as pool:
        rates = list(pool.map(lambda side: wrk(f"http://127.0.0.1:{side.port}{QUESTION}", headers, connections=8), sides))
    spent = cpu_of([side.process.pid for side in sides]) - before
    same = len({json.dumps(side.ok("GET", QUESTION), sort_keys=True) for side in sides}) == 1
    line(f"candidates, 1,000 hosts, {len(sides)} processes, MariaDB", f"{sum(rates):.0f}", "/s",
         f"{spent / (sum(rates) * (time.time() - begin)) * 1e3:.3f} ms of CPU each; "
         f"the answers are {'the same' if same else 'NOT THE SAME'}")
    assert same


def claims_of_all(server, sides, hosts):
    """Claims through all processes, each followed by a question to another one, which must know of it."""
    count, begin, late = 6000, time.time(), []
    clients = [Placement(f"http://127.0.0.1:{side.port}", "admin") for side in sides]

    def claim(n):
        host = hosts[n % len(hosts)]
        clients[n % len(sides)].claim(host)
        if n % 10 == 0:
            found = clients[(n + 1) % len(sides)].call("GET", f"/allocation_candidates?resources=VCPU:1&in_tree={host}")
            late.append(found["provider_summaries"][host]["resources"]["VCPU"]["used"] < n // len(hosts) + 1)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(claim, range(count)))
    rate = count / (time.time() - begin)
    held = collections.Counter(int(row) for row in server.sql(
        "SELECT SUM(used) FROM allocations WHERE resource_class_id = 0 GROUP BY resource_provider_id", "placement").split())
    right = held == {count // len(hosts): len(hosts)}
    line(f"allocations put, 16 at a time, {len(sides)} processes, MariaDB", f"{rate:.0f}", "/s",
         f"every one is there: {right}; answers that missed one: {sum(late)} of {len(late)}", "Zed 20 to 36 ms each")
    assert right and not any(late)


def last_units(sides):
    """64 clients for 100 units."""
    rp = sides[0].provider({"VCPU": {"total": 100}})
    begin = time.time()
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        answers = collections.Counter(pool.map(lambda n: sides[n % len(sides)].claim({rp: {"VCPU": 1}}).status_code, range(320)))
    line("64 clients race for 100 units", f"{320 / (time.time() - begin):.0f}", "/s", f"answers: {dict(answers)}")
    assert answers == {204: 100, 409: 220}
