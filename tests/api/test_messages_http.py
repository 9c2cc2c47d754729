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
from rabbit import Proxy, certificates  # noqa: E402

PORT = ports.claim(addresses=("127.0.0.1", "127.0.0.2"))


@pytest.fixture
def tools(tmp_path):
    made = []

    def make(url=f"http://a-shared-secret@127.0.0.1:{PORT}/", more=""):
        made.append(Tool(tmp_path, url, more))
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
    assert late["fault"]["code"] == "MessagingTimeout" and late["ms"] >= 990
    time.sleep(5)  # a hub that has just begun gives others time to register
    none = client.call("t2", "echo", server="nobody", timeout_ms=20000)
    assert "nobody serves t2 on nobody" in none["fault"]["message"] and none["ms"] < 20000


def test_killed_consumer_loses_nothing(tools):
    hub = tools().serve("hub", "h")  # the first that uses messages
    server, client = tools().serve("t4", "a", parallel=2), tools()
    assert client.cast("t4", "note", args={"ms": 20}, count=200, threads=4)["sent"] == 200
    until(lambda: len(server.got) > 20)
    server.kill()
    handled = set(server.numbers())
    again = tools().serve("t4", "a", parallel=16)
    until(lambda: handled | set(again.numbers()) == set(range(1, 201)))  # the hub sees that it hung up
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


def hub_that_changes(tools, end):
    """Casts under way and casts that wait for a server that is slow, while one hub after the other ends. Who casts and who
    serves asks it through a proxy, whose address they cannot take over."""
    hub, next_hub, proxy = tools().serve("hub", "h"), tools().serve("hub", "i"), Proxy(PORT)
    url = f"http://a-shared-secret@127.0.0.1:{proxy.port}/"
    server, client = tools(url).serve("t8", "a", parallel=4), tools(url)
    client.tell("cast", topic="t8", method="note", args={"ms": 4}, count=2000, threads=8)
    until(lambda: len(server.got) > 50)
    end(hub)
    until(lambda: "this process is the message hub" in next_hub.text())
    until(lambda: len(server.got) > 600)
    tools().serve("hub", "j")
    end(next_hub)
    done = client.result("cast")
    assert (done["sent"], done["failed"]) == (2000, 0), done
    until(lambda: set(server.numbers()) == set(range(1, 2001)))
    time.sleep(0.5)
    assert len(server.numbers()) == 2000, "a message was handled twice"
    answer = client.call("t8", "echo", args={"n": 2}, timeout_ms=15000)
    assert answer["result"] == {"n": 2}, answer
    proxy.listener.close()


def test_hubs_that_end_lose_nothing(tools):
    hub_that_changes(tools, Tool.stop)


def test_killed_hubs_lose_nothing(tools):
    hub_that_changes(tools, Tool.kill)


def test_a_hub_that_ends_hands_over_what_it_sent_itself(tools):
    """Nobody else has these messages, and nobody serves their topic when the hub ends."""
    hub, server = tools().serve("hub", "h"), tools().serve("t9", "a")
    server.stop()
    assert hub.cast("t9", "note", server="a", count=30)["sent"] == 30
    tools().serve("hub", "i")
    hub.stop()
    assert "30 messages were handed over" in hub.text()
    server = tools().serve("t9", "a")
    until(lambda: sorted(server.numbers()) == list(range(1, 31)))


def test_fanout_while_the_hub_is_killed(tools):
    hub = tools().serve("hub", "h")
    servers, client = [tools().serve("t10", name) for name in "abc"], tools()
    for i in range(60):
        client.do("fanout", topic="t10", method="note", args={"number": i})
        if i == 30:
            hub.kill()
    until(lambda: all(set(s.numbers()) == set(range(60)) for s in servers))
    assert all(len(s.numbers()) == 60 for s in servers)


def test_another_host_has_a_hub_too(tools):
    """Of two hubs one is killed and nobody takes its address over: what lay there goes by the other."""
    first = tools(f"http://a-shared-secret@127.0.0.1:{PORT}/").serve("hub", "h")
    tools(f"http://a-shared-secret@127.0.0.2:{PORT}/").serve("hub", "h")
    proxy = Proxy(PORT)  # nobody behind it can bind the address of the first hub
    url = f"http://a-shared-secret@127.0.0.1:{proxy.port},127.0.0.2:{PORT}/"
    try:
        server, client = tools(url).serve("t11", "a", parallel=2), tools(url)
        client.tell("cast", topic="t11", method="note", args={"ms": 5}, count=600, threads=4)
        until(lambda: len(server.got) > 20)
        first.kill()
        assert client.result("cast")["failed"] == 0
        until(lambda: set(server.numbers()) == set(range(1, 601)))
        assert len(server.numbers()) == 600, "a message was handled twice"
    finally:
        proxy.listener.close()


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
    until(lambda: set(server.numbers()) == set(range(1, 1001)))


def test_without_the_secret_nothing_is_told(tools):
    tools().serve("t7", "a")
    answer = requests.post(f"http://127.0.0.1:{PORT}/messages/v1/receive", timeout=120,
                           json={"session": "x", "serves": [], "wait_ms": 0})
    assert answer.status_code == 401 and answer.json() == {} and "X-Nubo-Signature" not in answer.headers
    stranger = tools(f"http://another-secret@127.0.0.1:{PORT}/")
    assert stranger.call("t7", "echo", timeout_ms=700)["fault"]["code"] == "MessagingTimeout"
    with socket.create_connection(("127.0.0.1", PORT)) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" not in s.recv(100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return certificates(tmp_path_factory.mktemp("tls"))


def tls(folder, ca="ca", own="server"):
    return f"[oslo_messaging_http]\nssl_ca_file = {folder}/{ca}.pem\n" + (
        f"ssl_cert_file = {folder}/{own}.pem\nssl_key_file = {folder}/server.key\n" if own else "")


def test_over_tls(tools, folder):
    """Calls, a consumer that is killed and a hub that is killed: as in plain."""
    url = f"https://a-shared-secret@127.0.0.1:{PORT}/"
    client = tools(f"{url}?ssl_ca_file={folder}/ca.pem")  # it has no certificate, so it is no hub
    assert client.call("t12", "echo", timeout_ms=500)["fault"]["code"] == "MessagingTimeout"
    assert "this process is the message hub" not in client.text()
    hub, next_hub = (tools(url, tls(folder)).serve("hub", name) for name in "hi")
    one, two = tools(url, tls(folder)).serve("t12", "a", parallel=2), client.serve("t12", "b", parallel=2)
    big = {"x": "x" * 50000}  # several records
    assert next_hub.call("t12", "echo", args=big)["result"] == big
    assert next_hub.cast("t12", "note", args={"ms": 10}, count=200, threads=4)["sent"] == 200
    until(lambda: len(one.got) > 10)
    one.kill()
    until(lambda: set(one.numbers()) | set(two.numbers()) == set(range(1, 201)))
    hub.kill()
    until(lambda: "this process is the message hub" in next_hub.text())
    assert next_hub.call("t12", "echo", args={"n": 2}, timeout_ms=15000)["result"] == {"n": 2}
    next_hub.kill()  # nobody is left whom it could hand anything over to


def test_hubs_whose_certificate_is_not_right_are_told_nothing(tools, folder):
    tools(f"https://a-shared-secret@127.0.0.1:{PORT}/", tls(folder)).serve("t13", "a")
    elsewhere = Proxy(PORT)  # the certificate is not about localhost, where the same hub answers
    for url, ca, why in ((f"https://a-shared-secret@127.0.0.1:{PORT}/", "other", "SSL certificate problem"),
                         (f"https://a-shared-secret@localhost:{elsewhere.port}/", "ca", "no alternative certificate subject name"),
                         (f"http://a-shared-secret@127.0.0.1:{PORT}/", "ca", "cannot be reached")):
        stranger = tools(url, tls(folder, ca, own=None))
        assert stranger.call("t13", "echo", timeout_ms=700)["fault"]["code"] == "MessagingTimeout"
        assert why in stranger.text(), stranger.text()
    right = tools(f"https://a-shared-secret@127.0.0.1:{elsewhere.port}/", tls(folder, own=None))
    assert right.call("t13", "echo", args={"n": 1})["result"] == {"n": 1}
    broken = tools(f"https://a-shared-secret@127.0.0.1:{PORT}/", tls(folder, own="client"))
    assert "client.pem and its key cannot be used" in broken.call("t13", "echo")["fault"]["message"]
    elsewhere.listener.close()
