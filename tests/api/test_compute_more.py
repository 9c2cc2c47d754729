# SPDX-License-Identifier: Apache-2.0
"""Compute on simulated hosts: what is done to a server that runs, what lists are filtered by, who may use a flavor."""
import pytest

from conftest import dispose, new_cloud
from test_nova_flows import HEADERS, Place

OFTEN = {"OS_DEFAULT__UPDATE_RESOURCES_INTERVAL": "1", "OS_DEFAULT__REPORT_INTERVAL": "1",
         "OS_SCHEDULER__DISCOVER_HOSTS_IN_CELLS_INTERVAL": "1",
         "OS_COMPUTE__RESOURCE_PROVIDER_ASSOCIATION_REFRESH": "1"}
NEWEST = {"OpenStack-API-Version": "placement 1.39"}
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def place():
    cloud = new_cloud(fake_compute=2, env=OFTEN).start()
    yield Place(cloud)
    dispose(cloud)


@pytest.fixture
def server(place):
    uuid = place.boot(name="more")
    place.until(uuid, "ACTIVE")
    yield uuid
    place.clear()


def act(place, uuid, action, status=202):
    answer = place.cloud.post("compute", f"/servers/{uuid}/action", action, headers=HEADERS)
    assert answer.status_code == status, answer.text
    return answer


def interfaces(place, uuid):
    return place.cloud.get("compute", f"/servers/{uuid}/os-interface", headers=HEADERS).json()["interfaceAttachments"]


def attach(place, uuid, **given):
    return place.cloud.post("compute", f"/servers/{uuid}/os-interface", {"interfaceAttachment": given}, headers=HEADERS)


def test_interfaces_come_and_go(place, server):
    path = f"/servers/{server}/os-interface"
    own = interfaces(place, server)
    made = attach(place, server, net_id=place.network)
    assert made.status_code == 200, made.text
    made = made.json()["interfaceAttachment"]
    assert made["net_id"] == place.network and made["fixed_ips"] and made["mac_addr"]
    port = place.cloud.post("network", "/v2.0/ports", {"port": {"network_id": place.network}}).json()["port"]
    assert attach(place, server, port_id=port["id"]).json()["interfaceAttachment"]["mac_addr"] == port["mac_address"]
    assert {i["port_id"] for i in interfaces(place, server)} == {own[0]["port_id"], made["port_id"], port["id"]}
    addresses = {a["addr"] for a in place.server(server)["addresses"]["n"]}
    assert {made["fixed_ips"][0]["ip_address"], port["fixed_ips"][0]["ip_address"]} < addresses
    shown = place.cloud.get("compute", f"{path}/{port['id']}", headers=HEADERS).json()["interfaceAttachment"]
    assert shown["port_id"] == port["id"] and shown["port_state"] == "ACTIVE"
    for id in (made["port_id"], port["id"]):
        assert place.cloud.call("DELETE", "compute", f"{path}/{id}", headers=HEADERS).status_code == 202
        place.cloud.wait(lambda: id not in [i["port_id"] for i in interfaces(place, server)])
    # the port that nova made goes with it, the other one stays
    place.cloud.wait(lambda: place.cloud.get("network", f"/v2.0/ports/{made['port_id']}").status_code == 404)
    left = place.cloud.get("network", f"/v2.0/ports/{port['id']}").json()["port"]
    assert left["device_id"] == "" and left["status"] == "DOWN"
    assert place.cloud.call("DELETE", "network", f"/v2.0/ports/{port['id']}").status_code == 204
    place.cloud.wait(lambda: len(place.server(server)["addresses"]["n"]) == 1)


def test_the_only_network_is_taken(place, server):
    made = attach(place, server)
    assert made.status_code == 200 and made.json()["interfaceAttachment"]["net_id"] == place.network
    chosen = attach(place, server, net_id=place.network, fixed_ips=[{"ip_address": "10.0.200.200"}])
    assert chosen.json()["interfaceAttachment"]["fixed_ips"][0]["ip_address"] == "10.0.200.200"
    taken = attach(place, server, net_id=place.network, fixed_ips=[{"ip_address": "10.0.200.200"}])
    assert taken.status_code == 409, taken.text
    assert len(interfaces(place, server)) == 3


def test_interfaces_that_cannot_be(place, server):
    port = interfaces(place, server)[0]["port_id"]
    assert attach(place, server, port_id=port).status_code == 409
    foreign = {"port": {"network_id": place.network, "tenant_id": "0" * 32}}
    foreign = place.cloud.post("network", "/v2.0/ports", foreign).json()["port"]["id"]
    assert attach(place, server, port_id=foreign).status_code == 400
    assert place.cloud.call("DELETE", "network", f"/v2.0/ports/{foreign}").status_code == 204
    other = place.boot(name="other")
    place.until(other, "ACTIVE")
    assert attach(place, other, port_id=port).status_code == 409
    assert [i["port_id"] for i in interfaces(place, server)] == [port]
    assert attach(place, server, port_id=NOBODY).status_code == 404
    assert attach(place, server, net_id=place.network, port_id=port).status_code == 400
    assert attach(place, server, net_id="x").status_code == 400
    assert attach(place, NOBODY, net_id=place.network).status_code == 404
    gone = place.cloud.call("DELETE", "compute", f"/servers/{server}/os-interface/{NOBODY}", headers=HEADERS)
    assert gone.status_code == 404
    assert [i["port_id"] for i in interfaces(place, server)] == [port]


def test_security_groups_by_the_client(place, server):
    """It looks their names up in nova's proxy of them."""
    cloud = place.cloud
    group = cloud.post("network", "/v2.0/security-groups", {"security_group": {"name": "web"}}).json()["security_group"]
    rule = {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp", "port_range_min": 80, "port_range_max": 80}
    assert cloud.post("network", "/v2.0/security-group-rules", {"security_group_rule": rule}).status_code == 201
    for command, names in (("add", {"default", "web"}), ("remove", {"default"})):
        cloud.openstack("server", command, "security", "group", server, "web", parse=False)
        groups = cloud.get("compute", f"/servers/{server}/os-security-groups").json()["security_groups"]
        assert {g["name"] for g in groups} == names
    listed = cloud.get("compute", "/os-security-groups").json()["security_groups"]
    assert {"default", "web"} <= {g["name"] for g in listed}
    shown = cloud.get("compute", f"/os-security-groups/{group['id']}").json()["security_group"]
    assert shown == next(g for g in listed if g["id"] == group["id"]) and shown["rules"][0]["ip_protocol"] == "tcp"
    assert cloud.get("compute", f"/os-security-groups/{NOBODY}").status_code == 404
    assert cloud.get("compute", "/os-security-groups/web").status_code == 400
    assert cloud.get("compute", "/os-security-groups", headers=HEADERS).status_code == 404
    made = cloud.post("compute", "/os-security-groups", {"security_group": {"name": "old", "description": "way"}})
    assert made.status_code == 200 and made.json()["security_group"]["description"] == "way", made.text
    path = f"/os-security-groups/{made.json()['security_group']['id']}"
    changed = cloud.call("PUT", "compute", path, {"security_group": {"name": "older"}})
    assert changed.status_code == 200 and changed.json()["security_group"]["name"] == "older"
    for bad in ({}, {"security_group": {}}, {"security_group": {"name": 1}}, {"security_group": {"name": "x" * 256}}):
        assert cloud.post("compute", "/os-security-groups", bad).status_code == 400, bad
    assert cloud.call("DELETE", "compute", path).status_code == 202
    assert cloud.call("DELETE", "compute", "/os-security-groups/").status_code == 404
    assert cloud.call("DELETE", "compute", "/os-security-groups").status_code == 405
    for method, body in (("DELETE", None), ("PUT", {"security_group": {"name": "x"}})):
        assert cloud.call(method, "compute", path, body).status_code == 404
    assert cloud.call("DELETE", "network", f"/v2.0/security-groups/{group['id']}").status_code == 204


def test_states_are_reset(place, server):
    act(place, server, {"os-resetState": {"state": "error"}})
    assert place.server(server)["status"] == "ERROR"
    act(place, server, {"os-resetState": {"state": "active"}})
    assert place.server(server)["status"] == "ACTIVE"
    act(place, server, {"os-resetState": {"state": "lost"}}, 400)


def test_lists_are_filtered(place, server):
    address = place.server(server)["addresses"]["n"][0]["addr"]

    def listed(query, status=200):
        answer = place.cloud.get("compute", f"/servers?{query}", headers=HEADERS)
        assert answer.status_code == status, answer.text
        return [s["id"] for s in answer.json()["servers"]] if status == 200 else None

    act(place, server, {"os-resetState": {"state": "error"}})
    for query, found in ((f"ip={address.replace('.', chr(92) + '.')}$", True), ("ip=203.0.113", False), ("ip6=2001", False),
                         ("status=ERROR", True), ("status=active", False), ("status=active&status=error", True),
                         ("name=^mo", True), ("name=^other", False), ("vm_state=error", True),
                         (f"host={place.server(server)['OS-EXT-SRV-ATTR:host']}", True), ("host=nowhere", False),
                         (f"image={place.image}", True), (f"image={NOBODY}", False), ("flavor=tiny", True), ("flavor=huge", False),
                         ("changes-since=2020-01-01T00:00:00Z", True), ("changes-before=2020-01-01T00:00:00Z", False)):
        assert (server in listed(query)) == found, query
    listed("changes-since=yesterday", 400)
    listed("status=nonsense", 400)


def test_who_may_use_a_flavor(place):
    flavor = {"name": "secret", "vcpus": 1, "ram": 64, "disk": 1, "id": "secret", "os-flavor-access:is_public": False}
    assert place.cloud.post("compute", "/flavors", {"flavor": flavor}).status_code == 200

    def access(action, tenant):
        return place.cloud.post("compute", "/flavors/secret/action", {action: {"tenant": tenant}}, headers=HEADERS)

    added = access("addTenantAccess", place.project)
    assert added.json() == {"flavor_access": [{"flavor_id": "secret", "tenant_id": place.project}]}
    assert access("addTenantAccess", place.project).status_code == 409
    assert place.cloud.get("compute", "/flavors/secret/os-flavor-access").json() == added.json()
    assert access("removeTenantAccess", place.project).json() == {"flavor_access": []}
    assert access("removeTenantAccess", place.project).status_code == 404
    assert place.cloud.call("DELETE", "compute", "/flavors/secret").status_code == 202


def test_a_service_that_has_gone_is_forgotten(place, server):
    def services():
        answer = place.cloud.get("compute", "/os-services?binary=nova-compute", headers=HEADERS).json()["services"]
        return {one["host"]: one["id"] for one in answer}

    def providers():
        found = place.cloud.get("placement", "/resource_providers?resources=VCPU:1", headers=NEWEST).json()["resource_providers"]
        return [one["name"] for one in found]

    busy = place.server(server)["OS-EXT-SRV-ATTR:host"]
    refused = place.cloud.call("DELETE", "compute", f"/os-services/{services()[busy]}", headers=HEADERS)
    assert refused.status_code == 409 and "hosting instances" in refused.text, refused.text
    assert place.cloud.call("DELETE", "compute", f"/os-services/{NOBODY}", headers=HEADERS).status_code == 404
    idle = next(host for host in services() if host != busy)
    group = place.cloud.post("compute", "/os-aggregates", {"aggregate": {"name": "group"}}).json()["aggregate"]["id"]
    joined = place.cloud.post("compute", f"/os-aggregates/{group}/action", {"add_host": {"host": idle}})
    assert joined.json()["aggregate"]["hosts"] == [idle]
    assert place.cloud.call("DELETE", "compute", f"/os-services/{services()[idle]}", headers=HEADERS).status_code == 204
    assert place.cloud.get("compute", f"/os-aggregates/{group}").json()["aggregate"]["hosts"] == []
    # a host that lives reports itself again, and is fit for servers again
    place.cloud.wait(lambda: idle in services() and idle in providers())

    def lands_there():
        uuid = place.boot(name="again")
        return place.until(uuid, "ACTIVE")["OS-EXT-SRV-ATTR:host"] == idle

    place.cloud.wait(lands_there, every=0.5)
