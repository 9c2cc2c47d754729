# SPDX-License-Identifier: Apache-2.0
"""Broken requests to every route of network, image and compute: an answer that is no 500; what was refused has changed nothing; a
service that still works. (test_identity_garbage.py and, at every microversion, test_placement_alone.py are the others'.)"""
import collections
import json
import os
import random
import re
import subprocess

import pytest
import requests

from conftest import BIN, dispose, new_cloud
from garbage import broken_path, broken_query, broken_text

TURNS = int(os.environ.get("NUBO_GARBAGE_TURNS", "1200"))  # of each service
SEED = int(os.environ.get("NUBO_GARBAGE_SEED", "1"))  # the same each time: whoever looks for more gives others
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3lBzKXhZ0fDB6OZgHmJ+Vb1iWlHzg2vvHqnFcOzL3R me@here"
QUERY = ["limit", "marker", "sort", "sort_key", "sort_dir", "fields", "name", "id", "page_reverse", "all_tenants",
         "changes-since", "status",
         "ip", "user_id", "project_id", "name__contains", "effective", "include_names", "os_hidden", "size_min", "tags",
             "visibility"]


@pytest.fixture(scope="module")
def mistreated():
    """A cloud that may be spoilt, and a thing of each kind in it."""
    it = new_cloud().start()
    known = {}

    def make(service, path, body, name=None):
        answer = it.post(service, path, body)
        assert answer.ok, answer.text
        document = answer.json()
        return (document[name or list(body)[0]] if name != "" else document)["id"]
    known["network"] = make("network", "/v2.0/networks", {"network": {"name": "n"}})
    known["subnet"] = make("network", "/v2.0/subnets", {"subnet": {"network_id": known["network"], "ip_version": 4,
                                                                   "cidr": "10.3.0.0/24"}})
    known["port"] = make("network", "/v2.0/ports", {"port": {"network_id": known["network"]}})
    known["group"] = make("network", "/v2.0/security-groups", {"security_group": {"name": "g"}})
    known["image"] = make("image", "/v2/images", {"name": "i", "disk_format": "raw", "container_format": "bare"}, "")
    put = it.call("PUT", "image", f"/v2/images/{known['image']}/file", data=b"\0" * 4096, headers={
        "Content-Type": "application/octet-stream"})
    assert put.status_code == 204
    known["flavor"] = make("compute", "/flavors", {"flavor": {"name": "f", "ram": 64, "vcpus": 1, "disk": 1}})
    known["server"] = make("compute", "/servers", {"server": {"name": "s", "flavorRef": known["flavor"],
                                                              "imageRef": known["image"],
                                                              "networks": [{"uuid": known["network"]}]}})
    known["aggregate"] = make("compute", "/os-aggregates", {"aggregate": {"name": "a"}})
    for kind in ("project", "user"):
        known[kind] = make("identity", f"/{kind}s", {kind: {"name": "of-garbage"}})
    yield it, known
    dispose(it)


def network_bodies(known):
    port = {"network_id": known["network"], "name": "p", "fixed_ips": [{"subnet_id": known["subnet"], "ip_address": "10.3.0.77"}],
            "mac_address": "fa:16:3e:00:00:77", "security_groups": [known["group"]],
                "allowed_address_pairs": [{"ip_address": "10.9.0.1"}],
            "binding:host_id": "h", "binding:profile": {}, "extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400"}],
            "admin_state_up": True, "port_security_enabled": True, "device_id": "d", "device_owner": "o",
                "binding:vnic_type": "normal"}
    subnet = {"network_id": known["network"], "ip_version": 4, "cidr": "10.4.0.0/24", "gateway_ip": "10.4.0.1",
              "enable_dhcp": True,
              "allocation_pools": [{"start": "10.4.0.5", "end": "10.4.0.9"}], "dns_nameservers": ["9.9.9.9"], "name": "s",
              "host_routes": [{"destination": "10.5.0.0/24", "nexthop": "10.4.0.2"}]}
    rule = {"security_group_id": known["group"], "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
            "port_range_min": 1,
            "port_range_max": 9, "remote_ip_prefix": "10.0.0.0/8"}
    network = {"name": "n", "admin_state_up": True, "shared": False, "mtu": 1400, "provider:network_type": "vxlan",
               "provider:segmentation_id": 7, "port_security_enabled": True, "router:external": False,
               "availability_zone_hints": [], "dns_domain": "a."}
    return {"networks": {"network": network}, "subnets": {"subnet": subnet}, "ports": {"port": port},
            "security-groups": {"security_group": {"name": "g", "description": "d", "stateful": True}},
            "security-group-rules": {"security_group_rule": rule}, "quotas": {"quota": {"network": 5, "port": -1}},
            "agents": {"agent": {"admin_state_up": True, "description": "d"}}, "tags": {"tags": ["a", "b"]}}


def image_bodies(known):
    return {"images": {"name": "i", "disk_format": "raw", "container_format": "bare", "visibility": "private", "min_disk": 1,
                       "min_ram": 1,
                       "tags": ["t"], "protected": False, "property": "value", "os_hidden": False},
            "members": {"member": known["project"], "status": "accepted"},
            "PATCH": [{"op": "replace", "path": "/name", "value": "n"}, {"op": "add", "path": "/color", "value": "red"}]}


def compute_bodies(known):
    server = {"name": "vm", "flavorRef": known["flavor"], "imageRef": known["image"], "networks": [{"uuid": known["network"],
              "fixed_ip": "10.3.0.99", "tag": "t"}], "metadata": {"k": "v"}, "min_count": 1, "max_count": 1, "user_data": "eA==",
              "key_name": "k", "security_groups": [{"name": "default"}], "config_drive": True, "availability_zone": "nova",
              "block_device_mapping_v2": [{"uuid": known["image"], "source_type": "image", "destination_type": "local",
                                           "boot_index": 0, "delete_on_termination": True}],
              "description": "d", "tags": ["a"], "trusted_image_certificates": ["c"], "host": "compute-1", "hostname": "h"}
    actions = [{"reboot": {"type": "SOFT"}}, {"os-stop": None}, {"os-getConsoleOutput": {"length": 5}},
               {"lock": {"locked_reason": "r"}},
               {"changePassword": {"adminPass": "p"}}, {"os-resetState": {"state": "active"}},
                   {"addSecurityGroup": {"name": "g"}},
               {"createImage": {"name": "n"}}, {"rebuild": {"imageRef": known["image"]}},
                   {"resize": {"flavorRef": known["flavor"]}}]
    return {"servers": {"server": server}, "server": {"server": {"name": "n", "description": "d", "accessIPv4": "10.0.0.1"}},
            "action": actions, "flavors": {"flavor": {"name": "x", "ram": 1, "vcpus": 1, "disk": 0, "id": "auto", "swap": 0,
                                                      "rxtx_factor": 1.0, "os-flavor-access:is_public": True,
                                                          "description": "d"}},
            "os-extra_specs": {"extra_specs": {"hw:cpu_policy": "shared", "a": "b"}}, "os-keypairs": {"keypair": {
                "name": "k", "public_key": KEY, "type": "ssh", "user_id": known["user"]}},
            "metadata": {"metadata": {"a": "b"}, "meta": {"a": "b"}}, "tags": {"tags": ["a", "b"]},
            "os-interface": {"interfaceAttachment": {"net_id": known["network"], "fixed_ips": [{"ip_address": "10.3.0.50"}]}},
            "os-services": {"status": "disabled", "disabled_reason": "r", "forced_down": False, "host": "compute-1",
                            "binary": "nova-compute"},
            "os-aggregates": [{"aggregate": {"name": "x", "availability_zone": "z"}}, {"add_host": {"host": "compute-1"}},
                              {"set_metadata": {"metadata": {"a": "b"}}}],
            "os-quota-sets": {"quota_set": {"cores": 5, "instances": 5, "force": True}},
            "os-server-groups": {"server_group": {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 2}}},
            "os-server-external-events": {"events": [{"name": "network-vif-plugged", "server_uuid": known["server"],
                                                      "tag": known["port"],
                                                      "status": "completed"}]}}


SERVICES = {"network": ("neutron", network_bodies, "/v2.0"), "image": ("glance", image_bodies, ""),
            "compute": ("nova", compute_bodies, "/v2.1")}


def body_for(dice, method, path, bodies):
    """The good body of the deepest part of the path that has one."""
    parts = [part for part in path.split("/") if part and "{" not in part]
    if method == "PATCH" and "PATCH" in bodies:
        return bodies["PATCH"]
    if path.endswith("/servers/{server_id}"):
        return bodies["server"]
    for part in reversed(parts):
        if part in bodies:
            return dice.choice(bodies[part]) if isinstance(bodies[part], list) else bodies[part]
    return {}


def seen(session, url, headers):
    """What a thing looks like, without what changes by itself; None: it is not there."""
    answer = session.get(url.split("?")[0], headers=headers, timeout=120)
    if answer.status_code != 200 or "/servers/" in url or "json" not in answer.headers.get("Content-Type", ""):
        return None
    return answer.json()


@pytest.mark.parametrize("service", list(SERVICES))
def test_every_route_of(mistreated, service):
    cloud, known = mistreated
    name, make_bodies, prefix = SERVICES[service]
    table = subprocess.run([BIN, "routes"], check=True, capture_output=True, text=True).stdout
    routes = re.findall(rf"^{name}\tapi\t(\w+)\t(/\S*)", table, re.M)
    assert len(routes) > 20
    dice, bodies, session, token = random.Random(SEED), make_bodies(known), requests.Session(), cloud.token()
    # what is deleted would leave nothing to break
    routes = [route for route in routes if route[0] != "DELETE"] + [route for route in routes if route[0] == "DELETE"][:5]
    parameters = {"id": known["network" if service == "network" else "aggregate"], **{f"{kind}_id": it for kind,
                                                                                      it in known.items()}}
    root = cloud.url(service)[:-len(prefix)] if prefix and cloud.url(service).endswith(prefix) else cloud.url(service)
    counts = collections.Counter()
    for turn in range(TURNS):
        method, path = routes[turn % len(routes)]
        good = body_for(dice, method, path, bodies)
        text = broken_text(dice, good) if method in ("POST", "PUT", "PATCH") else None
        url = root + broken_path(dice, path, parameters) + (broken_query(dice, QUERY) if dice.random() < 0.5 else "")
        kind = "application/openstack-images-v2.1-json-patch" if name == "glance" and method == "PATCH" else "application/json"
        headers = {"X-Auth-Token": token}
        before = seen(session, url, headers) if method in ("PUT", "PATCH") else None
        version = f"compute 2.{dice.randint(1, 95)}" if dice.random() < 0.9 else dice.choice(["compute x", "compute 2.",
                                                                                              "compute 9.9"])
        answer = session.request(method, url, data=text, timeout=120, headers={
            **headers, "Content-Type": kind if dice.random() < 0.97 else "text/☃".encode(),
            **({"OpenStack-API-Version": version} if service == "compute" else {})})
        counts[answer.status_code] += 1
        assert answer.status_code < 500 or answer.status_code == 501, (method, url[:300], text and text[:1000], version,
                                                                       answer.text[:1000])
        if before is not None and answer.status_code >= 400:
            assert seen(session, url, headers) == before, (method, url[:300], text[:1000], answer.text)
        if "json" in answer.headers.get("Content-Type", "") and answer.content:
            json.loads(answer.text)
    print(counts)
    assert counts[200] + counts[201] + counts[202] + counts[204] > TURNS // 50 and counts[400] > TURNS // 20 # both are met
    assert cloud.get("identity", "/users").status_code == 200
    listed = {"image": "/v2/images", "network": "/v2.0/networks", "compute": "/servers"}[service]
    assert cloud.get(service, listed).status_code == 200
