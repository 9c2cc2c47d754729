# SPDX-License-Identifier: Apache-2.0
"""Every step of nova's flows is killed once right before it and once right after it, fails once, and every undo is killed
right before and right after it, on simulated hosts.

After the restart the server is ACTIVE, or ERROR with a fault, or gone; deleting it leaves no port, no allocation and no flow.
NUBO_TEST_KILLS=some takes every seventh of them, for a form that has all its roles to start again each time.
"""
import os
import subprocess
import time

import pytest

from conftest import BIN, Cloud

EVERY = 7 if os.environ.get("NUBO_TEST_KILLS") == "some" else 1
HEADERS = {"OpenStack-API-Version": "compute 2.95"}


def steps():
    """(flow, step, whether it has an undo) of every step, from the program's own tables."""
    text = subprocess.run([BIN, "flows"], capture_output=True, text=True, timeout=120).stdout
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    return [(flow, step, undo == "yes") for service, flow, step, undo in rows if service == "nova"]


def points():
    return [f"{flow}:{step}:{when}" for flow, step, _ in steps() for when in ("before", "after")]


def undo_points():
    """Where the flow fails (its last step: all of it is undone then), and where the undo is killed."""
    last = {flow: step for flow, step, _ in steps()}
    return [(f"{flow}:{last[flow]}", f"{flow}:{step}:undo-{when}") for flow, step, undo in steps() if undo
            for when in ("before", "after")]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cloud that was set up and is down, with what a server needs."""
    cloud = Cloud(tmp_path_factory.mktemp("kill") / "state", fake_compute=2).start()
    network = cloud.post("network", "/v2.0/networks", {"network": {"name": "n"}}).json()["network"]["id"]
    subnet = {"network_id": network, "cidr": "10.0.0.0/24", "ip_version": 4}
    assert cloud.post("network", "/v2.0/subnets", {"subnet": subnet}).status_code == 201
    image = cloud.post("image", "/v2/images", {"name": "i", "disk_format": "raw", "container_format": "bare"}).json()["id"]
    answer = cloud.call("PUT", "image", f"/v2/images/{image}/file", data=b"x" * 512,
                        headers={"Content-Type": "application/octet-stream"})
    assert answer.status_code == 204
    flavor = {"flavor": {"name": "tiny", "vcpus": 1, "ram": 64, "disk": 1, "id": "kill-test"}}
    assert cloud.post("compute", "/flavors", flavor).status_code == 200
    assert cloud.stop() == 0
    yield cloud, {"name": "s", "imageRef": image, "flavorRef": "kill-test", "networks": [{"uuid": network}]}
    if cloud.process.poll() is None:
        cloud.stop()
    assert cloud.reports() is None


def server(cloud, uuid):
    answer = cloud.get("compute", f"/servers/{uuid}", headers=HEADERS)
    if answer.status_code == 404:
        return None
    assert answer.status_code == 200, answer.text
    return answer.json()["server"]


def until(what, seconds=180):
    deadline = time.time() + seconds
    while time.time() < deadline:
        if what():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def settled(cloud, uuid):
    now = server(cloud, uuid)
    if now is None or now["status"] == "ACTIVE":
        return True
    if now["status"] == "ERROR":
        assert now["fault"]["message"]
        return True
    return False


def create(cloud, body):
    """The server's UUID; None when the process died before it answered."""
    try:
        answer = cloud.post("compute", "/servers", {"server": body}, headers=HEADERS)
    except OSError:
        return None
    assert answer.status_code == 202, answer.text
    return answer.json()["server"]["id"]


def servers(cloud):
    return [one["id"] for one in cloud.get("compute", "/servers", headers=HEADERS).json()["servers"]]


def flows(cloud):
    found = []
    for name in ("nova", "nova-compute"):
        found += cloud.query(name, "SELECT type, object_key, step FROM flows")
    return found


def leftovers(cloud, uuids):
    ports = [p["id"] for p in cloud.get("network", "/v2.0/ports").json()["ports"] if p["device_id"] in uuids]
    allocations = [u for u in uuids if cloud.get("placement", f"/allocations/{u}").json()["allocations"]]
    return ports + allocations + flows(cloud)


@pytest.mark.parametrize("point", points()[::EVERY])
def test_killed(place, point):
    run_killed(*place, {"NUBO_FLOW_KILL": point}, point.startswith("terminate_instance:"))


@pytest.mark.parametrize("fail, point", undo_points()[::EVERY])
def test_undo_killed(place, fail, point):
    run_killed(*place, {"NUBO_FLOW_FAIL": fail, "NUBO_FLOW_KILL": point}, False)


@pytest.mark.parametrize("point", [f"{flow}:{step}" for flow, step, _ in steps()][::EVERY])
def test_failed(place, point):
    """The flow turns back at the step; what is left is an ERROR with its reason, and a second try ends it."""
    cloud, body = place
    cloud.start(env={"NUBO_FLOW_FAIL": point})
    uuid = create(cloud, body)
    until(lambda: settled(cloud, uuid))
    if point.startswith("terminate_instance:"):
        cloud.call("DELETE", "compute", f"/servers/{uuid}", headers=HEADERS)
        until(lambda: not flows(cloud))
    elif (now := server(cloud, uuid)) is not None and now["status"] == "ERROR":
        until(lambda: not leftovers(cloud, [uuid]))
    assert cloud.stop() == 0
    cloud.start()
    again = cloud.call("DELETE", "compute", f"/servers/{uuid}", headers=HEADERS).status_code
    assert again in (204, 404), again  # 404: a flow that the stop had cut short has ended it meanwhile
    until(lambda: server(cloud, uuid) is None)
    until(lambda: not leftovers(cloud, [uuid]))
    assert cloud.stop() == 0


def run_killed(cloud, body, env, ending):
    cloud.start(env=env)
    create(cloud, body)
    if ending:
        uuid = servers(cloud)[0]
        until(lambda: settled(cloud, uuid))
        try:
            cloud.call("DELETE", "compute", f"/servers/{uuid}", headers=HEADERS)
        except OSError:
            pass
    assert cloud.process.wait(120) == -9
    (cloud.state_dir / "run" / "ready").unlink(missing_ok=True)
    cloud.start()
    left = servers(cloud)
    uuids = left[:]
    for uuid in left:
        if ending:
            until(lambda: server(cloud, uuid) is None)
        until(lambda: settled(cloud, uuid))
    for uuid in servers(cloud):
        assert cloud.call("DELETE", "compute", f"/servers/{uuid}", headers=HEADERS).status_code == 204
        until(lambda: server(cloud, uuid) is None)
    until(lambda: not leftovers(cloud, uuids))
    assert cloud.stop() == 0
