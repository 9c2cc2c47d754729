# SPDX-License-Identifier: Apache-2.0
"""Compute through its API on simulated hosts: a server's life, its views by microversion, refusals in nova's words."""
import re
import time
import uuid

import pytest

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3lBzKXhZ0fDB6OZgHmJ+Vb1iWlHzg2vvHqnFcOzL3R me@here"


def nova(cloud, method, path, body=None, version="2.95", **more):
    return cloud.call(method, "compute", path, body, headers={"OpenStack-API-Version": f"compute {version}"}, **more)


@pytest.fixture(scope="module")
def world(cloud):
    """A flavor, an image, a network with a subnet; quotas out of the way."""
    suffix = uuid.uuid4().hex[:6]
    flavor = nova(cloud, "POST", "/flavors", {"flavor": {"name": f"f-{suffix}", "ram": 64, "vcpus": 1, "disk": 1}}).json()["flavor"]
    image = cloud.post("image", "/v2/images", {"name": f"i-{suffix}", "disk_format": "raw", "container_format": "bare"}).json()
    put = cloud.call("PUT", "image", f"/v2/images/{image['id']}/file", headers={"Content-Type": "application/octet-stream"},
                     data=b"\0" * 4096)
    assert put.status_code == 204, put.text
    net = cloud.post("network", "/v2.0/networks", {"network": {"name": f"n-{suffix}"}}).json()["network"]
    subnet = cloud.post("network", "/v2.0/subnets", {"subnet": {"network_id": net["id"], "ip_version": 4, "cidr": "10.77.0.0/22"}})
    assert subnet.status_code == 201, subnet.text
    project = net["project_id"]
    put = nova(cloud, "PUT", f"/os-quota-sets/{project}", {"quota_set": {"instances": 500, "cores": 500, "ram": -1}})
    assert put.status_code == 200, put.text
    cloud.call("PUT", "network", f"/v2.0/quotas/{project}", {"quota": {"port": -1}})
    return {"flavor": flavor["id"], "image": image["id"], "network": net["id"], "project": project}


def body_of(world, **more):
    return {"server": {"name": "vm", "flavorRef": world["flavor"], "imageRef": world["image"],
                       "networks": [{"uuid": world["network"]}], **more}}


def wait_status(cloud, server_id, status, seconds=180):
    def look():
        answer = nova(cloud, "GET", f"/servers/{server_id}")
        if answer.status_code == 404:
            return status == "GONE"
        server = answer.json()["server"]
        assert status == "ERROR" or server["status"] != "ERROR", server.get("fault")
        return server if server["status"] == status and server["OS-EXT-STS:task_state"] is None else None
    return cloud.wait(look, seconds)


@pytest.fixture
def server(cloud, world):
    made = nova(cloud, "POST", "/servers", body_of(world))
    assert made.status_code == 202, made.text
    server = wait_status(cloud, made.json()["server"]["id"], "ACTIVE")
    yield server
    nova(cloud, "DELETE", f"/servers/{server['id']}")
    wait_status(cloud, server["id"], "GONE")


def test_versions(cloud):
    root = cloud.url("compute").removesuffix("/v2.1")
    import requests
    listed = requests.get(root + "/", timeout=120).json()["versions"]
    assert [v["id"] for v in listed] == ["v2.0", "v2.1"]
    assert listed[1]["version"] == "2.95" and listed[1]["min_version"] == "2.1"
    shown = requests.get(root + "/v2.1/", timeout=120).json()["version"]
    assert shown["status"] == "CURRENT" and shown["links"][0]["href"].endswith("/v2.1/")


@pytest.mark.parametrize("version,status,words", [
    ("2.96", 406, "Version 2.96 is not supported by the API. Minimum is 2.1 and maximum is 2.95."),
    ("1.0", 406, "Version 1.0 is not supported by the API."),
    ("two", 400, "API Version String two is of invalid format. Must be of format MajorNum.MinorNum."),
])
def test_wrong_versions(cloud, version, status, words):
    answer = nova(cloud, "GET", "/flavors", version=version)
    assert answer.status_code == status
    assert words in next(iter(answer.json().values()))["message"]


def test_both_version_headers(cloud):
    answer = cloud.get("compute", "/flavors", headers={"X-OpenStack-Nova-API-Version": "2.30"})
    assert answer.headers["OpenStack-API-Version"] == "compute 2.30"
    assert answer.headers["X-OpenStack-Nova-API-Version"] == "2.30"
    assert nova(cloud, "GET", "/flavors", version="latest").headers["OpenStack-API-Version"] == "compute 2.95"
    assert cloud.get("compute", "/flavors").headers["OpenStack-API-Version"] == "compute 2.1"


def test_project_in_the_path(cloud, world):
    assert nova(cloud, "GET", f"/{world['project']}/servers").status_code == 200
    answer = nova(cloud, "GET", f"/{'0' * 32}/servers")
    assert answer.status_code == 400 and "Malformed request URL" in answer.json()["badRequest"]["message"]


def test_flavors(cloud):
    name = "f" + uuid.uuid4().hex[:8]
    made = nova(cloud, "POST", "/flavors", {"flavor": {"name": name, "ram": 64, "vcpus": 1, "disk": 0,
                                                      "os-flavor-access:is_public": False}})
    flavor = made.json()["flavor"]
    assert made.status_code == 200 and flavor["swap"] == 0 and flavor["rxtx_factor"] == 1.0
    assert nova(cloud, "GET", f"/flavors/{flavor['id']}", version="2.1").json()["flavor"]["swap"] == ""
    again = nova(cloud, "POST", "/flavors", {"flavor": {"name": name, "ram": 64, "vcpus": 1, "disk": 0}})
    assert again.status_code == 409 and again.json()["conflictingRequest"]["message"] == f"Flavor with name {name} already exists."
    path = f"/flavors/{flavor['id']}/os-extra_specs"
    assert nova(cloud, "POST", path, {"extra_specs": {"hw:a": "1"}}).json() == {"extra_specs": {"hw:a": "1"}}
    assert nova(cloud, "GET", path + "/hw:a").json() == {"hw:a": "1"}
    assert nova(cloud, "DELETE", path + "/hw:a").status_code == 200
    assert nova(cloud, "GET", path + "/hw:a").status_code == 404
    reader = cloud.make_user("compute-reader", "reader", "compute-other")
    assert nova(cloud, "GET", f"/flavors/{flavor['id']}", token=reader).status_code == 404
    other = cloud.get("identity", "/projects?name=compute-other").json()["projects"][0]["id"]
    granted = nova(cloud, "POST", f"/flavors/{flavor['id']}/action", {"addTenantAccess": {"tenant": other}})
    assert granted.json()["flavor_access"] == [{"flavor_id": flavor["id"], "tenant_id": other}]
    assert nova(cloud, "GET", f"/flavors/{flavor['id']}", token=reader).status_code == 200
    assert nova(cloud, "POST", "/flavors", {"flavor": {"name": "x", "ram": 1, "vcpus": 1, "disk": 1}},
                token=reader).status_code == 403
    assert nova(cloud, "DELETE", f"/flavors/{flavor['id']}").status_code == 202


def test_keypairs(cloud):
    name = "k" + uuid.uuid4().hex[:8]
    made = nova(cloud, "POST", "/os-keypairs", {"keypair": {"name": name}}, version="2.2")
    assert made.status_code == 201, made.text
    key = made.json()["keypair"]
    assert key["private_key"].startswith("-----BEGIN RSA PRIVATE KEY-----") and key["public_key"].startswith("ssh-rsa AAAA")
    assert re.fullmatch("([0-9a-f]{2}:){15}[0-9a-f]{2}", key["fingerprint"])
    again = nova(cloud, "POST", "/os-keypairs", {"keypair": {"name": name, "public_key": KEY}})
    assert again.json()["conflictingRequest"]["message"] == f"Key pair '{name}' already exists."
    assert nova(cloud, "POST", "/os-keypairs", {"keypair": {"name": "x"}}).status_code == 400
    bad = nova(cloud, "POST", "/os-keypairs", {"keypair": {"name": "x", "public_key": "nonsense"}})
    assert bad.json()["badRequest"]["message"] == "Keypair data is invalid: failed to generate fingerprint"
    assert nova(cloud, "GET", f"/os-keypairs/{name}").json()["keypair"]["type"] == "ssh"
    assert nova(cloud, "DELETE", f"/os-keypairs/{name}").status_code == 204
    assert nova(cloud, "GET", f"/os-keypairs/{name}").status_code == 404


def test_a_servers_life(cloud, server):
    path = f"/servers/{server['id']}"
    assert server["addresses"] and server["OS-EXT-STS:power_state"] == 1 and server["OS-EXT-SRV-ATTR:host"]
    for action, before, after in (("os-stop", "stop", "SHUTOFF"), ("os-start", "start", "ACTIVE"), ("pause", "pause", "PAUSED"),
                                  ("unpause", "unpause", "ACTIVE"), ("suspend", "suspend", "SUSPENDED"),
                                  ("resume", "resume", "ACTIVE")):
        done = nova(cloud, "POST", path + "/action", {action: None})
        assert done.status_code == 202, done.text
        shown = wait_status(cloud, server["id"], after)
        refused = nova(cloud, "POST", path + "/action", {action: None})
        if after != "ACTIVE":
            assert refused.json()["conflictingRequest"]["message"] == \
                f"Cannot '{before}' instance {server['id']} while it is in vm_state {shown['OS-EXT-STS:vm_state']}"
    for kind in ("SOFT", "HARD"):
        assert nova(cloud, "POST", path + "/action", {"reboot": {"type": kind}}).status_code == 202
        wait_status(cloud, server["id"], "ACTIVE")
    console = nova(cloud, "POST", path + "/action", {"os-getConsoleOutput": {"length": 5}})
    assert console.status_code == 200 and isinstance(console.json()["output"], str)
    actions = nova(cloud, "GET", path + "/os-instance-actions").json()["instanceActions"]
    names = [a["action"] for a in actions]
    assert names[-1] == "create" and names.count("reboot") == 2
    shown = nova(cloud, "GET", path + "/os-instance-actions/" + actions[-1]["request_id"]).json()["instanceAction"]
    assert {e["result"] for e in shown["events"]} == {"Success"}
    assert nova(cloud, "DELETE", path).status_code == 204
    wait_status(cloud, server["id"], "GONE")
    gone = nova(cloud, "GET", f"/servers/detail?deleted=True&uuid={server['id']}").json()["servers"]
    assert [g["status"] for g in gone] == ["DELETED"] or gone == []
    assert any(g["id"] == server["id"] for g in
               nova(cloud, "GET", "/servers/detail?deleted=True&all_tenants=1").json()["servers"])
    left = cloud.get("placement", f"/allocations/{server['id']}").json()["allocations"]
    assert left == {}
    assert cloud.get("network", f"/v2.0/ports?device_id={server['id']}").json()["ports"] == []


def test_extensions(cloud):
    names = {e["alias"]: e["name"] for e in nova(cloud, "GET", "/extensions").json()["extensions"]}
    # what gophercloud and fog look for
    assert names["OS-SCH-HNT"] == "SchedulerHints" and names["OS-EXT-SRV-ATTR"] == "ExtendedServerAttributes"
    assert nova(cloud, "GET", "/extensions/os-admin-actions").json()["extension"]["name"] == "AdminActions"
    assert nova(cloud, "GET", "/extensions/os-volumes").status_code == 404


def test_views(cloud, server):
    show = lambda version: nova(cloud, "GET", f"/servers/{server['id']}", version=version).json()["server"]  # noqa: E731
    old = show("2.1")
    assert set(old["flavor"]) == {"id", "links"} and "locked" not in old and "description" not in old
    assert "OS-EXT-SRV-ATTR:hostname" in show("2.3") and "locked" in show("2.9")
    assert show("2.3")["OS-EXT-SRV-ATTR:root_device_name"] == "/dev/sda"
    assert show("2.19")["description"] is None and show("2.26")["tags"] == []
    assert show("2.16")["host_status"] == "UP"
    assert show("2.47")["flavor"]["ram"] == 64 and show("2.63")["trusted_image_certificates"] is None
    assert show("2.71")["server_groups"] == [] and show("2.73")["locked_reason"] is None
    assert server["links"][0]["href"].endswith(f"/v2.1/servers/{server['id']}")
    assert re.fullmatch("[0-9a-f]{56}", server["hostId"])
    address = next(iter(server["addresses"].values()))[0]
    assert address["OS-EXT-IPS:type"] == "fixed" and address["version"] == 4 and address["OS-EXT-IPS-MAC:mac_addr"]


def test_security_groups_are_those_of_the_ports(cloud, world, server):
    """A server showed the groups that it was created with, whatever its port had now."""
    assert server["security_groups"] == [{"name": "default"}]
    port = cloud.get("network", f"/v2.0/ports?device_id={server['id']}").json()["ports"][0]
    name = "sg-" + uuid.uuid4().hex[:6]
    group = cloud.post("network", "/v2.0/security-groups", {"security_group": {"name": name}}).json()["security_group"]["id"]

    def put(groups):
        answer = cloud.call("PUT", "network", f"/v2.0/ports/{port['id']}", {"port": {"security_groups": groups}})
        assert answer.status_code == 200, answer.text
        listed = nova(cloud, "GET", "/servers/detail").json()["servers"]
        shown = nova(cloud, "GET", f"/servers/{server['id']}").json()["server"].get("security_groups")
        assert next(one for one in listed if one["id"] == server["id"]).get("security_groups") == shown
        return shown

    assert put([group]) == [{"name": name}]
    both = put([group] + port["security_groups"])
    assert sorted(one["name"] for one in both) == sorted(["default", name])
    assert put([]) is None


def test_metadata_tags_and_update(cloud, server):
    path = f"/servers/{server['id']}"
    assert nova(cloud, "PUT", path + "/metadata", {"metadata": {"a": "1"}}).json() == {"metadata": {"a": "1"}}
    assert nova(cloud, "POST", path + "/metadata", {"metadata": {"b": "2"}}).json() == {"metadata": {"a": "1", "b": "2"}}
    assert nova(cloud, "DELETE", path + "/metadata/a").status_code == 204
    assert nova(cloud, "GET", path + "/metadata/a").json()["itemNotFound"]["message"] == "Metadata item was not found"
    assert nova(cloud, "PUT", path + "/tags", {"tags": ["x", "y"]}).json() == {"tags": ["x", "y"]}
    assert nova(cloud, "PUT", path + "/tags/z").status_code == 201
    assert nova(cloud, "PUT", path + "/tags/z").status_code == 204
    ids = lambda query: [s["id"] for s in nova(cloud, "GET", "/servers?" + query).json()["servers"]]  # noqa: E731
    assert ids("tags=x,z") == [server["id"]] and server["id"] not in ids("not-tags-any=x")
    assert nova(cloud, "DELETE", path + "/tags").status_code == 204
    changed = nova(cloud, "PUT", path, {"server": {"name": "new name", "description": "d"}}).json()["server"]
    assert changed["name"] == "new name" and changed["description"] == "d"
    assert ids("name=^new") == [server["id"]] and ids("name=^ew") == []
    bad = nova(cloud, "PUT", path, {"server": {"nonsense": 1}})
    assert "Additional properties are not allowed ('nonsense' was unexpected)" in bad.json()["badRequest"]["message"]


def test_lock(cloud, world, server):
    member = cloud.make_user("compute-member", "member", "admin")
    path = f"/servers/{server['id']}/action"
    assert nova(cloud, "POST", path, {"lock": {"locked_reason": "no"}}, token=member).status_code == 202
    refused = nova(cloud, "POST", path, {"os-stop": None}, token=member)
    assert refused.json()["conflictingRequest"]["message"] == f"Instance {server['id']} is locked"
    assert nova(cloud, "GET", f"/servers/{server['id']}").json()["server"]["locked_reason"] == "no"
    assert nova(cloud, "POST", path, {"unlock": None}, token=member).status_code == 202
    reader = cloud.make_user("compute-reader-2", "reader", "admin")
    assert nova(cloud, "POST", path, {"os-stop": None}, token=reader).status_code == 403
    stranger = cloud.make_user("compute-stranger", "member", "compute-other")
    assert nova(cloud, "GET", f"/servers/{server['id']}", token=stranger).status_code == 404


@pytest.mark.parametrize("change,status,words", [
    ({"imageRef": "11111111-1111-1111-1111-111111111111"}, 400, "Can not find requested image"),
    ({"imageRef": ""}, 400, "Missing imageRef attribute"),
    ({"flavorRef": "nonsense"}, 400, "Flavor nonsense could not be found."),
    ({"networks": [{"uuid": "11111111-1111-1111-1111-111111111111"}]}, 400,
     "Network 11111111-1111-1111-1111-111111111111 could not be found."),
    ({"networks": [{"port": "11111111-1111-1111-1111-111111111111"}]}, 400,
     "Port id 11111111-1111-1111-1111-111111111111 could not be found."),
    ({"key_name": "nonsense"}, 400, "Invalid key_name provided."),
    ({"availability_zone": "nowhere"}, 400, "The requested availability zone is not available"),
    ({"min_count": 3, "max_count": 2}, 400, "min_count must be <= max_count"),
    ({"min_count": 600, "max_count": 600}, 403, "Quota exceeded for cores, instances: Requested 600, 600, but already used"),
    ({"security_groups": [{"name": "nonsense"}]}, 400, "Security group nonsense not found for project"),
    ({"name": ""}, 400, "Invalid input for field/attribute name. Value: . '' is too short"),
    ({"user_data": "abc"}, 400, "Invalid input for field/attribute user_data."),
    ({"block_device_mapping_v2": [{"source_type": "volume", "destination_type": "volume", "uuid": "x"}]}, 400,
     "Block Device Mapping is Invalid"),
    ({"host": "nowhere"}, 400, "Compute host nowhere could not be found."),
])
def test_refused_servers(cloud, world, change, status, words):
    answer = nova(cloud, "POST", "/servers", body_of(world, **change))
    assert answer.status_code == status, answer.text
    assert words in next(iter(answer.json().values()))["message"]


def test_many_servers(cloud, world):
    begun = time.time()
    made = nova(cloud, "POST", "/servers", body_of(world, name="many", min_count=50, max_count=50, return_reservation_id=True))
    assert made.status_code == 202, made.text
    reservation = made.json()["reservation_id"]
    query = f"/servers/detail?reservation_id={reservation}"

    def all_active():
        servers = nova(cloud, "GET", query).json()["servers"]
        assert len(servers) == 50
        return servers if all(s["status"] == "ACTIVE" for s in servers) else None
    servers = cloud.wait(all_active, 300)
    print(f"50 servers ACTIVE after {time.time() - begun:.2f} s")
    assert sorted(s["name"] for s in servers)[0] == "many-1"
    page = nova(cloud, "GET", query + "&limit=20&sort_key=display_name&sort_dir=asc").json()
    seen = [s["id"] for s in page["servers"]]
    while "servers_links" in page:
        link = page["servers_links"][0]["href"]
        page = nova(cloud, "GET", link[link.index("/v2.1") + 5:]).json()
        seen += [s["id"] for s in page["servers"]]
    assert len(seen) == 50 == len(set(seen))
    for s in servers:
        assert nova(cloud, "DELETE", f"/servers/{s['id']}").status_code == 204
    cloud.wait(lambda: not nova(cloud, "GET", query).json()["servers"], 300)


def test_hosts(cloud):
    services = nova(cloud, "GET", "/os-services").json()["services"]
    assert {"nova-compute", "nova-conductor", "nova-scheduler"} <= {s["binary"] for s in services}
    nodes = nova(cloud, "GET", "/os-hypervisors/detail", version="2.87").json()["hypervisors"]
    assert len(nodes) == cloud.fake_compute and nodes[0]["vcpus"] > 0
    assert nova(cloud, "GET", "/os-hypervisors/statistics", version="2.87").json()["hypervisor_statistics"]["count"] == len(nodes)
    compute = next(s for s in services if s["binary"] == "nova-compute")
    put = nova(cloud, "PUT", f"/os-services/{compute['id']}", {"status": "disabled", "disabled_reason": "r"})
    assert put.json()["service"]["disabled_reason"] == "r"
    nova(cloud, "PUT", f"/os-services/{compute['id']}", {"status": "enabled"})
    made = nova(cloud, "POST", "/os-aggregates", {"aggregate": {"name": "agg", "availability_zone": "z1"}}).json()["aggregate"]
    path = f"/os-aggregates/{made['id']}"
    added = nova(cloud, "POST", path + "/action", {"add_host": {"host": compute["host"]}}).json()
    assert added["aggregate"]["hosts"] == [compute["host"]]
    zones = {z["zoneName"] for z in nova(cloud, "GET", "/os-availability-zone").json()["availabilityZoneInfo"]}
    assert {"z1", "nova"} <= zones
    assert nova(cloud, "DELETE", path).status_code == 400
    nova(cloud, "POST", path + "/action", {"remove_host": {"host": compute["host"]}})
    assert nova(cloud, "DELETE", path).status_code == 200


def test_what_nova_no_longer_has(cloud, world):
    assert nova(cloud, "GET", "/os-agents").status_code == 410
    assert nova(cloud, "DELETE", "/os-agents/1").status_code == 410
    quota = nova(cloud, "PUT", f"/os-quota-sets/{world['project']}", {"quota_set": {"floating_ips": 7}}, version="2.1")
    assert quota.json()["quota_set"]["floating_ips"] == 7 and quota.json()["quota_set"]["fixed_ips"] == -1
    assert "floating_ips" not in nova(cloud, "GET", f"/os-quota-sets/{world['project']}").json()["quota_set"]


def test_limits_and_groups(cloud, world):
    limits = nova(cloud, "GET", "/limits").json()["limits"]["absolute"]
    assert limits["maxTotalInstances"] == 500 and "maxPersonality" not in limits
    detail = nova(cloud, "GET", f"/os-quota-sets/{world['project']}/detail").json()["quota_set"]
    assert detail["instances"]["limit"] == 500 and detail["instances"]["reserved"] == 0
    assert nova(cloud, "GET", f"/os-quota-sets/{world['project']}/defaults").json()["quota_set"]["instances"] == 10
    group = {"name": "g", "policy": "anti-affinity"}
    group = nova(cloud, "POST", "/os-server-groups", {"server_group": group}).json()["server_group"]
    assert group["policy"] == "anti-affinity" and group["members"] == []
    assert nova(cloud, "DELETE", f"/os-server-groups/{group['id']}").status_code == 204
    assert nova(cloud, "GET", f"/os-server-groups/{group['id']}").status_code == 404


def test_external_events(cloud, server):
    port = cloud.get("network", f"/v2.0/ports?device_id={server['id']}").json()["ports"][0]
    event = {"name": "network-vif-plugged", "server_uuid": server["id"], "status": "completed", "tag": port["id"]}
    answer = nova(cloud, "POST", "/os-server-external-events", {"events": [event]})
    assert answer.status_code == 200 and answer.json()["events"][0]["code"] == 200
    answer = nova(cloud, "POST", "/os-server-external-events", {"events": [dict(event, server_uuid=str(uuid.uuid4()))]})
    assert answer.status_code == 404


def test_the_real_client(cloud, world):
    cloud.openstack("flavor", "create", "--ram", "64", "--disk", "1", "--vcpus", "1", "m1.client")
    made = cloud.openstack("server", "create", "--flavor", "m1.client", "--image", world["image"], "--network", world["network"],
                           "--wait", "client-vm")
    assert made["status"] == "ACTIVE"
    assert [s["Name"] for s in cloud.openstack("server", "list", "--name", "client-vm")] == ["client-vm"]
    cloud.openstack("server", "stop", "client-vm", parse=False, check=False)
    wait_status(cloud, made["id"], "SHUTOFF")
    assert cloud.openstack("server", "event", "list", "client-vm")
    assert cloud.openstack("hypervisor", "list") and cloud.openstack("compute", "service", "list")
    assert cloud.openstack("server", "delete", "--wait", "client-vm", check=False).returncode == 0
    cloud.openstack("flavor", "delete", "m1.client", check=False)


def test_security_groups_of_a_server(cloud, server):
    path = f"/servers/{server['id']}"
    asked = cloud.post("network", "/v2.0/security-groups", {"security_group": {"name": "web", "description": "d"}})
    group = asked.json()["security_group"]
    for rule in ({"protocol": "tcp"}, {"protocol": "icmp"}, {"protocol": "tcp", "port_range_min": 80, "port_range_max": 81,
                 "remote_ip_prefix": "198.18.0.0/15"}, {"remote_group_id": group["id"]}):
        made = cloud.post("network", "/v2.0/security-group-rules", {"security_group_rule": {
            "security_group_id": group["id"], "direction": "ingress", **rule}})
        assert made.status_code == 201, made.text

    def act(action, body):
        return nova(cloud, "POST", path + "/action", {action: body})

    def listed():
        return {g["name"]: g for g in nova(cloud, "GET", path + "/os-security-groups").json()["security_groups"]}
    assert set(listed()) == {"default"}
    for body, status, words in ((None, 400, "Missing parameter dict"), ({}, 400, "Security group not specified"),
                                ({"name": " "}, 400, "Security group name cannot be empty"),
                                ({"name": "none"}, 404, "Security group none is not found")):
        refused = act("addSecurityGroup", body)
        assert refused.status_code == status and words in refused.text, refused.text
    assert "not associated with the instance" in act("removeSecurityGroup", {"name": "web"}).text
    added = act("addSecurityGroup", {"name": "web"})
    assert added.status_code == 202 and added.text == ""
    web = listed()["web"]
    assert (web["id"], web["description"], web["tenant_id"]) == (group["id"], "d", group["tenant_id"])
    rules = {(r["ip_protocol"], r["from_port"], r["to_port"]): r for r in web["rules"]}
    assert set(rules) == {("tcp", 1, 65535), ("icmp", -1, -1), ("tcp", 80, 81), (None, None, None)}  # not those of egress
    assert rules["tcp", 80, 81]["ip_range"] == {"cidr": "198.18.0.0/15"} and rules["tcp", 80, 81]["group"] == {}
    assert rules["icmp", -1, -1]["ip_range"] == {"cidr": "0.0.0.0/0"} and web["rules"][0]["parent_group_id"] == group["id"]
    own = rules[None, None, None]
    assert own["group"] == {"name": "web", "tenant_id": group["tenant_id"]} and own["ip_range"] == {}
    assert act("removeSecurityGroup", {"name": group["id"]}).status_code == 202
    assert set(listed()) == {"default"}
    assert cloud.call("DELETE", "network", f"/v2.0/security-groups/{group['id']}").status_code == 204
    assert nova(cloud, "GET", "/servers/none/os-security-groups").status_code == 404
