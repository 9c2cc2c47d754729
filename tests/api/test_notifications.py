# SPDX-License-Identifier: Apache-2.0
"""Notifications of a whole cloud over RabbitMQ, heard by real oslo.messaging: nova's two forms, neutron's."""
import json
import pathlib
import subprocess
import sys
import textwrap
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from conftest import Cloud  # noqa: E402
from messages import until  # noqa: E402
from rabbit import PORT, Rabbit, SERVER  # noqa: E402

pytestmark = pytest.mark.skipif(not pathlib.Path(SERVER).exists(), reason="RabbitMQ is not installed")
URL = f"rabbit://nova:secret@127.0.0.1:{PORT + 50}/"
LISTENER = """
    import json, sys
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
            print(json.dumps([publisher_id, event_type, payload]), flush=True)
    targets = [oslo_messaging.Target(topic=t, exchange=e) for t, e in
               (("notifications", "nova"), ("versioned_notifications", "nova"), ("notifications", "neutron"))]
    server = oslo_messaging.get_notification_listener(transport, targets, [Endpoint()], executor="threading")
    server.start()
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """What was heard of a server's and a network's life: event type -> payload."""
    rabbit = Rabbit(tmp_path_factory.mktemp("rabbit"), PORT + 50).start()
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
                publisher, event, payload = json.loads(line)
                events.setdefault(event, []).append((publisher, payload))
        threading.Thread(target=read, daemon=True).start()
        patch.setenv("OS_DEFAULT__TRANSPORT_URL", URL)
        patch.setenv("OS_OSLO_MESSAGING_NOTIFICATIONS__DRIVER", "messagingv2")
        patch.setenv("OS_NOTIFICATIONS__NOTIFICATION_FORMAT", "both")
        cloud = Cloud(tmp_path_factory.mktemp("notify") / "state", fake_compute=1).start()
        try:
            live(cloud)
            until(lambda: "network.delete.end" in events and "instance.delete.end" in events)
        finally:
            assert cloud.stop() == 0
        listener.communicate("", timeout=30)
    finally:
        patch.undo()
        rabbit.destroy()
    return events


def live(cloud):
    network = cloud.post("network", "/v2.0/networks", {"network": {"name": "n"}}).json()["network"]["id"]
    subnet = {"network_id": network, "cidr": "10.0.0.0/24", "ip_version": 4}
    assert cloud.post("network", "/v2.0/subnets", {"subnet": subnet}).status_code == 201
    image = cloud.post("image", "/v2/images", {"name": "i", "disk_format": "raw", "container_format": "bare"}).json()["id"]
    cloud.call("PUT", "image", f"/v2/images/{image}/file", data=b"x" * 512, headers={"Content-Type": "application/octet-stream"})
    cloud.post("compute", "/flavors", {"flavor": {"name": "tiny", "vcpus": 1, "ram": 64, "disk": 1, "id": "tiny"}})
    server = {"name": "s", "imageRef": image, "flavorRef": "tiny", "networks": [{"uuid": network}], "metadata": {"k": "v"}}
    uuid = cloud.post("compute", "/servers", {"server": server}).json()["server"]["id"]

    def status():
        return cloud.get("compute", f"/servers/{uuid}").json().get("server", {}).get("status")
    until(lambda: status() == "ACTIVE")
    assert cloud.post("compute", f"/servers/{uuid}/action", {"os-stop": None}).status_code == 202
    until(lambda: status() == "SHUTOFF")
    assert cloud.call("DELETE", "compute", f"/servers/{uuid}").status_code == 204
    until(lambda: status() is None)
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
