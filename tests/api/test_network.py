# SPDX-License-Identifier: Apache-2.0
"""Network API v2.0: networks, subnets and their addresses; the words of the reference."""
import concurrent.futures
import ipaddress
import uuid

import pytest


def error(answer):
    found = answer.json()["NeutronError"]
    return answer.status_code, found["type"], found["message"]


def make(cloud, kind, status=201, **fields):
    path = "/v2.0/" + {"security_group": "security-groups", "security_group_rule": "security-group-rules"}.get(kind, kind + "s")
    answer = cloud.post("network", path, {kind: fields})
    assert answer.status_code == status, answer.text
    return answer.json().get(kind)


@pytest.fixture
def net(cloud):
    return make(cloud, "network", name="t-" + uuid.uuid4().hex[:8])


@pytest.fixture
def member(cloud):
    return cloud.make_user("net-member", "member", "net-project")


def test_network_life(cloud):
    made = make(cloud, "network", name="life")
    assert made["mtu"] == 1450 and made["provider:network_type"] == "vxlan" and made["status"] == "ACTIVE"
    assert made["tenant_id"] == made["project_id"] and made["revision_number"] == 1
    url = "/v2.0/networks/" + made["id"]
    assert cloud.get("network", url).json()["network"] == made
    changed = cloud.call("PUT", "network", url, {"network": {"name": "other", "shared": True}}).json()["network"]
    assert (changed["name"], changed["shared"], changed["revision_number"]) == ("other", True, 2)
    stale = cloud.call("PUT", "network", url, {"network": {"name": "x"}}, headers={"If-Match": "revision_number=1"})
    assert error(stale)[:2] == (412, "RevisionNumberConstraintFailed")
    assert cloud.call("DELETE", "network", url).status_code == 204
    assert error(cloud.get("network", url)) == (404, "NetworkNotFound", f"Network {made['id']} could not be found.")


@pytest.mark.parametrize("body, said", [
    (None, "Resource body required"),
    ({"x": {}}, "Unable to find 'network' in request body"),
    ({"network": {"a": 1, "b": 2}}, "Unrecognized attribute(s) 'a, b'"),
    ({"network": {"status": "DOWN"}}, "Attribute 'status' not allowed in POST"),
    ({"network": {"name": "n" * 256}}, f"Invalid input for name. Reason: '{'n' * 256}' exceeds maximum length of 255."),
    ({"network": {"name": 5}}, "Invalid input for name. Reason: '5' is not a valid string."),
    ({"network": {"admin_state_up": "maybe"}}, "Invalid input for operation: 'maybe' cannot be converted to boolean."),
    ({"network": {"provider:network_type": "gre"}}, "Invalid input for operation: network_type value 'gre' not supported."),
    ({"network": {"provider:network_type": "flat"}},
     "Invalid input for operation: physical_network required for flat provider network."),
    ({"network": {"mtu": 9000}}, "Invalid input for operation: Requested MTU is too big, maximum is 1450."),
])
def test_network_refused(cloud, body, said):
    answer = cloud.post("network", "/v2.0/networks", body)
    assert answer.status_code == 400 and error(answer)[2] == said


def test_provider_segments_are_unique(cloud):
    first = make(cloud, "network", **{"provider:network_type": "vlan", "provider:physical_network": "provider",
                                      "provider:segmentation_id": 77})
    again = cloud.post("network", "/v2.0/networks", {"network": {
        "provider:network_type": "vlan", "provider:physical_network": "provider", "provider:segmentation_id": 77}})
    assert error(again) == (409, "VlanIdInUse",
                            "Unable to create the network. The VLAN 77 on physical network provider is in use.")
    assert cloud.call("DELETE", "network", "/v2.0/networks/" + first["id"]).status_code == 204
    cloud.call("DELETE", "network", "/v2.0/networks/" + make(cloud, "network", **{
        "provider:network_type": "vlan", "provider:physical_network": "provider", "provider:segmentation_id": 77})["id"])


def test_lists(cloud):
    tag = uuid.uuid4().hex[:8]
    bulk = cloud.post("network", "/v2.0/networks", {"networks": [{"name": f"{tag}-{i}", "description": tag} for i in range(5)]})
    assert bulk.status_code == 201 and len(bulk.json()["networks"]) == 5
    owners = [uuid.uuid4().hex for _ in range(20)] # whose quotas are all held at once
    bulk = cloud.post("network", "/v2.0/networks", {"networks": [{"name": f"{tag}-{o}", "project_id": o} for o in owners]})
    assert bulk.status_code == 201 and {network["project_id"] for network in bulk.json()["networks"]} == set(owners)
    page = cloud.get("network", f"/v2.0/networks?description={tag}&limit=2&sort_key=name&sort_dir=desc"
                                "&fields=name&fields=id").json()
    assert [n["name"] for n in page["networks"]] == [f"{tag}-4", f"{tag}-3"] and set(page["networks"][0]) == {"name", "id"}
    links = {link["rel"]: link["href"] for link in page["networks_links"]}
    rest = cloud.get("network", links["next"].split(":", 2)[2].partition("/")[1] + links["next"].split("/", 3)[3]).json()
    assert [n["name"] for n in rest["networks"]] == [f"{tag}-2", f"{tag}-1"]
    assert {link["rel"] for link in rest["networks_links"]} == {"next", "previous"}
    both = cloud.get("network", f"/v2.0/networks?name={tag}-0&name={tag}-3").json()["networks"]
    assert len(both) == 2
    assert error(cloud.get("network", "/v2.0/networks?color=red")) == (
        400, "HTTPBadRequest", "['color'] is invalid attribute for filtering")
    assert cloud.get("network", "/v2.0/networks?sort_key=subnets").status_code == 400


def test_other_projects_see_nothing(cloud, member, net):
    url = "/v2.0/networks/" + net["id"]
    assert error(cloud.get("network", url, token=member))[:2] == (404, "NetworkNotFound")
    assert cloud.call("PUT", "network", url, {"network": {"name": "x"}}, token=member).status_code == 404
    assert cloud.call("DELETE", "network", url, token=member).status_code == 404
    assert net["id"] not in cloud.get("network", "/v2.0/networks", token=member).text
    shared = cloud.post("network", "/v2.0/networks", {"network": {"shared": True}}, token=member)
    assert error(shared) == (403, "PolicyNotAuthorized",
                             "(rule:create_network and rule:create_network:shared) is disallowed by policy")
    cloud.call("PUT", "network", url, {"network": {"shared": True}})
    seen = cloud.get("network", url, token=member)
    assert seen.status_code == 200 and "provider:network_type" not in seen.json()["network"]
    assert cloud.call("DELETE", "network", url, token=member).status_code == 403
    foreign = cloud.post("network", "/v2.0/networks", {"network": {"project_id": net["project_id"]}}, token=member)
    assert foreign.status_code == 400 and "requires admin privileges" in error(foreign)[2]


def test_subnets(cloud, net):
    made = make(cloud, "subnet", network_id=net["id"], ip_version=4, cidr="10.1.0.0/24", dns_nameservers=["9.9.9.9"])
    assert made["gateway_ip"] == "10.1.0.1" and made["allocation_pools"] == [{"start": "10.1.0.2", "end": "10.1.0.254"}]
    assert make(cloud, "subnet", network_id=net["id"], ip_version=4, cidr="10.8.0.5/24")["cidr"] == "10.8.0.0/24"
    six = make(cloud, "subnet", network_id=net["id"], ip_version=6, cidr="fd00:1::/64", ipv6_ra_mode="slaac",
               ipv6_address_mode="slaac")
    assert {made["id"], six["id"]} <= set(cloud.get("network", "/v2.0/networks/" + net["id"]).json()["network"]["subnets"])
    for fields, status, code in [
        ({"cidr": "10.1.0.128/25"}, 400, "InvalidInput"),
        ({"cidr": "10.2.0.0"}, 400, "HTTPBadRequest"),
        ({"cidr": "nonsense"}, 400, "HTTPBadRequest"),
        ({"cidr": "10.3.0.0/24", "ip_version": 6}, 400, "InvalidInput"),
        ({"cidr": "10.3.0.0/24", "allocation_pools": [{"start": "10.4.0.2", "end": "10.4.0.5"}]}, 400, "OutOfBoundsAllocationPool"),
        ({"cidr": "10.3.0.0/24", "allocation_pools": [{"start": "10.3.0.9", "end": "10.3.0.5"}]}, 400, "InvalidAllocationPool"),
        ({"cidr": "10.3.0.0/24", "gateway_ip": "10.3.0.7", "allocation_pools": [{"start": "10.3.0.5", "end": "10.3.0.9"}]},
         409, "GatewayConflictWithAllocationPools"),
    ]:
        answer = cloud.post("network", "/v2.0/subnets", {"subnet": {"ip_version": 4, "network_id": net["id"], **fields}})
        assert error(answer)[:2] == (status, code), answer.text
    missing = cloud.post("network", "/v2.0/subnets", {"subnet": {"ip_version": 4, "cidr": "10.9.0.0/24"}})
    assert error(missing)[2] == "Failed to parse request. Required attribute 'network_id' not specified"
    port = make(cloud, "port", network_id=net["id"])
    assert error(cloud.call("DELETE", "network", "/v2.0/subnets/" + made["id"]))[:2] == (409, "SubnetInUse")
    assert error(cloud.call("DELETE", "network", "/v2.0/networks/" + net["id"]))[:2] == (409, "NetworkInUse")
    assert {ip["subnet_id"] for ip in port["fixed_ips"]} == {made["id"], six["id"]}
    assert cloud.call("DELETE", "network", "/v2.0/ports/" + port["id"]).status_code == 204
    assert cloud.call("DELETE", "network", "/v2.0/subnets/" + made["id"]).status_code == 204


def test_no_address_twice(cloud, net):
    """Ports asked for by many clients at once: every address once, and exactly as many as the pool has."""
    make(cloud, "subnet", network_id=net["id"], ip_version=4, cidr="10.5.0.0/26")
    cloud.token()

    def port(_):
        return cloud.post("network", "/v2.0/ports", {"port": {"network_id": net["id"]}})

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(port, range(70)))
    good = [a.json()["port"]["fixed_ips"][0]["ip_address"] for a in answers if a.status_code == 201]
    assert len(good) == len(set(good)) == 61
    assert all(ipaddress.ip_address(ip) in ipaddress.ip_network("10.5.0.0/26") for ip in good)
    bad = [a for a in answers if a.status_code != 201]
    assert {error(a)[:2] for a in bad} == {(409, "IpAddressGenerationFailure")}
    gone = next(a.json()["port"] for a in answers if a.status_code == 201)
    assert cloud.call("DELETE", "network", "/v2.0/ports/" + gone["id"]).status_code == 204
    assert make(cloud, "port", network_id=net["id"])["fixed_ips"] == gone["fixed_ips"]


def test_quota(cloud, member):
    project = cloud.get("identity", "/projects?name=net-project").json()["projects"][0]["id"]
    assert cloud.get("network", f"/v2.0/quotas/{project}", token=member).json()["quota"]["network"] == 100
    cloud.call("PUT", "network", f"/v2.0/quotas/{project}", {"quota": {"network": 0}})
    answer = cloud.post("network", "/v2.0/networks", {"network": {}}, token=member)
    assert error(answer) == (409, "OverQuota", "Quota exceeded for resources: ['network'].")
    details = cloud.get("network", f"/v2.0/quotas/{project}/details.json").json()["quota"]["network"]
    assert details == {"limit": 0, "used": 0, "reserved": 0}
    assert cloud.call("DELETE", "network", f"/v2.0/quotas/{project}").status_code == 204
    assert cloud.call("PUT", "network", f"/v2.0/quotas/{project}", {"quota": {"network": 5}}, token=member).status_code == 403


def test_extensions_and_versions(cloud):
    aliases = {e["alias"] for e in cloud.get("network", "/v2.0/extensions").json()["extensions"]}
    assert {"security-group", "binding", "provider", "quotas"} <= aliases and "router" not in aliases
    assert cloud.get("network", "/v2.0/extensions/agent").json()["extension"]["alias"] == "agent"
    assert cloud.get("network", "/v2.0/extensions/none").status_code == 404
    assert cloud.get("network", "/", token="").json()["versions"][0]["id"] == "v2.0"
    assert cloud.get("network", "/v2.0/networks", token="").status_code == 401


def test_ip_availability(cloud, net):
    make(cloud, "subnet", network_id=net["id"], ip_version=4, cidr="10.6.0.0/24")
    make(cloud, "subnet", network_id=net["id"], ip_version=6, cidr="fd00:6::/64")
    make(cloud, "port", network_id=net["id"])
    shown = cloud.get("network", "/v2.0/network-ip-availabilities/" + net["id"]).json()["network_ip_availability"]
    assert shown["used_ips"] == 2 and shown["total_ips"] == 253 + 2 ** 64 - 2
    listed = cloud.get("network", f"/v2.0/network-ip-availabilities?network_name={net['name']}").json()
    assert listed["network_ip_availabilities"] == [shown]


def test_tags(cloud, net):
    url = f"/v2.0/networks/{net['id']}/tags"
    assert cloud.call("PUT", "network", url + "/red").status_code == 201
    assert cloud.call("PUT", "network", url, {"tags": ["blue", "green"]}).json() == {"tags": ["blue", "green"]}
    assert [n["id"] for n in cloud.get("network", "/v2.0/networks?tags=blue,green").json()["networks"]] == [net["id"]]
    assert error(cloud.call("DELETE", "network", url + "/red"))[:2] == (404, "TagNotFound")
    assert cloud.call("DELETE", "network", url).status_code == 204


def test_client(cloud):
    name = "cli-" + uuid.uuid4().hex[:6]
    assert cloud.openstack("network", "create", name)["name"] == name
    assert cloud.openstack("subnet", "create", "--network", name, "--subnet-range", "10.77.0.0/24", name)["cidr"] == "10.77.0.0/24"
    port = cloud.openstack("port", "create", "--network", name, name)
    assert port["fixed_ips"][0]["ip_address"] == "10.77.0.2"
    cloud.openstack("port", "set", "--description", "x", name, parse=False)
    assert cloud.openstack("port", "show", name)["description"] == "x"
    assert cloud.openstack("security", "group", "create", name)["name"] == name
    cloud.openstack("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "22", name)
    for words in (["network", "list"], ["subnet", "list"], ["port", "list"], ["security", "group", "list"],
                  ["security", "group", "rule", "list", name], ["network", "agent", "list"], ["extension", "list", "--network"],
                  ["availability", "zone", "list", "--network"]):
        assert isinstance(cloud.openstack(*words), (list, dict)), words
    cloud.openstack("port", "delete", name, parse=False)
    cloud.openstack("security", "group", "delete", name, parse=False)
    cloud.openstack("network", "delete", name, parse=False)
