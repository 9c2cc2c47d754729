# SPDX-License-Identifier: Apache-2.0
"""Network API v2.0: ports, their binding, security groups and rules."""
import uuid

import pytest

from test_network import error, make


@pytest.fixture
def net(cloud):
    it = make(cloud, "network", name="p-" + uuid.uuid4().hex[:8])
    it["subnet"] = make(cloud, "subnet", network_id=it["id"], ip_version=4, cidr="10.20.0.0/24")
    return it


def test_port_defaults(cloud, net):
    port = make(cloud, "port", network_id=net["id"])
    assert port["mac_address"].startswith("fa:16:3e:") and port["status"] == "DOWN"
    assert port["fixed_ips"] == [{"subnet_id": net["subnet"]["id"], "ip_address": "10.20.0.2"}]
    assert port["binding:vif_type"] == "unbound" and port["binding:vnic_type"] == "normal"
    group = cloud.get("network", "/v2.0/security-groups?name=default&project_id=" + port["project_id"]).json()["security_groups"][0]
    assert port["security_groups"] == [group["id"]]
    assert sorted((r["direction"], r["ethertype"], r["remote_group_id"]) for r in group["security_group_rules"]) == sorted(
        [("egress", "IPv4", None), ("egress", "IPv6", None), ("ingress", "IPv4", group["id"]), ("ingress", "IPv6", group["id"])],
        key=str) or len(group["security_group_rules"]) == 4


def test_fixed_ips(cloud, net):
    port = make(cloud, "port", network_id=net["id"], fixed_ips=[{"ip_address": "10.20.0.100"}])
    assert port["fixed_ips"][0]["ip_address"] == "10.20.0.100"
    found = cloud.get("network", "/v2.0/ports?fixed_ips=ip_address=10.20.0.100").json()["ports"]
    assert [p["id"] for p in found] == [port["id"]]
    for ips, status, code in [
        ([{"ip_address": "10.20.0.100"}], 409, "IpAddressAlreadyAllocated"),
        ([{"ip_address": "10.99.0.1"}], 400, "InvalidIpForNetwork"),
        ([{"ip_address": "10.20.0.255"}], 400, "InvalidIpForSubnet"),
        ([{"ip_address": "x"}], 400, "HTTPBadRequest"),
        ([{"subnet_id": str(uuid.uuid4())}], 400, "InvalidInput"),
        ([{"color": "red"}], 400, "HTTPBadRequest"),
        ("x", 400, "HTTPBadRequest"),
    ]:
        answer = cloud.post("network", "/v2.0/ports", {"port": {"network_id": net["id"], "fixed_ips": ips}})
        assert error(answer)[:2] == (status, code), answer.text
    url = "/v2.0/ports/" + port["id"]
    changed = cloud.call("PUT", "network", url, {"port": {"fixed_ips": [{"ip_address": "10.20.0.101"}]}}).json()["port"]
    assert changed["fixed_ips"][0]["ip_address"] == "10.20.0.101"
    assert make(cloud, "port", network_id=net["id"], fixed_ips=[{"ip_address": "10.20.0.100"}])
    assert cloud.call("PUT", "network", url, {"port": {"fixed_ips": []}}).json()["port"]["fixed_ips"] == []


def test_mac_is_unique_on_its_network(cloud, net):
    mac = "02:00:00:00:00:0a"
    make(cloud, "port", network_id=net["id"], mac_address=mac)
    again = cloud.post("network", "/v2.0/ports", {"port": {"network_id": net["id"], "mac_address": mac}})
    assert error(again) == (409, "MacAddressInUse",
                            f"Unable to complete operation for network {net['id']}. The mac address {mac} is in use.")
    bad = cloud.post("network", "/v2.0/ports", {"port": {"network_id": net["id"], "mac_address": "zz"}})
    assert error(bad)[2] == "Invalid input for mac_address. Reason: 'zz' is not a valid MAC address."


def test_binding_comes_up(cloud, net):
    port = make(cloud, "port", network_id=net["id"], device_id=str(uuid.uuid4()), device_owner="compute:nova",
                **{"binding:host_id": "fake-host-1"})
    assert port["binding:vif_type"] == "ovs" and port["binding:vif_details"]["port_filter"] is True
    url = "/v2.0/ports/" + port["id"]
    cloud.wait(lambda: cloud.get("network", url).json()["port"]["status"] == "ACTIVE")
    agents = cloud.get("network", "/v2.0/agents?host=fake-host-1").json()["agents"]
    assert agents[0]["alive"] is True and agents[0]["agent_type"] == "Open vSwitch agent"
    unbound = cloud.call("PUT", "network", url, {"port": {"binding:host_id": "", "device_id": ""}}).json()["port"]
    assert (unbound["binding:vif_type"], unbound["status"]) == ("unbound", "DOWN")
    failed = make(cloud, "port", network_id=net["id"], **{"binding:host_id": "fake-host-1", "binding:vnic_type": "direct"})
    assert failed["binding:vif_type"] == "binding_failed"


def test_port_security(cloud, net):
    pairs = [{"ip_address": "10.30.0.0/24"}]
    refused = cloud.post("network", "/v2.0/ports", {"port": {
        "network_id": net["id"], "port_security_enabled": False, "allowed_address_pairs": pairs}})
    assert error(refused)[:2] == (409, "AddressPairAndPortSecurityRequired")
    port = make(cloud, "port", network_id=net["id"], allowed_address_pairs=pairs)
    assert port["allowed_address_pairs"] == pairs
    off = cloud.call("PUT", "network", "/v2.0/ports/" + port["id"], {"port": {"port_security_enabled": False}})
    assert off.status_code == 409
    off = cloud.call("PUT", "network", "/v2.0/ports/" + port["id"], {"port": {
        "port_security_enabled": False, "security_groups": [], "allowed_address_pairs": []}})
    assert off.status_code == 200 and off.json()["port"]["security_groups"] == []


def test_members_may_not_choose(cloud, net):
    member = cloud.make_user("net-member", "member", "net-project")
    cloud.call("PUT", "network", "/v2.0/networks/" + net["id"], {"network": {"shared": True}})
    answer = cloud.post("network", "/v2.0/ports", {"port": {"network_id": net["id"]}}, token=member)
    assert answer.status_code == 201 and "binding:host_id" not in answer.json()["port"]
    for field, value in [("mac_address", "02:00:00:00:00:0b"), ("binding:host_id", "h"), ("port_security_enabled", False),
                         ("device_owner", "network:dhcp")]:
        refused = cloud.post("network", "/v2.0/ports", {"port": {"network_id": net["id"], field: value}}, token=member)
        assert error(refused)[:2] == (403, "PolicyNotAuthorized"), field


def test_security_groups(cloud):
    group = make(cloud, "security_group", name="g1")
    assert sorted(r["ethertype"] for r in group["security_group_rules"]) == ["IPv4", "IPv6"]
    rule = make(cloud, "security_group_rule", security_group_id=group["id"], direction="ingress", protocol="tcp",
                port_range_min=22, port_range_max=22, remote_ip_prefix="10.0.0.5/8")
    assert rule["normalized_cidr"] == "10.0.0.0/8" and rule["ethertype"] == "IPv4"
    base = {"security_group_id": group["id"], "direction": "ingress"}
    for fields, status, code in [
        ({"protocol": "tcp", "port_range_min": 22, "port_range_max": 22, "remote_ip_prefix": "10.0.0.0/8"}, 409,
         "SecurityGroupRuleExists"),
        ({"protocol": "tcp", "port_range_min": 23, "port_range_max": 22}, 400, "SecurityGroupInvalidPortRange"),
        ({"port_range_min": 22, "port_range_max": 22}, 400, "SecurityGroupProtocolRequiredWithPorts"),
        ({"protocol": "tcp", "port_range_min": 70000, "port_range_max": 70000}, 400, "SecurityGroupInvalidPortValue"),
        ({"protocol": "icmp", "port_range_max": 3}, 400, "SecurityGroupMissingIcmpType"),
        ({"protocol": "icmp", "port_range_min": 300}, 400, "SecurityGroupInvalidIcmpValue"),
        ({"protocol": "wrong"}, 400, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": 256}, 400, "SecurityGroupRuleInvalidProtocol"),
        ({"protocol": "ah", "port_range_min": 1, "port_range_max": 1}, 400, "SecurityGroupInvalidProtocolForPort"),
        ({"ethertype": "IPv5"}, 400, "SecurityGroupRuleInvalidEtherType"),
        ({"ethertype": "IPv6", "remote_ip_prefix": "10.0.0.0/8"}, 400, "SecurityGroupRuleParameterConflict"),
        ({"remote_ip_prefix": "nonsense"}, 400, "InvalidCIDR"),
        ({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": group["id"]}, 400, "SecurityGroupMultipleRemoteEntites"),
        ({"remote_group_id": str(uuid.uuid4())}, 404, "SecurityGroupNotFound"),
        ({"direction": "up"}, 400, "HTTPBadRequest"),
    ]:
        answer = cloud.post("network", "/v2.0/security-group-rules", {"security_group_rule": {**base, **fields}})
        assert error(answer)[:2] == (status, code), answer.text
    assert make(cloud, "security_group_rule", **base, protocol=50)["protocol"] == "50"
    assert make(cloud, "security_group_rule", **base, protocol="ICMPv6", ethertype="ipv6")["protocol"] == "ipv6-icmp"
    shown = cloud.get("network", "/v2.0/security-groups/" + group["id"]).json()["security_group"]
    assert len(shown["security_group_rules"]) == 5
    assert cloud.call("DELETE", "network", "/v2.0/security-group-rules/" + rule["id"]).status_code == 204
    assert cloud.call("DELETE", "network", "/v2.0/security-groups/" + group["id"]).status_code == 204


def test_default_group(cloud):
    refused = cloud.post("network", "/v2.0/security-groups", {"security_group": {"name": "default"}})
    assert error(refused) == (409, "SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
    member = cloud.make_user("sg-member", "member", "sg-project")
    groups = cloud.get("network", "/v2.0/security-groups", token=member).json()["security_groups"]
    assert [g["name"] for g in groups] == ["default"]
    url = "/v2.0/security-groups/" + groups[0]["id"]
    renamed = cloud.call("PUT", "network", url, {"security_group": {"name": "x"}}, token=member)
    assert error(renamed)[:2] == (409, "SecurityGroupCannotUpdateDefault")
    assert error(cloud.call("DELETE", "network", url, token=member))[:2] == (409, "SecurityGroupCannotRemoveDefault")


def test_group_in_use(cloud, net):
    group = make(cloud, "security_group", name="used")
    port = make(cloud, "port", network_id=net["id"], security_groups=[group["id"]])
    refused = cloud.call("DELETE", "network", "/v2.0/security-groups/" + group["id"])
    assert error(refused) == (409, "SecurityGroupInUse", f"Security Group {group['id']} in use.")
    missing = cloud.call("PUT", "network", "/v2.0/ports/" + port["id"], {"port": {"security_groups": [str(uuid.uuid4())]}})
    assert error(missing)[:2] == (404, "SecurityGroupNotFound")
    assert cloud.call("DELETE", "network", "/v2.0/ports/" + port["id"]).status_code == 204
    assert cloud.call("DELETE", "network", "/v2.0/security-groups/" + group["id"]).status_code == 204


def test_dhcp_options(cloud, net):
    port = make(cloud, "port", network_id=net["id"], extra_dhcp_opts=[{"opt_name": "bootfile-name", "opt_value": "a"}])
    assert port["extra_dhcp_opts"] == [{"opt_name": "bootfile-name", "opt_value": "a", "ip_version": 4}]
    gone = cloud.call("PUT", "network", "/v2.0/ports/" + port["id"], {"port": {
        "extra_dhcp_opts": [{"opt_name": "bootfile-name", "opt_value": None}]}}).json()["port"]
    assert gone["extra_dhcp_opts"] == []
    bad = cloud.post("network", "/v2.0/ports", {"port": {
        "network_id": net["id"], "extra_dhcp_opts": [{"opt_name": "a\nb", "opt_value": "x"}]}})
    assert bad.status_code == 400
