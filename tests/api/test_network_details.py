# SPDX-License-Identifier: Apache-2.0
"""What the public suites found in the network API, one test each: tag filters, links of pages, revisions, quotas of rules."""
import uuid

import pytest
from test_network import error, make


@pytest.fixture
def net(cloud):
    return make(cloud, "network", name="d-" + uuid.uuid4().hex[:8])


def named(cloud, path, query, ids):
    return {row["id"] for row in cloud.get("network", f"/v2.0/{path}?{query}").json()[path.replace("-", "_")]} & set(ids)


@pytest.mark.parametrize("kind, path", [("network", "networks"), ("security_group", "security-groups")])
def test_filters_by_tags(cloud, kind, path):
    ids = [make(cloud, kind, name="tagged")["id"] for _ in range(4)]
    for one, tags in zip(ids, (["red"], ["red", "blue"], ["green"], [])):
        assert cloud.call("PUT", "network", f"/v2.0/{path}/{one}/tags", {"tags": tags}).status_code == 200
    for query, wanted in (
            ("tags=red", {0, 1}), ("tags=red,blue", {1}), ("tags-any=blue,green", {1, 2}), ("tags-any=blue&tags-any=green", {1, 2}),
            ("not-tags=red", {2, 3}), ("not-tags=red,blue", {0, 2, 3}), ("not-tags-any=blue", {0, 2, 3}),
            ("not-tags-any=red,green", {3}), ("tags=re", set())):
        assert named(cloud, path, query, ids) == {ids[i] for i in wanted}, query
    assert cloud.post("network", f"/v2.0/{path}", {kind: {"name": "x", "tags-any": ["a"]}}).status_code == 400


def test_filter_by_shared_of_subnets(cloud, net):
    shared = make(cloud, "network", name="s", shared=True)
    ids = [make(cloud, "subnet", network_id=n["id"], ip_version=4, cidr="10.77.0.0/24")["id"] for n in (net, shared)]
    assert named(cloud, "subnets", "shared=True", ids) == {ids[1]}
    assert named(cloud, "subnets", "shared=False", ids) == {ids[0]}
    assert error(cloud.get("network", "/v2.0/subnets?shared=maybe"))[0] == 400


def test_pages_in_both_directions(cloud):
    name = "p-" + uuid.uuid4().hex[:8]
    ids = sorted(make(cloud, "network", name=name)["id"] for _ in range(5))

    def walk(path, rel):
        pages = []
        for _ in range(9):
            page = cloud.get("network", path).json()
            pages.append([row["id"] for row in page["networks"]])
            link = [row["href"] for row in page["networks_links"] if row["rel"] == rel]
            if not link:
                return pages
            path = link[0][link[0].index("/v2.0/"):]
        raise AssertionError("no end")

    first = f"/v2.0/networks?name={name}&limit=2"
    assert walk(first, "next") == [ids[:2], ids[2:4], ids[4:]]
    assert walk(first + "&page_reverse=True", "previous") == [ids[3:], ids[1:3], ids[:1]]
    assert walk(first + f"&page_reverse=True&marker={ids[2]}", "previous") == [ids[:2], []]
    backwards = cloud.get("network", first + f"&page_reverse=True&marker={ids[1]}").json()
    assert {row["rel"] for row in backwards["networks_links"]} == {"next"}


def test_fields_by_either_name(cloud, net):
    for query, wanted in (("fields=tenant_id", {"tenant_id"}), ("fields=project_id", {"project_id"}),
                          ("fields=tenant_id&fields=project_id", {"tenant_id", "project_id"})):
        assert set(cloud.get("network", f"/v2.0/networks/{net['id']}?{query}").json()["network"]) == wanted
        assert set(cloud.get("network", f"/v2.0/networks?{query}").json()["networks"][0]) == wanted
    other = {"name": "x", "project_id": net["project_id"], "tenant_id": "another"}
    assert error(cloud.post("network", "/v2.0/networks", {"network": other})) == (
        400, "HTTPBadRequest", "'project_id' and 'tenant_id' do not match")


def test_what_raises_a_revision(cloud, net):
    def revision(path, kind):
        return cloud.get("network", path).json()[kind]["revision_number"]

    def network():
        return revision("/v2.0/networks/" + net["id"], "network")

    before = network()
    subnet = make(cloud, "subnet", network_id=net["id"], ip_version=4, cidr="10.78.0.0/24")
    assert network() == before + 1
    url = "/v2.0/subnets/" + subnet["id"]
    assert cloud.call("PUT", "network", url, {"subnet": {"name": "n"}}).status_code == 200
    assert network() == before + 2
    assert cloud.call("PUT", "network", url, {"subnet": {"name": "n"}}).status_code == 200
    assert network() == before + 2, "nothing changed"
    assert cloud.call("DELETE", "network", url).status_code == 204
    assert network() == before + 3
    group = make(cloud, "security_group", name="r")
    path = "/v2.0/security-groups/" + group["id"]
    rule = make(cloud, "security_group_rule", security_group_id=group["id"], direction="ingress", protocol="tcp")
    assert revision(path, "security_group") == group["revision_number"] + 1
    assert cloud.call("DELETE", "network", "/v2.0/security-group-rules/" + rule["id"]).status_code == 204
    assert revision(path, "security_group") == group["revision_number"] + 2


def test_one_more_address_beside_the_present_one(cloud, net):
    subnet = make(cloud, "subnet", network_id=net["id"], ip_version=4, cidr="10.79.0.0/24")
    port = make(cloud, "port", network_id=net["id"])
    url = "/v2.0/ports/" + port["id"]
    more = port["fixed_ips"] + [{"subnet_id": subnet["id"]}]
    changed = cloud.call("PUT", "network", url, {"port": {"fixed_ips": more}}).json()["port"]
    assert len({row["ip_address"] for row in changed["fixed_ips"]}) == 2 and port["fixed_ips"][0] in changed["fixed_ips"]
    assert changed["revision_number"] == port["revision_number"] + 1
    kept = cloud.call("PUT", "network", url, {"port": {"fixed_ips": [{"subnet_id": subnet["id"]}]}}).json()["port"]
    assert kept["fixed_ips"] == changed["fixed_ips"][:1]


def test_a_group_twice_on_a_port(cloud, net):
    group = make(cloud, "security_group", name="twice")["id"]
    port = make(cloud, "port", network_id=net["id"])
    answer = cloud.call("PUT", "network", "/v2.0/ports/" + port["id"], {"port": {"security_groups": [group, group]}})
    assert error(answer) == (400, "HTTPBadRequest", f"Invalid input for security_groups. Reason: Duplicate items in the list: "
                             f"'{group}'.")
    none = cloud.call("PUT", "network", "/v2.0/ports/" + port["id"], {"port": {"security_groups": None}})
    assert none.json()["port"]["security_groups"] == []


def test_rules_that_a_group_is_born_with_count(cloud):
    token = cloud.make_user("rule-quota", "member", "rule-quota-project")
    project = cloud.get("identity", "/projects?name=rule-quota-project").json()["projects"][0]["id"]
    assert cloud.get("network", "/v2.0/security-groups", token=token).status_code == 200
    for limit, status in ((5, 409), (6, 201)):  # the default group has four, each other two
        quota = {"quota": {"security_group_rule": limit}}
        assert cloud.call("PUT", "network", "/v2.0/quotas/" + project, quota).status_code == 200
        made = cloud.post("network", "/v2.0/security-groups", {"security_group": {"name": "q"}}, token=token)
        assert made.status_code == status, made.text
    assert cloud.call("DELETE", "network", "/v2.0/quotas/" + project).status_code == 204


def test_dhcp_agents_of_a_network(cloud):
    """By hand; a simulated cloud has an agent that asks for nothing by itself."""
    agents = {a["agent_type"]: a["id"] for a in cloud.get("network", "/v2.0/agents").json()["agents"]}
    agent = agents["DHCP agent"]
    network = cloud.post("network", "/v2.0/networks", {"network": {"name": "n"}}).json()["network"]["id"]
    path, nobody = f"/v2.0/agents/{agent}/dhcp-networks", "0" * 8 + "-0000-4000-8000-" + "0" * 12

    def refused(answer, status, kind):
        assert (answer.status_code, answer.json()["NeutronError"]["type"]) == (status, kind), answer.text

    assert cloud.post("network", path, {"network_id": network}).status_code == 201
    assert network in [n["id"] for n in cloud.get("network", path).json()["networks"]]
    assert [a["id"] for a in cloud.get("network", f"/v2.0/networks/{network}/dhcp-agents").json()["agents"]] == [agent]
    refused(cloud.post("network", path, {"network_id": network}), 409, "NetworkHostedByDHCPAgent")
    refused(cloud.post("network", path, {"network_id": nobody}), 404, "NetworkNotFound")
    refused(cloud.post("network", path, {}), 400, "HTTPBadRequest")
    refused(cloud.post("network", f"/v2.0/agents/{nobody}/dhcp-networks", {"network_id": network}), 404, "AgentNotFound")
    refused(cloud.get("network", f"/v2.0/agents/{nobody}/dhcp-networks"), 404, "AgentNotFound")
    other = next(id for kind, id in agents.items() if kind != "DHCP agent")
    refused(cloud.post("network", f"/v2.0/agents/{other}/dhcp-networks", {"network_id": network}), 404, "InvalidDHCPAgent")
    for _ in range(2):
        assert cloud.call("DELETE", "network", f"{path}/{network}").status_code == 204
        assert network not in [n["id"] for n in cloud.get("network", path).json()["networks"]]
        refused(cloud.call("DELETE", "network", f"{path}/{network}"), 409, "NetworkNotHostedByDhcpAgent")
        assert cloud.post("network", path, {"network_id": network}).status_code == 201
    assert cloud.call("DELETE", "network", f"/v2.0/networks/{network}").status_code == 204


def test_ports_are_found_by_their_groups_and_change_their_address(cloud):
    network = cloud.post("network", "/v2.0/networks", {"network": {"name": "n"}}).json()["network"]["id"]
    group = cloud.post("network", "/v2.0/security-groups", {"security_group": {"name": "g"}}).json()["security_group"]["id"]
    port, other = (cloud.post("network", "/v2.0/ports", {"port": {"network_id": network, **more}}).json()["port"]
                   for more in ({"security_groups": [group]}, {"security_groups": []}))
    found = cloud.get("network", f"/v2.0/ports?security_groups={group}").json()["ports"]
    assert [p["id"] for p in found] == [port["id"]]
    changed = cloud.call("PUT", "network", f"/v2.0/ports/{port['id']}", {"port": {"mac_address": "fa:16:3e:12:34:56"}})
    assert changed.status_code == 200 and changed.json()["port"]["mac_address"] == "fa:16:3e:12:34:56"
    taken = cloud.call("PUT", "network", f"/v2.0/ports/{other['id']}", {"port": {"mac_address": "fa:16:3e:12:34:56"}})
    assert (taken.status_code, taken.json()["NeutronError"]["type"]) == (409, "MacAddressInUse")
    wrong = cloud.call("PUT", "network", f"/v2.0/ports/{port['id']}", {"port": {"mac_address": "00:00:00:00:00:00"}})
    assert wrong.status_code == 400
    for one in (port, other):
        assert cloud.call("DELETE", "network", f"/v2.0/ports/{one['id']}").status_code == 204
    assert cloud.call("DELETE", "network", f"/v2.0/security-groups/{group}").status_code == 204
    assert cloud.call("DELETE", "network", f"/v2.0/networks/{network}").status_code == 204
