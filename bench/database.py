# SPDX-License-Identifier: Apache-2.0
"""What routes ask of the database, on a MariaDB of its own: transactions, statements and round trips of a later call (the
first ones prepare their statements), and its time. Calls to services in the same process count with the route that makes
them."""
import time

import common  # noqa: F401  (finds the tests' cloud)
import engines
from conftest import dispose
from test_cluster import cloud_on

PLACEMENT = {"OpenStack-API-Version": "placement 1.39"}


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
        ("GET /v2.0/networks", lambda: cloud.get("network", "/v2.0/networks")),
        ("POST /v2.0/networks", lambda: cloud.post("network", "/v2.0/networks", {"network": {"name": "b"}})),
        ("POST /v2.0/ports", lambda: cloud.post("network", "/v2.0/ports", port)),
        ("GET /v2.0/ports", lambda: cloud.get("network", "/v2.0/ports")),
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
