# SPDX-License-Identifier: Apache-2.0
"""Notifications of a whole cloud over RabbitMQ, heard by real oslo.messaging: nova's two forms, neutron's, glance's and
identity's."""
import json
import pathlib
import socket
import subprocess
import sys
import textwrap
import threading

import pytest

import ports

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from conftest import Cloud  # noqa: E402
from messages import until  # noqa: E402
from rabbit import Rabbit, SERVER  # noqa: E402

pytestmark = pytest.mark.skipif(not pathlib.Path(SERVER).exists(), reason="RabbitMQ is not installed")
PORT = ports.claim(3)
HOST = socket.gethostname()
URL = f"rabbit://nova:secret@127.0.0.1:{PORT}/"
LISTENER = """
    import json, os, sys
    import oslo_messaging
    from oslo_config import cfg
    conf = cfg.CONF
    conf([])
    url = sys.argv[1]
    transport = oslo_messaging.get_notification_transport(conf, url)
    conf.set_override("rabbit_quorum_queue", True, group="oslo_messaging_rabbit")
    transport = oslo_messaging.get_notification_transport(conf, url)
    class Endpoint:
        def info(self, ctxt, publisher_id, event_type, payload, metadata):
            os.write(1, json.dumps([publisher_id, event_type, payload, ctxt]).encode() + b"\\n")
        error = info
    targets = [oslo_messaging.Target(topic=t, exchange=e) for t, e in
               (("notifications", "nova"), ("versioned_notifications", "nova"), ("notifications", "neutron"),
                ("notifications", "glance"), ("notifications", "keystone"))]
    server = oslo_messaging.get_notification_listener(transport, targets, [Endpoint()], executor="threading")
    server.start(override_pool_size=1)  # one after the other, as they were sent
    print("ready", flush=True)
    sys.stdin.read()
"""


# The last event of each queue: nova's in both forms (of servers, and of what operators make), neutron's, glance's, keystone's.
LAST = [lambda events: "instance.delete.end" in events, lambda events: "compute.instance.delete.end" in events,
        lambda events: len(events.get("service.update", ())) >= 2, lambda events: len(events.get("aggregate.delete.end", ())) >= 2,
        lambda events: "network.delete.end" in events, lambda events: "image.delete" in events,
        lambda events: "identity.domain.deleted" in events, lambda events: "aggregate.cache_images.end" in events,
        lambda events: len(events.get("compute_task.build_instances.error", ())) >= 2,
        lambda events: len(events.get("compute_task.build_instances", ())) >= 2]


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """What was heard of a server's and a network's life: event type -> payload."""
    rabbit = Rabbit(tmp_path_factory.mktemp("rabbit"), PORT).start()
    patch = pytest.MonkeyPatch()
    events = {}
    try:
        rabbit.ctl("add_user", "nova", "secret")
        rabbit.ctl("set_permissions", "nova", ".*", ".*", ".*")
        listener = subprocess.Popen(["/usr/bin/python3", "-W", "ignore", "-c", textwrap.dedent(LISTENER), URL], text=True,
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert listener.stdout.readline() == "ready\n"

        def read():
            for line in listener.stdout:
                publisher, event, payload, context = json.loads(line)
                if event.startswith(("identity.", "image.")):
                    assert set(context) <= {"client_timeout"}, context  # no token travels with them
                events.setdefault(event, []).append((publisher, payload))
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        for group in ("DEFAULT", "OSLO_MESSAGING_NOTIFICATIONS"):  # the one or the other may stand in a file
            patch.setenv(f"OS_{group}__TRANSPORT_URL", URL)
        patch.setenv("OS_OSLO_MESSAGING_NOTIFICATIONS__DRIVER", "messagingv2")
        patch.setenv("OS_NOTIFICATIONS__NOTIFICATION_FORMAT", "both")
        patch.setenv("OS_NOTIFICATIONS__NOTIFY_ON_STATE_CHANGE", "vm_and_task_state")
        cloud = Cloud(tmp_path_factory.mktemp("notify") / "state", fake_compute=1).start()
        try:
            live(cloud)
            operate(cloud)
            share(cloud)
            administer(cloud)
            until(lambda: all(last(events) for last in LAST))
        finally:
            assert cloud.stop() == 0
        listener.stdin.close()
        reader.join(120)
        assert listener.wait(120) == 0
    finally:
        patch.undo()
        rabbit.destroy()
    return events


def share(cloud):
    """An image's life beside servers."""
    bare = {"name": "shared", "disk_format": "raw", "container_format": "bare", "visibility": "shared", "color": "red"}
    image = cloud.post("image", "/v2/images", bare).json()["id"]
    path = f"/v2/images/{image}"
    octets = {"Content-Type": "application/octet-stream"}
    assert cloud.call("PUT", "image", f"{path}/file", data=b"QFI\xfb" + b"\xff" * 508, headers=octets).status_code == 400
    assert cloud.call("PUT", "image", f"{path}/file", data=b"y" * 700, headers=octets).status_code == 204
    assert cloud.post("image", f"{path}/members", {"member": "f" * 32}).status_code == 200
    assert cloud.call("DELETE", "image", f"{path}/members/{'f' * 32}").status_code == 204
    assert cloud.call("PUT", "image", f"{path}/tags/blue").status_code == 204
    assert cloud.call("DELETE", "image", path).status_code == 204


def administer(cloud):
    def made(kind, body, path=None):
        answer = cloud.post("identity", f"/{path or kind + 's'}", {kind: body})
        assert answer.status_code == 201, answer.text
        return answer.json()[kind]["id"]
    domain = made("domain", {"name": "d"})
    user = made("user", {"name": "ann", "password": "secret", "domain_id": domain})
    project = made("project", {"name": "p", "domain_id": domain})
    group, role = made("group", {"name": "g"}), made("role", {"name": "r"})
    grant = f"/projects/{project}/users/{user}/roles/{role}"
    for method, path in (("PUT", grant), ("DELETE", grant), ("DELETE", grant), ("PUT", f"/groups/{group}/users/{user}"),
                         ("PUT", f"/projects/{project}/tags/t")):
        cloud.call(method, "identity", path)
    assert cloud.login("ann", "wrong", None, domain="d").status_code == 401
    assert cloud.login("ann", "secret", None, domain="d").status_code == 201
    assert cloud.call("PATCH", "identity", f"/users/{user}", {"user": {"description": "x"}}).status_code == 200
    assert cloud.call("PATCH", "identity", f"/domains/{domain}", {"domain": {"enabled": False}}).status_code == 200
    for path in (f"users/{user}", f"groups/{group}", f"roles/{role}", f"domains/{domain}"):
        assert cloud.call("DELETE", "identity", f"/{path}").status_code == 204


def operate(cloud):
    """What operators and users make in nova beside servers."""
    new = {"headers": {"OpenStack-API-Version": "compute 2.64"}}
    assert cloud.post("compute", "/os-keypairs", {"keypair": {"name": "k"}}).status_code == 200
    assert cloud.call("DELETE", "compute", "/os-keypairs/k").status_code == 202
    assert cloud.post("compute", "/flavors/tiny/os-extra_specs", {"extra_specs": {"a": "b"}}).status_code == 200
    assert cloud.call("DELETE", "compute", "/flavors/tiny").status_code == 202
    group = {"server_group": {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 3}}}
    group = cloud.post("compute", "/os-server-groups", group, **new).json()["server_group"]["id"]
    assert cloud.call("DELETE", "compute", f"/os-server-groups/{group}").status_code == 204
    aggregate = cloud.post("compute", "/os-aggregates", {"aggregate": {"name": "a", "availability_zone": "z"}}).json()["aggregate"]
    path = f"/os-aggregates/{aggregate['id']}"
    host = {"host": "fake-1"}
    for action in ({"add_host": host}, {"set_metadata": {"metadata": {"m": "n"}}}):
        assert cloud.post("compute", f"{path}/action", action).status_code == 200
    cached = {"cache": [{"id": cloud.get("image", "/v2/images").json()["images"][0]["id"]}]}
    assert cloud.post("compute", f"{path}/images", cached, headers={"OpenStack-API-Version": "compute 2.81"}).status_code == 202
    assert cloud.post("compute", f"{path}/action", {"remove_host": host}).status_code == 200
    assert cloud.call("PUT", "compute", path, {"aggregate": {"name": "b"}}).status_code == 200
    assert cloud.call("DELETE", "compute", path).status_code == 200
    body = {"host": "fake-1", "binary": "nova-compute"}
    assert cloud.call("PUT", "compute", "/os-services/disable", body).status_code == 200
    assert cloud.call("PUT", "compute", "/os-services/enable", body).status_code == 200


def live(cloud):
    network = cloud.post("network", "/v2.0/networks", {"network": {"name": "n"}}).json()["network"]["id"]
    subnet = {"network_id": network, "cidr": "10.0.0.0/24", "ip_version": 4}
    assert cloud.post("network", "/v2.0/subnets", {"subnet": subnet}).status_code == 201
    image = cloud.post("image", "/v2/images", {"name": "i", "disk_format": "raw", "container_format": "bare", "architecture":
                                                  "x86_64", "hw_boot_menu": "yes", "color": "red"}).json()["id"]
    cloud.call("PUT", "image", f"/v2/images/{image}/file", data=b"x" * 512, headers={"Content-Type": "application/octet-stream"})
    cloud.post("compute", "/flavors", {"flavor": {"name": "tiny", "vcpus": 1, "ram": 64, "disk": 1, "id": "tiny"}})
    group = {"server_group": {"name": "home", "policies": ["affinity"]}}
    group = cloud.post("compute", "/os-server-groups", group).json()["server_group"]["id"]
    server = {"name": "s", "imageRef": image, "flavorRef": "tiny", "networks": [{"uuid": network}], "metadata": {"k": "v"}}
    hints = {"os:scheduler_hints": {"group": group}}
    uuid = cloud.post("compute", "/servers", {"server": server, **hints}).json()["server"]["id"]

    def status():
        return cloud.get("compute", f"/servers/{uuid}").json().get("server", {}).get("status")
    until(lambda: status() == "ACTIVE")
    assert cloud.call("PUT", "compute", f"/servers/{uuid}", {"server": {"name": "t"}}).status_code == 200
    assert cloud.call("PUT", "compute", f"/servers/{uuid}", {"server": {"name": "s"}}).status_code == 200
    tags = {"OpenStack-API-Version": "compute 2.73"}
    assert cloud.call("PUT", "compute", f"/servers/{uuid}/tags/blue", headers=tags).status_code == 201
    lock = {"lock": {"locked_reason": "lunch"}}
    assert cloud.post("compute", f"/servers/{uuid}/action", lock, headers=tags).status_code == 202
    assert cloud.post("compute", f"/servers/{uuid}/action", {"unlock": None}).status_code == 202
    assert cloud.post("compute", f"/servers/{uuid}/action", {"os-stop": None}).status_code == 202
    until(lambda: status() == "SHUTOFF")
    assert cloud.call("DELETE", "compute", f"/servers/{uuid}").status_code == 204
    until(lambda: status() is None)
    cloud.post("compute", "/flavors", {"flavor": {"name": "huge", "vcpus": 1, "ram": 64, "disk": 10**7, "id": "huge"}})
    server.update(name="never", flavorRef="huge", availability_zone="nova")
    uuid = cloud.post("compute", "/servers", {"server": server}).json()["server"]["id"]
    until(lambda: status() == "ERROR")
    assert cloud.call("DELETE", "compute", f"/servers/{uuid}").status_code == 204
    port = {"port": {"network_id": network, "binding:vnic_type": "direct"}}  # no host can bind it: the one that tries gives up
    port = cloud.post("network", "/v2.0/ports", port).json()["port"]["id"]
    server.update(name="tried", flavorRef="tiny", networks=[{"port": port}])
    uuid = cloud.post("compute", "/servers", {"server": server}).json()["server"]["id"]
    until(lambda: status() == "ERROR")
    assert cloud.call("DELETE", "compute", f"/servers/{uuid}").status_code == 204
    until(lambda: status() is None)
    assert cloud.call("DELETE", "network", f"/v2.0/ports/{port}").status_code == 204
    assert cloud.call("DELETE", "network", f"/v2.0/networks/{network}").status_code == 204


def test_servers_in_both_forms(heard):
    for word in ("create", "power_off", "delete"):
        for phase in ("start", "end"):
            publisher, payload = heard[f"instance.{word}.{phase}"][0]
            data = payload["nova_object.data"]
            assert publisher == "nova-compute:fake-1" and data["display_name"] == "s" and data["metadata"] == {"k": "v"}
            publisher, payload = heard[f"compute.instance.{word}.{phase}"][0]
            assert publisher == "compute.fake-1" and payload["display_name"] == "s" and payload["memory_mb"] == 64
    payload = heard["instance.create.end"][0][1]
    assert (payload["nova_object.name"], payload["nova_object.version"]) == ("InstanceCreatePayload", "1.12")
    data = payload["nova_object.data"]
    assert data["state"] == "active" and data["power_state"] == "running" and data["host"] == "fake-1"
    assert data["ip_addresses"][0]["nova_object.data"]["address"].startswith("10.0.0.")
    assert data["flavor"]["nova_object.data"]["flavorid"] == "tiny"
    assert heard["compute.instance.create.end"][0][1]["fixed_ips"][0]["address"].startswith("10.0.0.")
    assert heard["instance.delete.end"][0][1]["nova_object.data"]["state"] == "deleted"


def test_changes_of_a_server(heard):
    """instance.update with vm_and_task_state: what it was and what it is, from the first to the last."""
    told = [payload["nova_object.data"] for _, payload in heard["instance.update"]]
    states = [one["state_update"]["nova_object.data"] for one in told]
    steps = {(s["old_state"], s["state"], s["old_task_state"], s["new_task_state"]) for s in states}
    assert {("building", "building", "networking", "block_device_mapping"), ("building", "active", "spawning", None),
            ("active", "active", "powering-off", "powering-off"), ("active", "stopped", "powering-off", None)} <= steps, steps
    assert [one["old_display_name"] for one in told if one["old_display_name"]] == ["s", "t"]
    assert told[-1]["audit_period"]["nova_object.data"]["audit_period_beginning"].endswith("-01T00:00:00Z")
    assert {publisher for publisher, _ in heard["instance.update"]} == {f"nova-compute:{HOST}", f"nova-api:{HOST}"}
    tagged = [p["nova_object.data"]["tags"] for publisher, p in heard["instance.update"] if publisher.startswith("nova-api")]
    assert tagged == [["blue"]]
    publisher, first = heard["compute.instance.update"][0]
    assert publisher == f"compute.{HOST}" and first["state"] == "building" and "message" not in first
    assert len(heard["compute.instance.update"]) == len(told)
    locked = heard["instance.lock"][0]
    assert locked[0] == f"nova-api:{HOST}" and locked[1]["nova_object.data"]["locked_reason"] == "lunch"
    assert heard["instance.unlock"][0][1]["nova_object.data"]["locked"] is False
    for phase in ("start", "end"):
        assert heard[f"instance.shutdown.{phase}"] and heard[f"compute.instance.shutdown.{phase}"]


def test_what_else_nova_keeps(heard):
    def data(event):
        return [payload["nova_object.data"] for _, payload in heard[event]]
    for event, name, version in (("keypair.create.start", "KeypairPayload", "1.0"), ("flavor.update", "FlavorPayload", "1.4"),
                                 ("server_group.delete", "ServerGroupPayload", "1.1"),
                                 ("aggregate.add_host.end", "AggregatePayload", "1.1"),
                                 ("service.update", "ServiceStatusPayload", "1.1")):
        payload = [p for _, p in heard[event] if "nova_object.name" in p][0]
        assert (payload["nova_object.name"], payload["nova_object.version"]) == (name, version)
    created = [p for _, p in heard["keypair.create.end"] if "nova_object.data" in p][0]["nova_object.data"]
    assert created["name"] == "k" and created["fingerprint"] and created["public_key"].startswith("ssh-rsa ")
    assert [p["key_name"] for _, p in heard["keypair.delete.end"] if "key_name" in p] == ["k"]
    assert data("flavor.create")[0]["extra_specs"] is None and data("flavor.update")[0]["extra_specs"] == {"a": "b"}
    assert len(heard["flavor.delete"]) == 1
    assert [g["rules"] for g in data("server_group.create")] == [{}, {"max_server_per_host": "3"}]
    server = heard["instance.create.end"][0][1]["nova_object.data"]["uuid"]
    assert [g["members"] for g in data("server_group.add_member")] == [[server]]
    assert heard["servergroup.addmember"][0][1]["instance_uuids"] == [server]
    assert heard["servergroup.create"][1][1]["policy"] == "anti-affinity" and "servergroup.delete" in heard
    assert data("service.update")[0]["disabled"] is True and data("service.update")[-1]["disabled"] is False
    assert heard["service.update"][0][0] == "nova-compute:fake-1"
    for word, older in (("create", "create"), ("add_host", "addhost"), ("remove_host", "removehost"), ("update_prop", "updateprop"),
                        ("update_metadata", "updatemetadata"), ("delete", "delete")):
        for phase in ("start", "end"):
            assert any("nova_object.data" in p for _, p in heard[f"aggregate.{word}.{phase}"]), word
            assert any("nova_object.data" not in p for _, p in heard[f"aggregate.{older}.{phase}"]), older
    starts, ends = ([p["nova_object.data"] for _, p in heard[f"aggregate.{w}"] if "nova_object.data" in p]
                    for w in ("add_host.start", "add_host.end"))
    assert starts[0]["hosts"] == [] and ends[0]["hosts"] == ["fake-1"] and ends[0]["metadata"] == {"availability_zone": "z"}


def test_scheduling(heard):
    for phase in ("start", "end"):
        event = heard[f"scheduler.select_destinations.{phase}"]
        older, now = ([e for e in event if ("nova_object.name" in e[1]) == versioned][0] for versioned in (False, True))
        assert older[0] == f"scheduler.{HOST}" and now[0] == f"nova-scheduler:{HOST}"
        assert (now[1]["nova_object.name"], now[1]["nova_object.version"]) == ("RequestSpecPayload", "1.1")
        data, spec = now[1]["nova_object.data"], older[1]["request_spec"]
        assert set(data) == {"availability_zone", "flavor", "force_hosts", "force_nodes", "ignore_hosts", "image", "instance_group",
                             "instance_uuid", "num_instances", "numa_topology", "pci_requests", "project_id",
                             "requested_destination", "retry", "scheduler_hints", "security_groups", "user_id"}
        assert data["flavor"]["nova_object.data"]["flavorid"] == "tiny" and data["num_instances"] == 1
        image = data["image"]["nova_object.data"]
        assert image["name"] == "i" and image["disk_format"] == "raw" and image["size"] == 512 and image["status"] == "active"
        assert image["properties"] == {"nova_object.name": "ImageMetaPropsPayload", "nova_object.namespace": "nova",
                                       "nova_object.version": "1.12", "nova_object.data": {"hw_architecture": "x86_64",
                                                                                           "hw_boot_menu": True}}
        group = data["instance_group"]["nova_object.data"]
        assert group["name"] == "home" and group["members"] == [data["instance_uuid"]]
        assert data["scheduler_hints"] == {"group": [group["uuid"]]} and data["security_groups"] == ["default"]
        assert data["availability_zone"] is None and data["retry"] is None and data["requested_destination"] is None
        assert spec["instance_properties"]["uuid"] == data["instance_uuid"] and spec["instance_properties"]["memory_mb"] == 64
        assert spec["instance_type"]["name"] == "tiny" and spec["image"]["properties"] == image["properties"]["nova_object.data"]
    # in both forms: four were asked for (one of them twice), two were found
    assert len(heard["scheduler.select_destinations.start"]) == 8 and len(heard["scheduler.select_destinations.end"]) == 4


def test_a_build_that_finds_no_host(heard):
    (publisher, payload), (_, tried) = heard["compute_task.build_instances.error"]
    assert publisher == f"nova-conductor:{HOST}" and payload["nova_object.name"] == "ComputeTaskPayload"
    data = payload["nova_object.data"]
    assert data["state"] == "error" and data["request_spec"]["nova_object.name"] == "RequestSpecPayload"
    reason = data["reason"]["nova_object.data"]
    assert reason["exception"] == "NoValidHost" and reason["exception_message"].startswith("No valid host was found.")
    request = data["request_spec"]["nova_object.data"]
    assert request["flavor"]["nova_object.data"]["name"] == "huge" and request["availability_zone"] == "nova"
    assert request["instance_uuid"] == data["instance_uuid"] and request["instance_group"] is None
    tried = tried["nova_object.data"]
    assert tried["reason"]["nova_object.data"]["exception"] == "MaxRetriesExceeded"
    assert tried["request_spec"]["nova_object.data"]["retry"]["nova_object.data"] == {"num_attempts": 2, "hosts": ["fake-1"]}
    publisher, payload = heard["compute_task.build_instances"][0]
    assert publisher == f"compute_task.{HOST}" and payload["instance_id"] == data["instance_uuid"]
    assert (payload["method"], payload["state"], payload["reason"]) == ("build_instances", "error", reason["exception_message"])
    assert payload["instance_properties"]["root_gb"] == payload["request_spec"]["instance_type"]["root_gb"] == 10**7


def test_images_fetched_ahead(heard):
    for phase in ("start", "end"):
        (publisher, payload), = heard[f"aggregate.cache_images.{phase}"]
        assert publisher == f"nova-api:{HOST}" and payload["nova_object.name"] == "AggregatePayload"
        assert payload["nova_object.data"]["hosts"] == ["fake-1"]
    (publisher, payload), = heard["aggregate.cache_images.progress"]
    assert publisher == f"nova-conductor:{HOST}" and payload["nova_object.name"] == "AggregateCachePayload"
    data = payload["nova_object.data"]
    assert (data["host"], data["index"], data["total"], data["name"]) == ("fake-1", 1, 1, "a")
    assert len(data["images_cached"] + data["images_failed"]) == 1


def test_networks(heard):
    publisher, start = heard["network.create.start"][0]
    assert publisher.startswith("network.") and start == {"network": {"name": "n"}}
    network = heard["network.create.end"][0][1]["network"]
    assert network["name"] == "n" and network["status"] == "ACTIVE"
    assert heard["network.delete.start"][0][1] == {"network_id": network["id"]}
    gone = heard["network.delete.end"][0][1]
    assert gone["network_id"] == network["id"] and gone["network"]["name"] == "n"
    assert heard["subnet.create.end"][0][1]["subnet"]["cidr"] == "10.0.0.0/24"
    assert heard["port.create.end"][0][1]["ports"][0]["network_id"] == network["id"]  # nova asks for several at once


def test_images(heard):
    publisher, created = [e for e in heard["image.create"] if e[1]["name"] == "shared"][0]
    assert publisher == "image.localhost" and created["status"] == "queued" and created["size"] is None
    assert created["properties"] == {"color": "red"} and created["visibility"] == "shared" and created["is_public"] is False
    assert created["deleted"] is False and created["deleted_at"] is None and created["created_at"].endswith("Z")

    def of(event):
        return [payload for _, payload in heard[event] if isinstance(payload, dict) and payload["id"] == created["id"]]
    assert [p["status"] for p in of("image.prepare")] == ["saving", "saving"]
    assert of("image.prepare")[0]["os_glance_failed_import"] == []
    assert len(of("image.activate")) == 1
    uploaded = of("image.upload")[0]
    assert (uploaded["status"], uploaded["size"], len(uploaded["checksum"])) == ("active", 700, 32)
    failed = [payload for _, payload in heard["image.upload"] if isinstance(payload, str)]
    assert len(failed) == 1 and failed[0].startswith(f"Failed to upload image data for image {created['id']} due to HTTP error: ")
    assert of("image.update")[-1]["tags"] == ["blue"]
    gone = of("image.delete")[0]
    assert gone["deleted"] is True and gone["deleted_at"] and gone["status"] == "deleted"
    member = heard["image.member.create"][0][1]
    assert (member["image_id"], member["member_id"], member["status"]) == (created["id"], "f" * 32, "pending")
    assert heard["image.member.delete"][0][1]["deleted"] is True


def test_identity(heard):
    publisher, event = heard["identity.user.created"][-1]
    assert publisher.startswith("identity.") and event["typeURI"] == "http://schemas.dmtf.org/cloud/audit/1.0/event"
    assert (event["eventType"], event["action"], event["outcome"]) == ("activity", "created.user", "success")
    user = event["resource_info"]
    assert event["target"] == {"id": user, "typeURI": "data/security/account/user"}
    assert event["observer"]["typeURI"] == "service/security" and event["eventTime"].endswith("+0000")
    who = event["initiator"]
    assert who["username"] == "admin" and who["user_id"] == who["id"] and who["request_id"].startswith("req-")
    assert who["host"]["address"] == "127.0.0.1" and who["host"]["agent"].startswith("python-requests") and who["project_id"]
    assert [e["resource_info"] for _, e in heard["identity.user.updated"]] == [user]
    assert heard["identity.user.deleted"][-1][1]["resource_info"] == user
    domain = heard["identity.domain.created"][-1][1]["resource_info"]
    for event in ("updated", "deleted"):
        assert heard[f"identity.domain.{event}"][-1][1]["resource_info"] == domain
    assert domain not in [e["resource_info"] for _, e in heard["identity.project.created"]]  # told as a domain only
    assert heard["identity.project.deleted"][-1][1]["resource_info"] == domain
    assert heard["identity.project tag.created"][0][1]["resource_info"] == "t"
    assert len(heard["identity.group.created"]) == 1 and len(heard["identity.group.updated"]) == 1
    assert heard["identity.role.deleted"][0][1]["resource_info"] == heard["identity.role.created"][-1][1]["resource_info"]


def test_roles_and_logins(heard):
    user = heard["identity.user.deleted"][-1][1]["resource_info"]
    given = [e for _, e in heard["identity.role_assignment.created"] if e.get("user") == user]
    assert len(given) == 1 and given[0]["action"] == "created.role_assignment" and given[0]["inherited_to_projects"] is False
    assert given[0]["project"] and given[0]["role"] and given[0]["initiator"]["username"] == "admin"
    taken = [e["outcome"] for _, e in heard["identity.role_assignment.deleted"] if e.get("user") == user]
    assert taken == ["success", "failure"]  # the second was not there
    logins = [e for _, e in heard["identity.authenticate"]]
    assert [(e["outcome"], e["initiator"]["user_id"], e["initiator"]["username"]) for e in logins] == [("failure", user, "ann")]
