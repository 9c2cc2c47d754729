# SPDX-License-Identifier: Apache-2.0
"""What a message costs over each transport: two processes, one that serves and one that calls or casts."""
import pathlib
import subprocess
import sys
import tempfile

from common import ROOT, line

sys.path.insert(0, str(ROOT / "tests" / "lib"))
import ports  # noqa: E402
import rabbit  # noqa: E402
from messages import TOOL, Tool  # noqa: E402



def show(what, client, ceiling, many_of=4000, **more):
    def run(cast, count, threads):
        args = {"text": "x" * 200}
        done = client.do("bench", topic="b", method="echo", args=args, cast=cast, count=count, threads=threads, **more)
        assert done["failed"] == 0, done
        return done
    for name, cast in (("call", False), ("cast", True)):
        one = run(cast, many_of // 10, 1)
        many = run(cast, many_of, 32)
        line(f"{what} {name}, one after the other", f"{one['p50_us']}", "us p50", f"p99 {one['p99_us']} us {ceiling.get(name, '')}")
        line(f"{what} {name}, 32 at a time", f"{many['rate']:.0f}", "/s", f"p50 {many['p50_us']} us, p99 {many['p99_us']} us")


def ceiling_of(broker, kind):
    """Measured now, beside the figures that it is compared with: the machine is never the same twice."""
    tool = pathlib.Path(TOOL).parent / "amqp_ceiling"
    numbers = subprocess.run([tool, str(broker.port), "bench", "bench", kind, kind, "200"],
                             capture_output=True, text=True, check=True)
    one, one_99, confirm, confirm_99 = numbers.stdout.split()
    return {"call": f"(bare: there and consumed {one} us, p99 {one_99}; a call is two)",
            "cast": f"(bare: confirmed {confirm} us, p99 {confirm_99})"}


def over_rabbit(folder, broker, kind):
    more = f"[oslo_messaging_rabbit]\nrabbit_quorum_queue = {str(kind == 'quorum').lower()}\namqp_durable_queues = true\n"
    broker.ctl("add_vhost", kind)
    broker.ctl("set_permissions", "-p", kind, "bench", ".*", ".*", ".*")
    url = f"rabbit://bench:bench@127.0.0.1:{broker.port}/{kind}"
    server, client = Tool(folder, url, more).serve("b", "a", parallel=16), Tool(folder, url, more)
    try:
        client.do("bench", topic="b", method="echo", args={}, cast=False, count=50, threads=1)  # connections and queues are there
        show(f"rabbit, {kind} queues,", client, ceiling_of(broker, kind), many_of=2000)
    finally:
        client.stop()
        server.stop()


def bench_messages(cloud=None):
    """Latency and rate of call and cast: memory, HTTP, RabbitMQ. No cloud is needed."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        alone = Tool(folder, "memory://").serve("b", "a", parallel=16)
        show("memory", alone, {})
        alone.stop()
        url = f"http://bench-secret@127.0.0.1:{ports.claim()}/"
        server, client = Tool(folder, url).serve("b", "a", parallel=16), Tool(folder, url)
        show("http", client, {})
        client.stop()
        server.stop()
        broker = rabbit.Rabbit(folder / "rabbit").start()
        try:
            broker.ctl("add_user", "bench", "bench")
            for kind in ("quorum", "classic"):
                over_rabbit(folder, broker, kind)
        finally:
            broker.destroy()


bench_messages.alone = True
