# SPDX-License-Identifier: Apache-2.0
"""A cloud in separate processes whose messages fail: casts that cannot leave, messages that never come, ends of all
programs together, with their broker, and without it."""
import pathlib
import sys
import tempfile
import time

import pytest

from conftest import BIN, Cloud, FORM, PORTS

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import split  # noqa: E402
from rabbit import Rabbit, SERVER  # noqa: E402

pytestmark = pytest.mark.skipif(not pathlib.Path(SERVER).exists(), reason="RabbitMQ is not installed")
ENDS_WITHIN_S = 45  # not the 60 s of whoever waits for an answer that never comes
RESPONSE_S = 8
NOVA = f"[DEFAULT]\nlost_message_interval = 1\nrpc_response_timeout = {RESPONSE_S}\n"


def transport(cloud):
    if cloud.rabbit is None:
        return f"http://{cloud.offset}secret@127.0.0.1:{PORTS['messages'] + cloud.offset}/"
    return f"rabbit://guest:guest@127.0.0.1:{cloud.rabbit.port}/"


Apart = split.split_class(Cloud.__bases__[0] if FORM == "split" else Cloud, BIN,
                          lambda cloud, name: f"sqlite:///{cloud.state_dir}/db/{name}.db", transport)


@pytest.fixture(scope="module", params=["rabbit", "http"])
def apart(request, tmp_path_factory):
    it = Apart(tempfile.mkdtemp(prefix="nubo-test-"), fake_compute=1)
    it.rabbit = Rabbit(tmp_path_factory.mktemp("rabbit")).start() if request.param == "rabbit" else None
    it.extra = {"nova/nova.conf": NOVA}
    try:
        it.start()
        flavor = {"flavor": {"name": "f", "id": "f", "ram": 64, "vcpus": 1, "disk": 1}}
        assert it.post("compute", "/flavors", flavor).status_code == 200
        image = it.post("image", "/v2/images", {"name": "i", "disk_format": "raw", "container_format": "bare"}).json()["id"]
        octets = {"Content-Type": "application/octet-stream"}
        assert it.call("PUT", "image", f"/v2/images/{image}/file", data=b"x" * 512, headers=octets).status_code == 204
        it.image = image
        yield it
        assert it.stop() == 0, it.tail()
        assert it.reports() is None, it.reports()
    finally:
        if it.programs:
            it.kill()
        if it.rabbit is not None:
            it.rabbit.destroy()


def create(cloud, name):
    return cloud.call("POST", "compute", "/servers", {"server": {
        "name": name, "flavorRef": "f", "imageRef": cloud.image, "networks": "none"}},
        headers={"OpenStack-API-Version": "compute 2.37"})


def server_of(cloud, uuid):
    return cloud.get("compute", f"/servers/{uuid}").json()["server"]


def becomes(cloud, uuid, status):
    cloud.wait(lambda: server_of(cloud, uuid)["status"] == status and
               server_of(cloud, uuid)["OS-EXT-STS:task_state"] is None)


@pytest.fixture(scope="module")
def server(apart):
    answer = create(apart, "s")
    assert answer.status_code == 202, answer.text
    uuid = answer.json()["server"]["id"]
    becomes(apart, uuid, "ACTIVE")
    return uuid


of_the_broker = pytest.mark.parametrize("apart", ["rabbit"], indirect=True, scope="module")


@of_the_broker
def test_a_build_that_cannot_be_sent_leaves_nothing(apart, server):
    used = apart.get("compute", "/limits").json()["limits"]["absolute"]["totalInstancesUsed"]
    assert apart.stop_role("nova-conductor") == 0
    apart.rabbit.ctl("delete_queue", "conductor")
    answer = create(apart, "lost")
    assert answer.status_code == 503, answer.text
    assert [s["name"] for s in apart.get("compute", "/servers").json()["servers"]] == ["s"]
    assert apart.get("compute", "/limits").json()["limits"]["absolute"]["totalInstancesUsed"] == used
    apart.start_role("nova-conductor")
    answer = create(apart, "found")
    assert answer.status_code == 202
    becomes(apart, answer.json()["server"]["id"], "ACTIVE")


@of_the_broker
def test_an_action_that_cannot_be_sent_is_taken_back(apart, server):
    assert apart.stop_role("nova-compute") == 0
    for name in apart.rabbit.queues():
        if name.startswith("compute.fake-"):
            apart.rabbit.ctl("delete_queue", name)
    for action in ("os-stop", "pause"):
        answer = apart.post("compute", f"/servers/{server}/action", {action: None})
        assert answer.status_code == 503, answer.text
        now = server_of(apart, server)
        assert (now["status"], now["OS-EXT-STS:task_state"], now["OS-EXT-STS:vm_state"]) == ("ACTIVE", None, "active")
    answer = apart.call("DELETE", "compute", f"/servers/{server}")
    assert answer.status_code == 503, answer.text
    assert server_of(apart, server)["OS-EXT-STS:task_state"] is None
    apart.start_role("nova-compute")
    apart.wait(apart.computes_are_up)
    assert apart.post("compute", f"/servers/{server}/action", {"os-stop": None}).status_code == 202
    becomes(apart, server, "SHUTOFF")
    assert apart.post("compute", f"/servers/{server}/action", {"os-start": None}).status_code == 202
    becomes(apart, server, "ACTIVE")


@of_the_broker
def test_a_build_whose_message_is_lost_begins_again(apart, server):
    assert apart.stop_role("nova-compute") == 0  # its calls would be lost with the message
    assert apart.stop_role("nova-conductor") == 0
    answer = create(apart, "purged")
    assert answer.status_code == 202, answer.text
    apart.wait(lambda: apart.rabbit.queues()["conductor"] >= 1)
    apart.rabbit.ctl("purge_queue", "conductor")
    apart.start_role("nova-conductor")
    apart.start_role("nova-compute")
    becomes(apart, answer.json()["server"]["id"], "ACTIVE")
    assert any("of which no message came" in line for line in apart.role_log("nova-conductor"))


@of_the_broker
def test_a_question_that_is_lost_ends_in_time(apart, server):
    """nova-compute waited 60 s for the conductor, whatever rpc_response_timeout said."""
    assert apart.stop_role("nova-conductor") == 0
    assert apart.post("compute", f"/servers/{server}/action", {"os-stop": None}).status_code == 202
    apart.wait(lambda: apart.rabbit.queues()["conductor"] >= 1)
    begun = time.monotonic()
    apart.rabbit.ctl("purge_queue", "conductor")
    apart.start_role("nova-conductor")
    becomes(apart, server, "SHUTOFF")
    assert time.monotonic() - begun < 60
    assert apart.post("compute", f"/servers/{server}/action", {"os-start": None}).status_code == 202
    becomes(apart, server, "ACTIVE")


def test_a_task_whose_message_is_lost_is_done(apart, server):
    apart.execute("nova", f"UPDATE instances SET task_state = 'powering-off' WHERE uuid = '{server}'")
    becomes(apart, server, "SHUTOFF")
    apart.execute("nova", f"UPDATE instances SET task_state = 'powering-on' WHERE uuid = '{server}'")
    becomes(apart, server, "ACTIVE")


def ends(cloud):
    """Stops all programs at the same moment; role -> (seconds, status)."""
    begun, took = time.monotonic(), {}
    for program in cloud.programs.values():
        program.process.terminate()
    while len(took) < len(cloud.programs) and time.monotonic() - begun < 180:
        for role, program in cloud.programs.items():
            if role not in took and program.process.poll() is not None:
                took[role] = (round(time.monotonic() - begun, 1), program.process.returncode)
        time.sleep(0.02)
    slow = {role: program.stacks() for role, program in cloud.programs.items() if role not in took}
    for role in list(cloud.programs):
        cloud.programs.pop(role).socket.close()
    assert not slow, slow
    return took


def all_in_time(took):
    late = {role: end for role, end in took.items() if end[0] > ENDS_WITHIN_S or end[1] != 0}
    assert not late, took


def goes_on(cloud, server):
    cloud.start()
    for action, status in (("os-stop", "SHUTOFF"), ("os-start", "ACTIVE")):
        assert cloud.post("compute", f"/servers/{server}/action", {action: None}).status_code == 202
        becomes(cloud, server, status)


def test_all_end_together(apart, server):
    all_in_time(ends(apart))
    goes_on(apart, server)


def test_all_end_after_those_who_answer(apart, server):
    """Without conductor and neutron-server there is nobody to tell anything; over HTTP the hub may be among them."""
    for role in ("nova-conductor", "neutron-server"):
        apart.kill_role(role)
    time.sleep(2)  # others notice, and wait for them
    all_in_time(ends(apart))
    goes_on(apart, server)


@of_the_broker
def test_all_end_without_their_broker(apart, server):
    apart.rabbit.kill()
    time.sleep(2)
    all_in_time(ends(apart))
    apart.rabbit.start()
    goes_on(apart, server)
