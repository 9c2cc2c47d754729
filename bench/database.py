# SPDX-License-Identifier: Apache-2.0
"""What routes ask of the database, on a MariaDB of its own: transactions, statements and round trips of a later call (the
first ones prepare their statements), and its time. Calls to services in the same process count with the route that makes
them."""
import time
import uuid

import common  # noqa: F401  (finds the tests' cloud)
import engines
from conftest import dispose
from test_cluster import cloud_on

PLACEMENT = {"OpenStack-API-Version": "placement 1.39"}


def claims(cloud):
    """Calls that allocate from a provider of their own."""
    rp = cloud.post("placement", "/resource_providers", {"name": "bench"}, headers=PLACEMENT).json()["uuid"]
    cloud.call("PUT", "placement", f"/resource_providers/{rp}/inventories", {
        "resource_provider_generation": 0, "inventories": {"VCPU": {"total": 1000}, "MEMORY_MB": {"total": 100000}}},
        headers=PLACEMENT)
    own = {"project_id": "bench", "user_id": "bench", "consumer_generation": None, "consumer_type": "INSTANCE",
           "allocations": {rp: {"resources": {"VCPU": 1, "MEMORY_MB": 64}}}}

    def put():
        consumer = str(uuid.uuid4())
        return consumer, cloud.call("PUT", "placement", f"/allocations/{consumer}", own, headers=PLACEMENT)

    return [
        ("PUT /allocations", lambda: put()[1]),
        ("POST /allocations, 3 consumers",
         lambda: cloud.post("placement", "/allocations", {str(uuid.uuid4()): own for _ in range(3)}, headers=PLACEMENT)),
        ("DELETE /allocations", lambda: cloud.call("DELETE", "placement", f"/allocations/{put()[0]}", headers=PLACEMENT)),
    ]


def calls(cloud, net):
    """(what it is, a function that makes the call)"""
    port = {"port": {"network_id": net}}
    serial = iter(range(10**6))
    return [
        ("POST /v3/auth/tokens", lambda: cloud.login()),
        ("GET /v3/auth/tokens", lambda: cloud.get("identity", "/auth/tokens", headers={"X-Subject-Token": cloud.token()})),
        ("GET /v3/projects", lambda: cloud.get("identity", "/projects")),
        ("POST /v3/projects", lambda: cloud.post("identity", "/projects", {"project": {"name": f"b{next(serial)}"}})),
        ("GET /v2/images", lambda: cloud.get("image", "/v2/images")),
        ("POST /v2/images", lambda: cloud.post("image", "/v2/images", {"name": "b"})),
        ("GET /resource_providers", lambda: cloud.get("placement", "/resource_providers", headers=PLACEMENT)),
        ("GET /allocation_candidates",
         lambda: cloud.get("placement", "/allocation_candidates?resources=VCPU:1", headers=PLACEMENT)),
        *claims(cloud),
        ("GET /v2.0/networks", lambda: cloud.get("network", "/v2.0/networks")),
        ("POST /v2.0/networks", lambda: cloud.post("network", "/v2.0/networks", {"network": {"name": "b"}})),
        ("POST /v2.0/ports", lambda: cloud.post("network", "/v2.0/ports", port)),
        ("GET /v2.0/ports", lambda: cloud.get("network", "/v2.0/ports")),
        ("DELETE /v2.0/ports", lambda: cloud.call(
            "DELETE", "network", "/v2.0/ports/" + cloud.post("network", "/v2.0/ports", port).json()["port"]["id"])),
        ("GET /v2.1/servers/detail", lambda: cloud.get("compute", "/servers/detail")),
        ("GET /v2.1/flavors/detail", lambda: cloud.get("compute", "/flavors/detail")),
        ("POST /v2.1/os-keypairs", lambda: cloud.post("compute", "/os-keypairs", {"keypair": {"name": f"k{next(serial)}"}})),
        ("GET /v2.1/os-hypervisors/detail", lambda: cloud.get("compute", "/os-hypervisors/detail")),
    ]


def bench_database(_):
    server = engines.MariaDB().start()
    cloud = cloud_on(server, extra="connection_debug = 1\n")
    try:
        net = cloud.post("network", "/v2.0/networks", {"network": {"name": "bench"}}).json()["network"]["id"]
        cloud.post("network", "/v2.0/subnets", {"subnet": {"network_id": net, "cidr": "10.9.0.0/16", "ip_version": 4}})
        print(f"{'route':34} {'status':>6} {'transactions':>12} {'statements':>10} {'round trips':>11} {'ms':>7}")
        for name, call in calls(cloud, net):
            for _ in range(4):  # every pooled connection has prepared what it needs
                call()
            began = time.perf_counter()
            answer = call()
            took = (time.perf_counter() - began) * 1000
            usage = dict(part.split("=") for part in answer.headers.get("X-Nubo-Database", "").split())
            print(f"{name:34} {answer.status_code:6} {usage.get('transactions', '-'):>12} {usage.get('statements', '-'):>10} "
                  f"{usage.get('round_trips', '-'):>11} {took:7.1f}")
    finally:
        dispose(cloud)
        server.dispose()
