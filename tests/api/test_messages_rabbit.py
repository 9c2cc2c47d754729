# SPDX-License-Identifier: Apache-2.0
"""Messages over a real RabbitMQ: what is lost when the broker, a connection or a process goes away (nothing), and real
oslo.messaging on the other end."""
import json
import pathlib
import sys
import textwrap
import subprocess
import time

import pytest

import ports

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from messages import Tool, until  # noqa: E402
from rabbit import Proxy, Rabbit, SERVER, certificates  # noqa: E402

pytestmark = pytest.mark.skipif(not pathlib.Path(SERVER).exists(), reason="RabbitMQ is not installed")

PORT, TLS_PORT = ports.claim(3), ports.claim()
FAST = "[oslo_messaging_rabbit]\nrabbit_retry_backoff = 0\nkombu_reconnect_delay = 0.1\n"


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory):
    broker = Rabbit(tmp_path_factory.mktemp("rabbit"), PORT).start()
    broker.ctl("add_user", "nova", "p@ss:word")
    broker.ctl("set_permissions", "nova", ".*", ".*", ".*")
    yield broker
    broker.destroy()


@pytest.fixture(scope="module")
def proxy(rabbit):
    return Proxy(PORT)


@pytest.fixture
def tools(rabbit, tmp_path):
    """tools(port=, more=): a new process; all are ended with the test."""
    made = []

    def make(port=PORT, more="", hosts=None):
        where = hosts or f"127.0.0.1:{port}"
        made.append(Tool(tmp_path, f"rabbit://nova:p%40ss%3Aword@{where}/", FAST + more))
        return made[-1]
    yield make
    for tool in made:
        if tool.process.poll() is None:
            tool.stop()


def test_call_cast_fanout_and_faults(tools):
    one, two, client = tools().serve("t1", "a"), tools().serve("t1", "b"), tools()
    assert client.call("t1", "echo", args={"x": [1, "ü", None]})["result"] == {"x": [1, "ü", None]}
    assert client.call("t1", "slow", server="b")["result"] == "b"
    seen = set()
    until(lambda: seen.add(client.call("t1", "slow")["result"]) or seen == {"a", "b"})
    fault = client.call("t1", "fail", args={"status": 409, "code": "Conflict", "message": "no: ü"})["fault"]
    assert (fault["status"], fault["code"], fault["message"]) == (409, "Conflict", "no: ü")
    assert client.call("t1", "absent")["fault"]["code"] == "NoSuchMethod"
    assert client.call("t1", "echo", version="2.0")["fault"]["code"] == "UnsupportedVersion"
    assert client.call("t1", "newer", version="1.4")["fault"]["code"] == "UnsupportedVersion"
    assert client.call("t1", "newer", version="1.6", args={"v": 1})["result"] == {"v": 1}
    client.do("fanout", topic="t1", method="note", args={"number": 7})
    until(lambda: one.numbers() == [7] and two.numbers() == [7])
    assert one.got[0]["user_id"] == "alice" and one.got[0]["token"] == "secret"
    assert one.got[0]["request_id"].startswith("req-")


def test_deadlines_and_nobody(tools):
    tools().serve("t2", "a")
    client = tools()
    late = client.call("t2", "slow", args={"ms": 3000}, timeout_ms=1000)  # an answer that comes later is none
    assert late["fault"]["code"] == "MessagingTimeout" and late["fault"]["status"] == 504 and late["ms"] >= 990
    none = client.call("t2", "echo", server="nobody", timeout_ms=20000)
    assert none["fault"]["code"] == "MessagingTimeout" and "nobody serves t2 on nobody" in none["fault"]["message"]
    assert none["ms"] < 20000
    assert client.cast("t2", "note", server="nobody")["failed"] == 1


def test_messages_wait_for_a_server_that_is_away(tools):
    server, client = tools().serve("t3", "a"), tools()
    server.stop()
    assert client.cast("t3", "note", server="a", count=20)["sent"] == 20
    again = tools().serve("t3", "a")
    until(lambda: sorted(again.numbers()) == list(range(1, 21)))


def test_killed_consumer_loses_nothing(tools):
    server, client = tools().serve("t4", "a", parallel=2), tools()
    assert client.cast("t4", "note", args={"ms": 20}, count=200, threads=4)["sent"] == 200
    until(lambda: len(server.got) > 20)
    server.kill()
    handled = set(server.numbers())
    again = tools().serve("t4", "a", parallel=16)
    until(lambda: handled | set(again.numbers()) == set(range(1, 201)))
    assert len(again.got) <= 200 - len(handled) + 2  # what was under way runs a second time, nothing else


def test_broker_restart_loses_nothing(tools, rabbit):
    server, client = tools().serve("t5", "a"), tools()
    assert client.cast("t5", "note", count=50)["sent"] == 50
    client.tell("cast", topic="t5", method="note", args={"ms": 1}, count=2000, threads=8)
    time.sleep(0.3)
    rabbit.stop()
    rabbit.start()
    done = client.result("cast")
    assert done["failed"] == 0, done
    until(lambda: set(server.numbers()) == set(range(1, 2001)))
    answer = client.call("t5", "echo", args={"back": True})
    assert answer["result"] == {"back": True}, answer


def test_broker_away_fails_at_the_deadline_and_resumes(tools, rabbit):
    server, client = tools().serve("t6", "a"), tools()
    rabbit.stop()
    away = client.call("t6", "echo", timeout_ms=1500)
    assert away["fault"]["code"] == "MessagingTimeout" and away["ms"] >= 1490
    assert "RabbitMQ" in away["fault"]["text"]
    rabbit.start()
    until(lambda: "result" in client.call("t6", "echo", timeout_ms=5000))
    server.stop()


def test_cut_connections_lose_nothing_and_repeat_nothing(tools, proxy):
    server, client = tools(proxy.port).serve("t7", "a", parallel=8), tools(proxy.port)
    client.tell("cast", topic="t7", method="note", args={"ms": 2}, count=1500, threads=8)
    for _ in range(4):
        time.sleep(0.25)
        proxy.cut()
    assert client.result("cast")["failed"] == 0
    until(lambda: set(server.numbers()) == set(range(1, 1501)))
    time.sleep(0.5)
    assert len(server.numbers()) == 1500, "a message was handled twice"


def test_failover_to_the_next_host(tools, proxy):
    server, client = tools().serve("t8", "a"), tools(hosts=f"127.0.0.1:{ports.claim()},nova:p%40ss%3Aword@127.0.0.1:{proxy.port}")
    assert client.call("t8", "echo", args={"n": 1})["result"] == {"n": 1}
    server.stop()


def test_full_queue_waits_and_fails_at_the_deadline(tools, rabbit):
    rabbit.ctl("set_policy", "full", "^t9", json.dumps({"max-length": 5, "overflow": "reject-publish"}), "--apply-to", "queues")
    server, client = tools().serve("t9", "a"), tools()
    server.stop()
    done = client.do("call", topic="t9", server="a", method="echo", args={}, timeout_ms=700)  # lies there: nobody answers
    assert done["fault"]["code"] == "MessagingTimeout"
    client.tell("cast", topic="t9", server="a", method="note", args={}, count=40, threads=4)
    time.sleep(2)
    again = tools().serve("t9", "a")
    done = client.result("cast")
    assert done["failed"] == 0, done
    until(lambda: set(again.numbers()) == set(range(1, 41)))
    rabbit.ctl("clear_policy", "full")


def test_memory_alarm_holds_messages_back(tools, rabbit):
    server, client = tools().serve("t10", "a"), tools()
    assert client.cast("t10", "note")["sent"] == 1
    rabbit.ctl("set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        def blocked():
            """The alarm is told to whoever publishes."""
            fault = client.call("t10", "echo", timeout_ms=1000).get("fault")
            return fault is not None and fault["code"] == "MessagingTimeout" and "alarm" in fault["text"]
        until(blocked)
        client.tell("cast", topic="t10", method="note", args={}, count=10)
        time.sleep(0.5)
    finally:
        rabbit.ctl("set_vm_memory_high_watermark", "absolute", "512MB")
    assert client.result("cast")["sent"] == 10
    until(lambda: set(server.numbers()) == set(range(1, 11)))


def test_one_reply_queue_a_process(tools, rabbit):
    before = {q for q in rabbit.queues() if q.startswith("reply_")}
    tools().serve("t11", "a")
    client = tools()
    for _ in range(5):
        client.call("t11", "echo")
    assert len({q for q in rabbit.queues() if q.startswith("reply_")} - before) == 2  # the server's, the client's


# ---- real oslo.messaging ----

OSLO = """
    import sys
    import oslo_messaging
    from oslo_config import cfg
    conf = cfg.CONF
    conf([])
    url = sys.argv[1]
    transport = oslo_messaging.get_rpc_transport(conf, url)
    conf.set_override("control_exchange", "probe")
    conf.set_override("rabbit_quorum_queue", True, group="oslo_messaging_rabbit")
    transport = oslo_messaging.get_rpc_transport(conf, url)
"""
URL = f"rabbit://nova:p%40ss%3Aword@127.0.0.1:{PORT}/"


def oslo(program, **popen):
    text = textwrap.dedent(OSLO) + textwrap.dedent(program)
    return subprocess.Popen(["/usr/bin/python3", "-W", "ignore", "-c", text, URL], stdout=subprocess.PIPE, text=True, **popen)


def test_oslo_messaging_calls_us(tools):
    server = tools(more="amqp_durable_queues = true\n").serve("t12", "a")
    client = oslo("""
        import json
        target = oslo_messaging.Target(topic="t12", version="1.0")
        client = oslo_messaging.get_rpc_client(transport, target, timeout=120)
        context = {"user_id": "bob", "project_id": "p", "request_id": "req-1", "auth_token": "tok", "roles": ["member"]}
        print(json.dumps(client.call(context, "echo", x=1, y="ü")))
        client.prepare(server="a").cast(context, "note", number=3)
        client.prepare(fanout=True).cast(context, "note", number=4)
        slow = client.prepare(call_monitor_timeout=6, timeout=120)
        print(json.dumps(slow.call(context, "slow", ms=8000)))
        try:
            client.call(context, "fail", status=404, code="InstanceNotFound", message="gone")
        except oslo_messaging.RemoteError as e:
            print(json.dumps([e.exc_type, e.value]))
        try:
            client.call(context, "absent")
        except oslo_messaging.RemoteError as e:
            print(json.dumps(e.exc_type))
        try:
            client.prepare(version="3.0").call(context, "echo")
        except oslo_messaging.RemoteError as e:
            print(json.dumps(e.exc_type))
        """)
    lines = [json.loads(line) for line in client.communicate(timeout=600)[0].splitlines()]
    assert lines == [{"x": 1, "y": "ü"}, "a", ["InstanceNotFound", "gone"], "NoSuchMethod", "UnsupportedVersion"]
    until(lambda: sorted(server.numbers()) == [3, 4])
    assert server.got[0]["user_id"] == "bob" and server.got[0]["token"] == "tok" and server.got[0]["request_id"] == "req-1"


def test_we_call_oslo_messaging(tools):
    server = oslo("""
        class Endpoint:
            target = oslo_messaging.Target(version="1.3")
            def echo(self, ctxt, **args):
                return dict(args, user=ctxt["user_id"], request=ctxt["request_id"], roles=ctxt["roles"])
            def fail(self, ctxt, **args):
                raise ValueError("it is broken")
            def note(self, ctxt, number):
                print("note", number, flush=True)
        server = oslo_messaging.get_rpc_server(transport, oslo_messaging.Target(topic="t13", server="py"), [Endpoint()],
                                               executor="threading")
        server.start()
        print("ready", flush=True)
        sys.stdin.read()
        server.stop()
        server.wait()
        """, stdin=subprocess.PIPE)
    assert server.stdout.readline() == "ready\n"
    client = tools()
    result = client.call("t13", "echo", args={"x": "ü"}, version="1.2")["result"]
    assert result["x"] == "ü" and result["user"] == "alice" and result["roles"] == ["member"]
    assert result["request"].startswith("req-")
    fault = client.call("t13", "fail")["fault"]
    assert (fault["status"], fault["code"], fault["message"]) == (500, "ValueError", "it is broken")
    assert client.call("t13", "absent")["fault"]["code"] == "NoSuchMethod"
    assert client.call("t13", "echo", version="1.4")["fault"]["code"] == "UnsupportedVersion"
    assert client.cast("t13", "note", server="py")["sent"] == 1
    assert server.stdout.readline() == "note 1\n"
    client.do("fanout", topic="t13", method="note", args={"number": 9})
    assert server.stdout.readline() == "note 9\n"
    server.communicate("", timeout=120)


def test_notifications_are_heard_by_oslo_messaging(tools):
    listener = oslo("""
        class Endpoint:
            def info(self, ctxt, publisher_id, event_type, payload, metadata):
                import json
                print(json.dumps([publisher_id, event_type, payload, ctxt.get("user_id"), sorted(metadata)]), flush=True)
        transport = oslo_messaging.get_notification_transport(conf, url)
        target = oslo_messaging.Target(topic="notifications", exchange="probe")
        server = oslo_messaging.get_notification_listener(transport, [target], [Endpoint()], executor="threading")
        server.start()
        print("ready", flush=True)
        sys.stdin.read()
        """, stdin=subprocess.PIPE)
    assert listener.stdout.readline() == "ready\n"
    tool = tools(more="[oslo_messaging_notifications]\ndriver = messagingv2\n")
    tool.do("notify", publisher_id="probe.host", event_type="thing.create.end", payload={"id": 5})
    heard = json.loads(listener.stdout.readline())
    assert heard == ["probe.host", "thing.create.end", {"id": 5}, "alice", ["message_id", "timestamp"]]
    listener.communicate("", timeout=120)


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory):
    """A broker that speaks TLS on TLS_PORT, and asks its clients for certificates of its CA."""
    folder = certificates(tmp_path_factory.mktemp("tls"))
    broker = Rabbit(tmp_path_factory.mktemp("rabbit"), more=(
        f"listeners.ssl.default = 127.0.0.1:{TLS_PORT}\nssl_options.cacertfile = {folder}/ca.pem\n"
        f"ssl_options.certfile = {folder}/server.pem\nssl_options.keyfile = {folder}/server.key\n"
        "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n")).start()
    broker.ctl("add_user", "nova", "secret")
    broker.ctl("set_permissions", "nova", ".*", ".*", ".*")
    yield folder
    broker.destroy()


def test_over_tls(encrypted, tmp_path):
    made = []

    def tool(query="", more=""):
        made.append(Tool(tmp_path, f"rabbit://nova:secret@127.0.0.1:{TLS_PORT}/{query}", FAST + more))
        return made[-1]

    def settings(ca="ca", own="client"):
        return f"ssl_ca_file = {encrypted}/{ca}.pem\nssl_cert_file = {encrypted}/{own}.pem\nssl_key_file = {encrypted}/{own}.key\n"
    try:
        tool(more="ssl = true\n" + settings()).serve("t", "a")
        words = "&".join(line.replace(" = ", "=") for line in settings().splitlines())
        client = tool(query=f"?ssl=1&{words}")  # all of it in the URL
        assert client.call("t", "echo", args={"x": 1})["result"] == {"x": 1}
        older = tool(more="ssl = true\nssl_version = TLSv1_2\n" + settings())
        assert older.call("t", "echo", args={"x": 2})["result"] == {"x": 2}
        stranger = tool(more="ssl = true\n" + settings(ca="other"))  # the broker's certificate is another CA's
        for refused, why in ((stranger, "ssl peer cert verification failed"),
                             (tool(query="?ssl=1"), ""),  # no certificate of our own, which this broker asks for
                             (tool(), "")):  # no TLS at all
            answer = refused.call("t", "echo", timeout_ms=4000)
            assert answer["fault"]["code"] == "MessagingTimeout" and answer["ms"] >= 3990, answer
            assert why in refused.text().lower(), refused.text()
    finally:
        for each in made:
            each.stop()
