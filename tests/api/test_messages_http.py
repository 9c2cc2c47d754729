# SPDX-License-Identifier: Apache-2.0
"""Messages over HTTP between processes, without a broker."""
import pathlib
import socket
import sys
import time

import pytest
import requests

import ports

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from messages import Tool, until  # noqa: E402
from rabbit import Proxy  # noqa: E402

PORT = ports.claim()


@pytest.fixture
def tools(tmp_path):
    made = []

    def make(url=f"http://a-shared-secret@127.0.0.1:{PORT}/"):
        made.append(Tool(tmp_path, url))
        return made[-1]
    yield make
    for tool in reversed(made):  # the first is the hub
        if tool.process.poll() is None:
            tool.stop()


def test_call_cast_fanout_and_faults(tools):
    tools().serve("hub", "h")
    one, two, client = tools().serve("t1", "a"), tools().serve("t1", "b"), tools()
    assert client.call("t1", "echo", args={"x": [1, "ü", None]})["result"] == {"x": [1, "ü", None]}
    assert client.call("t1", "slow", server="b")["result"] == "b"
    assert {client.call("t1", "slow")["result"] for _ in range(20)} <= {"a", "b"}
    fault = client.call("t1", "fail", args={"status": 409, "code": "Conflict", "message": "no: ü"})["fault"]
    assert (fault["status"], fault["code"], fault["message"]) == (409, "Conflict", "no: ü")
    client.do("fanout", topic="t1", method="note", args={"number": 7})
    until(lambda: one.numbers() == [7] and two.numbers() == [7])
    assert one.got[0]["user_id"] == "alice" and one.got[0]["token"] == "secret"


def test_deadlines_and_nobody(tools):
    tools().serve("t2", "a")
    client = tools()
    late = client.call("t2", "slow", args={"ms": 3000}, timeout_ms=1000)
    assert late["fault"]["code"] == "MessagingTimeout" and 990 <= late["ms"] < 1500
    time.sleep(5)  # a hub that has just begun gives others time to register
    none = client.call("t2", "echo", server="nobody", timeout_ms=20000)
    assert "nobody serves t2 on nobody" in none["fault"]["message"] and none["ms"] < 1000


def test_killed_consumer_loses_nothing(tools):
    hub = tools().serve("hub", "h")  # the first that uses messages
    server, client = tools().serve("t4", "a", parallel=2), tools()
    assert client.cast("t4", "note", args={"ms": 20}, count=200, threads=4)["sent"] == 200
    until(lambda: len(server.got) > 20)
    server.kill()
    handled = set(server.numbers())
    again = tools().serve("t4", "a", parallel=16)
    until(lambda: handled | set(again.numbers()) == set(range(1, 201)), 60)
    assert hub.process.poll() is None


def test_another_process_becomes_the_hub(tools):
    hub = tools().serve("hub", "h")  # the first that uses messages
    server, client = tools().serve("t5", "a"), tools()
    assert client.call("t5", "echo", args={"n": 1})["result"] == {"n": 1}
    hub.kill()
    answer = client.call("t5", "echo", args={"n": 2}, timeout_ms=15000)
    assert answer["result"] == {"n": 2}, answer
    client.tell("cast", topic="t5", method="note", args={}, count=50)
    assert client.result("cast")["sent"] == 50
    until(lambda: set(server.numbers()) == set(range(1, 51)))


def test_cut_connections_lose_nothing(tools):
    tools().serve("hub", "h")
    proxy = Proxy(PORT)
    url = f"http://a-shared-secret@127.0.0.1:{proxy.port}/"
    server, client = tools(url).serve("t6", "a", parallel=8), tools(url)
    client.tell("cast", topic="t6", method="note", args={"ms": 2}, count=1000, threads=8)
    for _ in range(4):
        time.sleep(0.3)
        proxy.cut()
    assert client.result("cast")["failed"] == 0
    until(lambda: set(server.numbers()) == set(range(1, 1001)), 60)


def test_without_the_secret_nothing_is_told(tools):
    tools().serve("t7", "a")
    answer = requests.post(f"http://127.0.0.1:{PORT}/messages/v1/receive", timeout=10,
                           json={"session": "x", "serves": [], "wait_ms": 0})
    assert answer.status_code == 401 and answer.json() == {} and "X-Nubo-Signature" not in answer.headers
    stranger = tools(f"http://another-secret@127.0.0.1:{PORT}/")
    assert stranger.call("t7", "echo", timeout_ms=700)["fault"]["code"] == "MessagingTimeout"
    with socket.create_connection(("127.0.0.1", PORT)) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" not in s.recv(100)
