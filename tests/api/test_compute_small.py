# SPDX-License-Identifier: Apache-2.0
"""Compute's small families: key pairs, aggregates, availability zones, server groups, usage."""
import base64
import hashlib
import re
import subprocess
import uuid

import pytest


def name(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def at(version):
    return {"OpenStack-API-Version": f"compute 2.{version}"}


def message(answer):
    return next(iter(answer.json().values()))["message"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A public key of each type that ssh-keygen makes."""
    where = tmp_path_factory.mktemp("keys")
    made = {}
    for kind, bits in (("rsa", "2048"), ("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521")):
        path = where / f"{kind}{bits}"
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-f", path, "-C", "me@here"], check=True)
        made[path.name] = path.with_suffix(".pub").read_text()
    return made


def md5(public_key):
    digest = hashlib.md5(base64.b64decode(public_key.split()[1])).hexdigest()
    return ":".join(digest[i:i + 2] for i in range(0, 32, 2))


def keypair(cloud, version, **body):
    return cloud.post("compute", "/os-keypairs", {"keypair": body}, headers=at(version))


# -- key pairs

def test_generated_key(cloud, tmp_path):
    one = name("key")
    answer = keypair(cloud, 1, name=one)
    assert answer.status_code == 200, answer.text
    made = answer.json()["keypair"]
    assert set(made) == {"name", "public_key", "fingerprint", "user_id", "private_key"}
    assert made["public_key"].startswith("ssh-rsa AAAA") and made["public_key"].endswith(" Generated-by-Nova")
    assert made["private_key"].startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    assert made["fingerprint"] == md5(made["public_key"])
    private = tmp_path / "key"
    private.write_text(made["private_key"])
    private.chmod(0o600)
    public = subprocess.run(["ssh-keygen", "-y", "-f", private], check=True, capture_output=True, text=True).stdout
    assert public.split()[:2] == made["public_key"].split()[:2]
    shown = cloud.get("compute", f"/os-keypairs/{one}").json()["keypair"]
    assert "private_key" not in shown and "type" not in shown
    assert shown["deleted"] is False and shown["updated_at"] is None and isinstance(shown["id"], int)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", shown["created_at"])
    assert cloud.call("DELETE", "compute", f"/os-keypairs/{one}").status_code == 202
    gone = cloud.get("compute", f"/os-keypairs/{one}")
    assert gone.status_code == 404 and message(gone) == f"Keypair {one} not found for user {made['user_id']}"
    assert cloud.call("DELETE", "compute", f"/os-keypairs/{one}", headers=at(2)).status_code == 404


def test_generated_certificate(cloud, tmp_path):
    one = name("cert")
    answer = keypair(cloud, 2, name=one, type="x509")
    assert answer.status_code == 201, answer.text
    made = answer.json()["keypair"]
    assert made["type"] == "x509" and len(made["fingerprint"]) == 59
    (tmp_path / "c.pem").write_text(made["public_key"])
    text = subprocess.run(["openssl", "x509", "-noout", "-text", "-fingerprint", "-sha1", "-in", tmp_path / "c.pem"],
                          check=True, capture_output=True, text=True).stdout
    assert f"CN = {made['user_id']}" in text and "TLS Web Client Authentication" in text
    assert f"{made['user_id']}@localhost" in text or "othername" in text.lower()
    assert made["fingerprint"].upper() in text
    (tmp_path / "c.p12").write_bytes(base64.b64decode(made["private_key"]))
    out = subprocess.run(["openssl", "pkcs12", "-in", tmp_path / "c.p12", "-nodes", "-passin", "pass:"], check=True,
                         capture_output=True, text=True).stdout
    assert "PRIVATE KEY" in out
    again = keypair(cloud, 92, name=one + "@x", type="x509", public_key=made["public_key"])
    assert again.status_code == 201 and again.json()["keypair"]["fingerprint"] == made["fingerprint"]
    for each in (one, one + "@x"):
        assert cloud.call("DELETE", "compute", f"/os-keypairs/{each}", headers=at(2)).status_code == 204


def test_import(cloud, keys):
    for kind, public in keys.items():
        answer = keypair(cloud, 92, name=name(kind), public_key=public, type="ssh")
        assert answer.status_code == 201, (kind, answer.text)
        made = answer.json()["keypair"]
        assert made["public_key"] == public and made["fingerprint"] == md5(public) and "private_key" not in made
        assert cloud.call("DELETE", "compute", f"/os-keypairs/{made['name']}", headers=at(10)).status_code == 204


def test_bad_imports(cloud, keys):
    rsa, ec = keys["rsa2048"].split(), keys["ecdsa256"].split()
    whole = base64.b64decode(ec[1])
    off_curve = base64.b64encode(whole[:-1] + bytes([whole[-1] ^ 1])).decode()
    for bad in ("", "ssh-rsa", "ssh-rsa JUNK nova@ubuntu", "ssh-rsa " + rsa[1][:-8], "ssh-ed25519 " + rsa[1],
                " ssh-rsa " + rsa[1], f"{ec[0]} {off_curve}", "ssh-rsa AAAAB3NzaC1yc2E=", "ssh-rsa =AAA", "bad bad",
                "ssh-rsa " + "A" * 70000):
        answer = keypair(cloud, 2, name=name("bad"), public_key=bad)
        assert answer.status_code == 400, (bad, answer.text)
        assert message(answer) == "Keypair data is invalid: failed to generate fingerprint"
    answer = keypair(cloud, 2, name=name("bad"), type="x509", public_key=keys["rsa2048"])
    assert answer.status_code == 400
    assert message(answer).startswith("Keypair data is invalid: failed to generate X509 fingerprint. Error message: ")


def test_key_bodies(cloud, keys):
    rsa = keys["rsa2048"]
    assert keypair(cloud, 1, name=name("k"), type="ssh").status_code == 400
    assert keypair(cloud, 9, name=name("k"), user_id="x").status_code == 400
    assert keypair(cloud, 2, name=name("k"), type="dsa").status_code == 400
    assert keypair(cloud, 2, name="").status_code == 400
    assert keypair(cloud, 2, name="k" * 256).status_code == 400
    assert keypair(cloud, 91, name="a@b", public_key=rsa).status_code == 400
    answer = keypair(cloud, 92, name=name("k"))
    assert answer.status_code == 400 and "'public_key' is a required property" in message(answer)
    one = name("twice")
    assert keypair(cloud, 2, name=one, public_key=rsa).status_code == 201
    answer = keypair(cloud, 2, name=one, public_key=rsa)
    assert answer.status_code == 409 and message(answer) == f"Key pair '{one}' already exists."
    cloud.call("DELETE", "compute", f"/os-keypairs/{one}")


def test_key_pages(cloud, keys):
    token = cloud.make_user(name("pager"), "member", name("p"))
    names = sorted(name("page") for _ in range(3))
    for each in names:
        sent = cloud.post("compute", "/os-keypairs", {"keypair": {"name": each, "public_key": keys["rsa2048"]}},
                          token=token)
        assert sent.status_code == 200, sent.text
    page = cloud.get("compute", "/os-keypairs?limit=2", headers=at(35), token=token).json()
    assert [row["keypair"]["name"] for row in page["keypairs"]] == names[:2]
    assert page["keypairs_links"][0]["rel"] == "next" and f"marker={names[1]}" in page["keypairs_links"][0]["href"]
    page = cloud.get("compute", f"/os-keypairs?limit=2&marker={names[1]}", headers=at(35), token=token).json()
    assert [row["keypair"]["name"] for row in page["keypairs"]] == names[2:] and "keypairs_links" not in page
    assert len(cloud.get("compute", "/os-keypairs?limit=1", headers=at(34), token=token).json()["keypairs"]) == 3
    answer = cloud.get("compute", "/os-keypairs?marker=nothing", headers=at(35), token=token)
    assert answer.status_code == 400 and message(answer) == "Marker nothing could not be found."
    assert cloud.get("compute", "/os-keypairs?other=1", headers=at(74), token=token).status_code == 200
    answer = cloud.get("compute", "/os-keypairs?other=1", headers=at(75), token=token)
    assert answer.status_code == 400 and "Additional properties are not allowed" in message(answer)


def test_keys_of_others(cloud, keys):
    token = cloud.make_user(name("owner"), "member", name("p"))
    mine = cloud.post("compute", "/os-keypairs", {"keypair": {"name": "mine", "public_key": keys["rsa2048"]}},
                      token=token)
    owner = mine.json()["keypair"]["user_id"]
    assert cloud.get("compute", "/os-keypairs/mine").status_code == 404
    assert cloud.get("compute", f"/os-keypairs/mine?user_id={owner}", headers=at(9)).status_code == 404
    assert cloud.get("compute", f"/os-keypairs/mine?user_id={owner}", headers=at(10)).status_code == 200
    assert keypair(cloud, 10, name="given", public_key=keys["rsa2048"], user_id=owner).status_code == 201
    rows = cloud.get("compute", f"/os-keypairs?user_id={owner}", headers=at(10)).json()["keypairs"]
    assert [row["keypair"]["name"] for row in rows] == ["given", "mine"]
    for method, path in (("GET", "?user_id=other"), ("GET", "/mine?user_id=other"), ("DELETE", "/mine?user_id=other")):
        assert cloud.call(method, "compute", "/os-keypairs" + path, headers=at(10), token=token).status_code == 403
    sent = cloud.post("compute", "/os-keypairs", {"keypair": {"name": "n", "user_id": "other"}}, headers=at(10),
                      token=token)
    assert sent.status_code == 403
    assert cloud.call("DELETE", "compute", f"/os-keypairs/given?user_id={owner}", headers=at(10)).status_code == 204


# -- aggregates

@pytest.fixture
def aggregate(cloud):
    made = []

    def make(**body):
        answer = cloud.post("compute", "/os-aggregates", {"aggregate": {"name": name("agg"), **body}}, headers=at(41))
        assert answer.status_code == 200, answer.text
        made.append(answer.json()["aggregate"])
        return made[-1]

    yield make
    for one in made:
        shown = cloud.get("compute", f"/os-aggregates/{one['id']}").json().get("aggregate", {})
        for host in shown.get("hosts", []):
            act(cloud, one, "remove_host", host=host)
        cloud.call("DELETE", "compute", f"/os-aggregates/{one['id']}")


def act(cloud, aggregate, action, **body):
    return cloud.post("compute", f"/os-aggregates/{aggregate['id']}/action", {action: body}, headers=at(41))


@pytest.fixture(scope="module")
def hosts(cloud):
    """Compute hosts, first those that no other test has put servers on: the zone of those may change."""
    rows = cloud.get("compute", "/os-services?binary=nova-compute").json()["services"]
    used = {one["OS-EXT-SRV-ATTR:host"] for one in cloud.get("compute", "/servers/detail?all_tenants=1").json()["servers"]}
    return sorted((row["host"] for row in rows[::-1]), key=used.__contains__)


def zone_details(cloud):
    rows = cloud.get("compute", "/os-availability-zone/detail").json()["availabilityZoneInfo"]
    return {row["zoneName"]: row for row in rows}


def test_aggregate(cloud, aggregate):
    one = aggregate(availability_zone="london")
    assert "hosts" not in one and "metadata" not in one and one["availability_zone"] == "london"
    assert one["updated_at"] is None and one["deleted"] is False and one["deleted_at"] is None and one["uuid"]
    shown = cloud.get("compute", f"/os-aggregates/{one['id']}").json()["aggregate"]
    assert shown["hosts"] == [] and shown["metadata"] == {"availability_zone": "london"} and "uuid" not in shown
    assert one["id"] in [row["id"] for row in cloud.get("compute", "/os-aggregates").json()["aggregates"]]
    answer = cloud.post("compute", "/os-aggregates", {"aggregate": {"name": one["name"]}})
    assert answer.status_code == 409 and message(answer) == f"Aggregate {one['name']} already exists."
    new = name("agg")
    answer = cloud.call("PUT", "compute", f"/os-aggregates/{one['id']}",
                        {"aggregate": {"name": f" {new} ", "availability_zone": "paris"}})
    assert answer.status_code == 200, answer.text
    changed = answer.json()["aggregate"]
    assert changed["name"] == new and changed["metadata"] == {"availability_zone": "paris"} and changed["updated_at"]
    answer = act(cloud, one, "set_metadata", metadata={"ssd": "true", "gone": None})
    assert answer.json()["aggregate"]["metadata"] == {"availability_zone": "paris", "ssd": "true"}
    answer = act(cloud, one, "set_metadata", metadata={"ssd": None})
    assert answer.json()["aggregate"]["metadata"] == {"availability_zone": "paris"}
    deleted = cloud.call("DELETE", "compute", f"/os-aggregates/{one['id']}")
    assert deleted.status_code == 200 and deleted.content == b""


def test_aggregate_faults(cloud, aggregate):
    one = aggregate()
    for method, path, body in (("GET", "", None), ("DELETE", "", None), ("PUT", "", {"aggregate": {"name": "x"}}),
                               ("POST", "/action", {"set_metadata": {"metadata": {}}})):
        answer = cloud.call(method, "compute", "/os-aggregates/99999" + path, body)
        assert answer.status_code == 404 and message(answer) == "Aggregate 99999 could not be found."
        answer = cloud.call(method, "compute", "/os-aggregates/x" + path, body)
        assert answer.status_code == 400 and message(answer) == "Invalid input received: id must be an integer"
    for body in ({}, {"name": ""}, {"name": "n", "availability_zone": ""}, {"name": "n", "availability_zone": "a:b"},
                 {"name": "n", "more": 1}):
        assert cloud.post("compute", "/os-aggregates", {"aggregate": body}).status_code == 400, body
    assert cloud.call("PUT", "compute", f"/os-aggregates/{one['id']}", {"aggregate": {}}).status_code == 400
    answer = cloud.call("PUT", "compute", f"/os-aggregates/{one['id']}", {"aggregate": {"availability_zone": None}})
    assert answer.status_code == 400
    assert message(answer) == (f"Cannot update aggregate {one['id']}. Reason: Aggregate {one['name']} does not support "
                               "empty named availability zone.")
    answer = act(cloud, one, "add_host", host="nowhere")
    assert answer.status_code == 404 and message(answer) == "Compute host nowhere could not be found."
    answer = act(cloud, one, "remove_host", host="nowhere")
    assert answer.status_code == 404 and message(answer) == f"Cannot remove host nowhere in aggregate {one['id']}"
    answer = act(cloud, one, "dance")
    assert answer.status_code == 400 and message(answer) == "There is no such action: dance"
    member = cloud.make_user(name("m"), "member", name("p"))
    assert cloud.get("compute", "/os-aggregates", token=member).status_code == 403


def test_aggregate_images(cloud, aggregate, hosts):
    """Images go to all hosts of the aggregate before a server asks; the conductor's log tells how it went."""
    one = aggregate()
    for host in hosts[:3]:
        act(cloud, one, "add_host", host=host)
    path = f"/os-aggregates/{one['id']}/images"
    image = cloud.post("image", "/v2/images", {"name": name("i"), "disk_format": "raw", "container_format": "bare"}).json()["id"]
    assert cloud.call("PUT", "image", f"/v2/images/{image}/file", data=b"x" * 512,
                      headers={"Content-Type": "application/octet-stream"}).status_code == 204
    absent = str(uuid.uuid4())
    ask = lambda body, where=path, version=81, **how: cloud.post("compute", where, body, headers=at(version), **how)  # noqa: E731
    assert ask({"cache": [{"id": image}]}, version=80).status_code == 404
    for bad in ({}, {"cache": []}, {"cache": [{"id": "x"}]}, {"cache": [{"id": image, "more": 1}]}, {"cache": image}):
        assert ask(bad).status_code == 400, bad
    answer = ask({"cache": [{"id": image}, {"id": image}]})
    assert answer.status_code == 400 and message(answer) == "Duplicate images in request"
    assert ask({"cache": [{"id": image}]}, "/os-aggregates/99999/images").status_code == 404
    assert ask({"cache": [{"id": image}]}, token=cloud.make_user(name("m"), "member", name("p"))).status_code == 403
    answer = ask({"cache": [{"id": image}, {"id": absent}]})
    assert answer.status_code == 202 and answer.content == b""

    def told():
        lines = [line for log in cloud.state_dir.rglob("*.log") for line in log.read_text(errors="replace").splitlines()
                 if "Image pre-cache operation for image(s)" in line and absent in line]
        return lines and lines[0]
    assert "3 cached, 0 existing, 3 errors, 0 unsupported, 0 skipped (down) hosts" in cloud.wait(told)


def test_aggregate_hosts(cloud, aggregate, hosts):
    host, zone = hosts[0], name("zone")
    one, other = aggregate(availability_zone=zone), aggregate(availability_zone=name("zone"))
    answer = act(cloud, one, "add_host", host=host)
    assert answer.status_code == 200 and answer.json()["aggregate"]["hosts"] == [host], answer.text
    answer = act(cloud, one, "add_host", host=host)
    assert answer.status_code == 409 and message(answer) == f"Aggregate {one['id']} already has host {host}."
    answer = act(cloud, other, "add_host", host=host)
    assert answer.status_code == 409 and message(answer) == (
        f"Cannot add host to aggregate {other['id']}. Reason: One or more hosts already in "
        f"availability zone(s) ['{zone}'].")
    provider = cloud.get("placement", f"/resource_providers?name={host}").json()["resource_providers"][0]["uuid"]
    copied = cloud.get("placement", f"/resource_providers/{provider}/aggregates", headers={
        "OpenStack-API-Version": "placement 1.19"}).json()["aggregates"]
    assert one["uuid"] in copied and other["uuid"] not in copied
    zones = zone_details(cloud)
    assert list(zones[zone]["hosts"]) == [host] and host not in zones["nova"]["hosts"]
    answer = cloud.call("DELETE", "compute", f"/os-aggregates/{one['id']}")
    assert answer.status_code == 400 and message(answer) == (
        f"Cannot remove host from aggregate {one['id']}. Reason: Host aggregate is not empty.")
    assert act(cloud, one, "remove_host", host=host).json()["aggregate"]["hosts"] == []
    assert act(cloud, one, "remove_host", host=host).status_code == 404
    copied = cloud.get("placement", f"/resource_providers/{provider}/aggregates", headers={
        "OpenStack-API-Version": "placement 1.19"}).json()["aggregates"]
    assert one["uuid"] not in copied


# -- availability zones

def test_zones(cloud, hosts):
    rows = cloud.get("compute", "/os-availability-zone").json()["availabilityZoneInfo"]
    assert {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None} in rows
    assert "internal" not in [row["zoneName"] for row in rows]
    zones = zone_details(cloud)
    inside = {service for host in zones["internal"]["hosts"].values() for service in host}
    assert {"nova-conductor", "nova-scheduler"} <= inside
    compute = zones["nova"]["hosts"][hosts[0]]["nova-compute"]
    assert compute["available"] is True and compute["active"] is True and compute["updated_at"]
    member = cloud.make_user(name("m"), "member", name("p"))
    assert cloud.get("compute", "/os-availability-zone", token=member).status_code == 200
    assert cloud.get("compute", "/os-availability-zone/detail", token=member).status_code == 403


# -- server groups

def group(cloud, version, **body):
    return cloud.post("compute", "/os-server-groups", {"server_group": {"name": name("group"), **body}},
                      headers=at(version))


def test_server_group(cloud):
    old = group(cloud, 1, policies=["affinity"])
    assert old.status_code == 200, old.text
    one = old.json()["server_group"]
    assert set(one) == {"id", "name", "policies", "metadata", "members"}
    assert one["policies"] == ["affinity"] and one["metadata"] == {} and one["members"] == []
    shown = cloud.get("compute", f"/os-server-groups/{one['id']}", headers=at(13)).json()["server_group"]
    assert shown["project_id"] and shown["user_id"] and shown["policies"] == ["affinity"]
    new = group(cloud, 64, policy="anti-affinity", rules={"max_server_per_host": "3"}).json()["server_group"]
    assert new["policy"] == "anti-affinity" and new["rules"] == {"max_server_per_host": 3} and "metadata" not in new
    listed = [row["id"] for row in cloud.get("compute", "/os-server-groups").json()["server_groups"]]
    assert listed.index(one["id"]) < listed.index(new["id"])
    assert len(cloud.get("compute", "/os-server-groups?limit=1&offset=1").json()["server_groups"]) == 1
    for each in (one, new):
        assert cloud.call("DELETE", "compute", f"/os-server-groups/{each['id']}").status_code == 204
    for method in ("GET", "DELETE"):
        answer = cloud.call(method, "compute", f"/os-server-groups/{one['id']}")
        assert answer.status_code == 404 and message(answer) == f"Instance group {one['id']} could not be found."


def test_server_group_bodies(cloud):
    assert group(cloud, 14, policies=["soft-affinity"]).status_code == 400
    assert group(cloud, 1, policies=[]).status_code == 400
    assert group(cloud, 1, policies=["affinity", "anti-affinity"]).status_code == 400
    assert group(cloud, 63, policy="affinity").status_code == 400
    assert group(cloud, 64, policies=["affinity"]).status_code == 400
    answer = group(cloud, 64, policy="affinity", rules={"max_server_per_host": 2})
    assert answer.status_code == 400 and message(answer) == "Only anti-affinity policy supports rules."
    assert group(cloud, 64, policy="anti-affinity", rules={"max_server_per_host": 0}).status_code == 400
    soft = group(cloud, 15, policies=["soft-affinity"])
    assert soft.status_code == 200
    assert cloud.call("DELETE", "compute", f"/os-server-groups/{soft.json()['server_group']['id']}").status_code == 204
    assert cloud.get("compute", "/os-server-groups?more=1", headers=at(74)).status_code == 200
    assert cloud.get("compute", "/os-server-groups?more=1", headers=at(75)).status_code == 400


def test_server_groups_of_others(cloud):
    member, reader = cloud.make_user(name("m"), "member", name("p")), cloud.make_user(name("r"), "reader", name("q"))
    body = {"server_group": {"name": "theirs", "policies": ["affinity"]}}
    made = cloud.post("compute", "/os-server-groups", body, token=member)
    assert made.status_code == 200, made.text
    one = made.json()["server_group"]["id"]
    assert cloud.post("compute", "/os-server-groups", body, token=reader).status_code == 403
    assert cloud.get("compute", f"/os-server-groups/{one}", token=reader).status_code == 403
    assert cloud.get("compute", "/os-server-groups?all_projects=1", token=reader).json()["server_groups"] == []
    assert one not in [row["id"] for row in cloud.get("compute", "/os-server-groups").json()["server_groups"]]
    everybody = cloud.get("compute", "/os-server-groups?all_projects=1").json()["server_groups"]
    assert one in [row["id"] for row in everybody]
    made = [cloud.post("compute", "/os-server-groups", body, token=member) for _ in range(10)]
    assert [answer.status_code for answer in made] == [200] * 9 + [403]
    assert message(made[-1]) == "Quota exceeded, too many server groups."


# -- usage

def test_usage_periods(cloud):
    for query in ("start=yesterday", "start=2026-01-01", "end=2026-01-01T00:00:00Z", "start=2026-13-01T00:00:00"):
        answer = cloud.get("compute", f"/os-simple-tenant-usage?{query}")
        assert answer.status_code == 400, (query, answer.text)
        assert message(answer) == "Invalid datetime string: Datetime is in invalid format"
    answer = cloud.get("compute", "/os-simple-tenant-usage?start=2026-02-01T00:00:00&end=2026-01-01T00:00:00")
    assert answer.status_code == 400
    assert message(answer) == "Invalid start time. The start time cannot occur after the end time."
    for start in ("2020-01-01T00:00:00", "2020-01-01T00:00:00.5", "2020-01-01%2000:00:00.123456"):
        answer = cloud.get("compute", f"/os-simple-tenant-usage?start={start}&end=2020-01-02T00:00:00")
        assert answer.status_code == 200 and answer.json() == {"tenant_usages": []}, answer.text
    assert cloud.get("compute", "/os-simple-tenant-usage/nobody").json() == {"tenant_usage": {}}
    assert cloud.get("compute", "/os-simple-tenant-usage?more=1", headers=at(75)).status_code == 400
    answer = cloud.get("compute", f"/os-simple-tenant-usage?marker={uuid.uuid4()}", headers=at(40))
    assert answer.status_code == 400 and "could not be found." in message(answer)
    member = cloud.make_user(name("m"), "member", name("p"))
    assert cloud.get("compute", "/os-simple-tenant-usage", token=member).status_code == 403
    assert cloud.get("compute", "/os-simple-tenant-usage/other", token=member).status_code == 403


@pytest.fixture(scope="module")
def servers(cloud):
    """Two servers of a project, in a group, without networks; with the project, a token of it and the group."""
    project, flavor = name("usage"), name("flavor")
    token = cloud.make_user(name("user"), "member", project)
    made = cloud.post("compute", "/flavors", {"flavor": {"name": flavor, "ram": 64, "vcpus": 2, "disk": 3,
                                                         "OS-FLV-EXT-DATA:ephemeral": 1}})
    assert made.status_code == 200, made.text
    image = cloud.post("image", "/v2/images", {"name": name("i"), "disk_format": "raw", "container_format": "bare",
                                               "visibility": "public"}).json()
    sent = cloud.call("PUT", "image", f"/v2/images/{image['id']}/file", data=b"x" * 512,
                      headers={"Content-Type": "application/octet-stream"})
    assert sent.status_code == 204, sent.text
    one = cloud.post("compute", "/os-server-groups", {"server_group": {"name": "g", "policies": ["soft-affinity"]}},
                     headers=at(15), token=token).json()["server_group"]["id"]
    body = {"server": {"name": "used", "flavorRef": made.json()["flavor"]["id"], "imageRef": image["id"],
                       "networks": "none"},
            "os:scheduler_hints": {"group": one}}
    ids = []
    for _ in range(2):
        answer = cloud.post("compute", "/servers", body, headers=at(37), token=token)
        assert answer.status_code == 202, answer.text
        ids.append(answer.json()["server"]["id"])
    for each in ids:
        status = cloud.wait(lambda: (lambda s: s if s != "BUILD" else None)(
            cloud.get("compute", f"/servers/{each}").json()["server"]["status"]))
        assert status == "ACTIVE", cloud.tail()
    project_id = cloud.get("identity", f"/projects?name={project}").json()["projects"][0]["id"]
    yield {"project": project_id, "token": token, "ids": sorted(ids), "flavor": flavor, "group": one}
    for each in ids:
        cloud.call("DELETE", "compute", f"/servers/{each}")


def test_group_members(cloud, servers):
    shown = cloud.get("compute", f"/os-server-groups/{servers['group']}", token=servers["token"]).json()["server_group"]
    assert sorted(shown["members"]) == servers["ids"]
    rows = cloud.get("compute", "/os-server-groups", token=servers["token"]).json()["server_groups"]
    assert len(rows) == 1 and sorted(rows[0]["members"]) == servers["ids"]


def test_usage(cloud, servers):
    path = f"/os-simple-tenant-usage/{servers['project']}?start=2020-01-01T00:00:00"
    usage = cloud.get("compute", path, token=servers["token"]).json()["tenant_usage"]
    assert [row["instance_id"] for row in usage["server_usages"]] == servers["ids"]
    row = usage["server_usages"][0]
    assert (row["memory_mb"], row["vcpus"], row["local_gb"], row["flavor"]) == (64, 2, 4, servers["flavor"])
    assert row["state"] == "active" and row["ended_at"] is None and row["uptime"] >= 0 and row["name"] == "used"
    hours = sum(row["hours"] for row in usage["server_usages"])
    assert 0 < hours < 1 and usage["total_hours"] == pytest.approx(hours)
    assert usage["total_vcpus_usage"] == pytest.approx(2 * hours)
    assert usage["total_memory_mb_usage"] == pytest.approx(64 * hours)
    assert usage["total_local_gb_usage"] == pytest.approx(4 * hours)
    assert usage["start"] == "2020-01-01T00:00:00.000000"
    for detailed in (0, 1):
        rows = cloud.get("compute", f"/os-simple-tenant-usage?start=2020-01-01T00:00:00&detailed={detailed}")
        rows = rows.json()["tenant_usages"]
        mine = [row for row in rows if row["tenant_id"] == servers["project"]]
        assert len(mine) == 1 and ("server_usages" in mine[0]) == bool(detailed)
    page = cloud.get("compute", path + "&limit=1", headers=at(40)).json()
    assert [row["instance_id"] for row in page["tenant_usage"]["server_usages"]] == servers["ids"][:1]
    assert f"marker={servers['ids'][0]}" in page["tenant_usage_links"][0]["href"]
    page = cloud.get("compute", path + f"&limit=2&marker={servers['ids'][0]}", headers=at(40)).json()
    assert [row["instance_id"] for row in page["tenant_usage"]["server_usages"]] == servers["ids"][1:]
    assert "tenant_usage_links" not in page
    shown = cloud.openstack("usage", "show", "--project", servers["project"], "--start", "2020-01-01")
    assert len(shown["Servers"]) == 2 and shown["CPU Hours"] > 0


def test_zone_of_a_used_host(cloud, servers, aggregate):
    """The zone of a host with servers does not change below them."""
    host = cloud.get("compute", f"/servers/{servers['ids'][0]}").json()["server"]["OS-EXT-SRV-ATTR:host"]
    one = aggregate()
    assert act(cloud, one, "add_host", host=host).status_code == 200
    words = "One or more hosts contain instances in this zone."
    answer = act(cloud, one, "set_metadata", metadata={"availability_zone": "z"})
    assert answer.status_code == 400
    assert message(answer) == f"Cannot update metadata of aggregate {one['id']}. Reason: {words}"
    answer = cloud.call("PUT", "compute", f"/os-aggregates/{one['id']}", {"aggregate": {"availability_zone": "z"}})
    assert answer.status_code == 400 and message(answer) == f"Cannot update aggregate {one['id']}. Reason: {words}"


# -- the real client

def test_client_keypair(cloud, keys, tmp_path):
    one, public = name("key"), tmp_path / "k.pub"
    public.write_text(keys["ed25519256"])
    made = cloud.openstack("keypair", "create", "--public-key", str(public), one)
    assert made["fingerprint"] == md5(keys["ed25519256"])
    assert one in [row["Name"] for row in cloud.openstack("keypair", "list")]
    assert cloud.openstack("keypair", "show", one)["name"] == one
    cloud.openstack("keypair", "delete", one, parse=False)
    assert cloud.openstack("keypair", "show", one, check=False).returncode != 0


def test_client_aggregate(cloud, hosts):
    one = name("agg")
    used = {s["OS-EXT-SRV-ATTR:host"] for s in cloud.get("compute", "/servers/detail?all_tenants=1").json()["servers"]}
    host = next(host for host in hosts if host not in used)
    made = cloud.openstack("aggregate", "create", "--property", "ssd=true", one)
    assert made["name"] == one and made["properties"] == {"ssd": "true"}
    cloud.openstack("aggregate", "add", "host", one, host)
    assert cloud.openstack("aggregate", "show", one)["hosts"] == [host]
    cloud.openstack("aggregate", "set", "--zone", one + "-zone", one, parse=False)
    assert one + "-zone" in [row["Zone Name"] for row in cloud.openstack("availability", "zone", "list", "--compute")]
    cloud.openstack("aggregate", "remove", "host", one, host)
    cloud.openstack("aggregate", "delete", one, parse=False)
    assert one not in [row["Name"] for row in cloud.openstack("aggregate", "list")]


def test_client_server_group(cloud):
    one = name("group")
    made = cloud.openstack("--os-compute-api-version", "2.64", "server", "group", "create", "--policy", "anti-affinity",
                           "--rule", "max_server_per_host=2", one)
    assert made["name"] == one and made["policy"] == "anti-affinity"
    assert one in [row["Name"] for row in cloud.openstack("server", "group", "list")]
    assert cloud.openstack("server", "group", "show", one)["id"] == made["id"]
    cloud.openstack("server", "group", "delete", one, parse=False)
