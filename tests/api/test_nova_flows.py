# SPDX-License-Identifier: Apache-2.0
"""Nova behind its API, on simulated hosts: scheduling and its reasons, attempts on other hosts, power, deletion, metadata."""
import base64
import hashlib
import hmac
import json

import pytest
import requests

from conftest import PORTS, dispose, new_cloud

HEADERS = {"OpenStack-API-Version": "compute 2.95"}


class Place:
    """A cloud with a network, an image and a flavor."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.network = cloud.post("network", "/v2.0/networks", {"network": {"name": "n"}}).json()["network"]["id"]
        subnet = {"network_id": self.network, "cidr": "10.0.0.0/16", "ip_version": 4}
        assert cloud.post("network", "/v2.0/subnets", {"subnet": subnet}).status_code == 201
        self.image = cloud.post("image", "/v2/images", {"name": "i", "disk_format": "raw", "container_format": "bare"}).json()["id"]
        answer = cloud.call("PUT", "image", f"/v2/images/{self.image}/file", data=b"x" * 512,
                            headers={"Content-Type": "application/octet-stream"})
        assert answer.status_code == 204
        self.flavor("tiny", 64)
        self.project = cloud.login().json()["token"]["project"]["id"]
        quota = {"quota_set": {"instances": -1, "cores": -1, "ram": -1}}
        assert cloud.call("PUT", "compute", f"/os-quota-sets/{self.project}", quota).status_code == 200

    def flavor(self, name, ram):
        flavor = {"flavor": {"name": name, "vcpus": 1, "ram": ram, "disk": 1, "id": name}}
        assert self.cloud.post("compute", "/flavors", flavor).status_code == 200

    def boot(self, **more):
        body = {"name": "s", "imageRef": self.image, "flavorRef": "tiny", "networks": [{"uuid": self.network}], **more}
        answer = self.cloud.post("compute", "/servers", {"server": body}, headers=HEADERS)
        assert answer.status_code == 202, answer.text
        return answer.json()["server"]["id"]

    def server(self, uuid):
        answer = self.cloud.get("compute", f"/servers/{uuid}", headers=HEADERS)
        return answer.json()["server"] if answer.status_code == 200 else None

    def until(self, uuid, status):
        def reached():
            now = self.server(uuid)
            return now if now["status"] == status and now["OS-EXT-STS:task_state"] is None else None
        return self.cloud.wait(reached, 180, 0.02)

    def servers(self):
        return self.cloud.get("compute", "/servers/detail", headers=HEADERS).json()["servers"]

    def clear(self):
        for one in self.servers():
            assert self.cloud.call("DELETE", "compute", f"/servers/{one['id']}", headers=HEADERS).status_code == 204
        self.cloud.wait(lambda: not self.servers(), 180, 0.02)

    def allocations(self):
        found = self.cloud.get("placement", "/resource_providers").json()["resource_providers"]
        return sum(len(self.cloud.get("placement", f"/resource_providers/{p['uuid']}/allocations").json()["allocations"])
                   for p in found)

    def ports(self):
        return self.cloud.get("network", "/v2.0/ports").json()["ports"]


@pytest.fixture(scope="module")
def place():
    cloud = new_cloud(fake_compute=4).start()
    yield Place(cloud)
    dispose(cloud)


def test_power(place):
    uuid = place.boot()
    now = place.until(uuid, "ACTIVE")
    assert now["OS-EXT-STS:power_state"] == 1 and now["OS-EXT-AZ:availability_zone"] == "nova"
    for action, status in (({"os-stop": None}, "SHUTOFF"), ({"os-start": None}, "ACTIVE"), ({"reboot": {"type": "HARD"}}, "ACTIVE"),
                           ({"pause": None}, "PAUSED"), ({"unpause": None}, "ACTIVE"), ({"suspend": None}, "SUSPENDED"),
                           ({"resume": None}, "ACTIVE")):
        assert place.cloud.post("compute", f"/servers/{uuid}/action", action, headers=HEADERS).status_code == 202
        place.until(uuid, status)
    place.clear()
    assert place.allocations() == 0 and place.ports() == []


@pytest.mark.parametrize("count", [1, 50])
def test_many_at_once(place, count):
    place.boot(min_count=count, max_count=count)
    place.cloud.wait(lambda: [s["status"] for s in place.servers()] == ["ACTIVE"] * count, 180, 0.02)
    hosts = {s["OS-EXT-SRV-ATTR:host"] for s in place.servers()}
    assert len(hosts) == min(count, 4)
    place.clear()
    assert place.allocations() == 0 and place.ports() == []


def test_too_large_says_why(place):
    place.flavor("huge", 99999999)
    fault = place.until(place.boot(flavorRef="huge"), "ERROR")["fault"]
    assert fault["message"] == "No valid host was found. There are not enough hosts available."
    assert "Placement MEMORY_MB: removed 4 of 4 hosts; fake-" in fault["details"] and "99999999 asked for" in fault["details"]
    place.clear()


def test_disabled_hosts_say_why(place):
    services = place.cloud.get("compute", "/os-services?binary=nova-compute", headers=HEADERS).json()["services"]
    for one in services:
        body = {"status": "disabled", "disabled_reason": "a test"}
        assert place.cloud.call("PUT", "compute", f"/os-services/{one['id']}", body, headers=HEADERS).status_code == 200
    fault = place.until(place.boot(), "ERROR")["fault"]
    assert "ComputeFilter: removed 4 of 4 hosts" in fault["details"] and "a test" in fault["details"]
    for one in services:
        place.cloud.call("PUT", "compute", f"/os-services/{one['id']}", {"status": "enabled"}, headers=HEADERS)
    place.clear()


@pytest.mark.parametrize("key, wanted, fits", [
    ("capabilities:hypervisor_type", "s== fake", True), ("capabilities:hypervisor_type", "<or> kvm <or> qemu", False),
    ("hypervisor_type", "s!= fake", False), ("nobody_knows", "1", True), ("capabilities:nobody_knows", "1", False),
    ("capabilities:vcpus", ">= 1", True), ("capabilities:vcpus", ">= 100000", False), ("other:thing", "1", True),
])
def test_capabilities_of_hosts(place, key, wanted, fits):
    place.flavor("able", 64)
    path = "/flavors/able/os-extra_specs"
    assert place.cloud.post("compute", path, {"extra_specs": {key: wanted}}).status_code == 200
    now = place.until(place.boot(flavorRef="able"), "ACTIVE" if fits else "ERROR")
    assert fits or "ComputeCapabilitiesFilter: removed 4 of 4 hosts" in now["fault"]["details"]
    place.clear()
    assert place.cloud.call("DELETE", "compute", "/flavors/able").status_code == 202


@pytest.mark.parametrize("name, value, fits", [
    ("hw_architecture", "x86_64", True), ("hw_architecture", "aarch64", False), ("img_hv_type", "xen", False),
    ("hw_vm_mode", "hvm", True), ("os_distro", "debian", True),
])
def test_images_that_hosts_cannot_run(place, name, value, fits):
    path, headers = f"/v2/images/{place.image}", {"Content-Type": "application/openstack-images-v2.1-json-patch"}

    def patch(**change):
        answer = place.cloud.call("PATCH", "image", path, data=json.dumps([{"path": f"/{name}", **change}]), headers=headers)
        assert answer.status_code == 200, answer.text

    patch(op="add", value=value)
    now = place.until(place.boot(), "ACTIVE" if fits else "ERROR")
    patch(op="remove")
    assert fits or "ImagePropertiesFilter: removed 4 of 4 hosts" in now["fault"]["details"]
    place.clear()


def test_attempts_end(place):
    """A port that no host can bind: three hosts are tried, nothing stays allocated, the port is given back."""
    port = {"port": {"network_id": place.network, "binding:vnic_type": "direct"}}
    port = place.cloud.post("network", "/v2.0/ports", port).json()["port"]["id"]
    now = place.until(place.boot(networks=[{"port": port}]), "ERROR")
    assert now["fault"]["message"].startswith("Exceeded maximum number of retries. Exceeded max scheduling attempts 3")
    assert place.allocations() == 0
    assert [(p["device_id"], p["binding:host_id"]) for p in place.ports()] == [("", "")]
    place.clear()
    assert place.cloud.call("DELETE", "network", f"/v2.0/ports/{port}").status_code == 204


def test_deleted_while_it_is_built(place):
    for _ in range(10):
        uuid = place.boot()
        assert place.cloud.call("DELETE", "compute", f"/servers/{uuid}", headers=HEADERS).status_code == 204
    place.cloud.wait(lambda: not place.servers(), 180, 0.02)
    place.cloud.wait(lambda: place.allocations() == 0 and place.ports() == [], 180, 0.05)


def test_metadata(place):
    script = b"#!/bin/sh\necho hi\n"
    uuid = place.boot(user_data=base64.b64encode(script).decode(), metadata={"a": "b"})
    address = place.until(uuid, "ACTIVE")["addresses"]["n"][0]["addr"]
    secret = (place.cloud.state_dir / "keys" / "metadata_proxy_shared_secret").read_bytes().strip()
    good = {"X-Instance-ID": uuid, "X-Tenant-ID": place.project,
            "X-Instance-ID-Signature": hmac.new(secret, uuid.encode(), hashlib.sha256).hexdigest()}

    def ask(path, method="GET", data=None, **other):
        url = f"http://127.0.0.1:{PORTS['metadata'] + place.cloud.offset}{path}"
        return requests.request(method, url, headers={**good, **other}, data=data, timeout=120)

    assert ask("/openstack").text.split("\n")[-1] == "latest"
    document = ask("/openstack/latest/meta_data.json").json()
    assert document["uuid"] == uuid and document["meta"] == {"a": "b"} and document["availability_zone"] == "nova"
    assert ask("/openstack/latest/user_data").content == script and ask("/latest/user-data").content == script
    assert ask("/latest/meta-data/local-ipv4").text == address
    assert ask("/openstack/latest/network_data.json").json()["networks"][0]["type"] == "ipv4_dhcp"
    assert ask("/openstack/latest/password", "POST", "secret").status_code == 200
    assert ask("/openstack/latest/password").text == "secret"
    assert ask("/openstack/latest/password", "POST", "other").status_code == 409
    assert ask("/nothing").status_code == 404
    assert ask("/latest", **{"X-Tenant-ID": "other"}).status_code == 404
    assert ask("/latest", **{"X-Instance-ID-Signature": "0" * 64}).status_code == 403
    place.clear()
