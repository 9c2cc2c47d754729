# SPDX-License-Identifier: Apache-2.0
"""What a message costs over each transport: two processes, one that serves and one that calls or casts."""
import pathlib
import subprocess
import sys
import tempfile

from common import ROOT, line

sys.path.insert(0, str(ROOT / "tests" / "lib"))
from messages import TOOL, Tool  # noqa: E402
from rabbit import Rabbit  # noqa: E402

PORT = 24300


def show(what, client, ceiling, **more):
    def run(cast, count, threads):
        args = {"text": "x" * 200}
        done = client.do("bench", topic="b", method="echo", args=args, cast=cast, count=count, threads=threads, **more)
        assert done["failed"] == 0, done
        return done
    for name, cast in (("call", False), ("cast", True)):
        one = run(cast, 500, 1)
        many = run(cast, 5000, 32)
        line(f"{what} {name}, one after the other", f"{one['p50_us']}", "us p50", f"p99 {one['p99_us']} us {ceiling.get(name, '')}")
        line(f"{what} {name}, 32 at a time", f"{many['rate']:.0f}", "/s", f"p50 {many['p50_us']} us, p99 {many['p99_us']} us")


def ceiling_of(rabbit):
    tool = pathlib.Path(TOOL).parent / "amqp_ceiling"
    numbers = subprocess.run([tool, str(rabbit.port), "bench", "bench", "1000"], capture_output=True, text=True, check=True)
    one, one_99, confirm, confirm_99 = numbers.stdout.split()
    return {"call": f"(bare: there and consumed {one} us, p99 {one_99}; a call is two)",
            "cast": f"(bare: confirmed {confirm} us, p99 {confirm_99})"}


def bench_messages(cloud):
    """Latency and rate of call and cast: memory, HTTP, RabbitMQ."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        alone = Tool(folder, "memory://").serve("b", "a", parallel=16)
        show("memory", alone, {})
        alone.stop()
        url = f"http://bench-secret@127.0.0.1:{PORT + 5}/"
        server, client = Tool(folder, url).serve("b", "a", parallel=16), Tool(folder, url)
        show("http", client, {})
        client.stop()
        server.stop()
        rabbit = Rabbit(folder / "rabbit", PORT).start()
        try:
            rabbit.ctl("add_user", "bench", "bench")
            rabbit.ctl("set_permissions", "bench", ".*", ".*", ".*")
            for kind, more in (("quorum", ""), ("classic", "[oslo_messaging_rabbit]\nrabbit_quorum_queue = false\n")):
                url = f"rabbit://bench:bench@127.0.0.1:{PORT}/"
                if kind == "classic":
                    more = more.replace("probe", "classic")
                    rabbit.ctl("add_vhost", "classic")
                    rabbit.ctl("set_permissions", "-p", "classic", "bench", ".*", ".*", ".*")
                    url += "classic"
                server, client = Tool(folder, url, more).serve("b", "a", parallel=16), Tool(folder, url, more)
                show(f"rabbit, {kind} queues,", client, ceiling_of(rabbit) if kind == "quorum" else {})
                client.stop()
                server.stop()
        finally:
            rabbit.destroy()
