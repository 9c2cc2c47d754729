# SPDX-License-Identifier: Apache-2.0
"""Drives message_tool: one process of a cloud as far as messages see it."""
import json
import os
import pathlib
import queue
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("NUBO_BIN", ROOT / "build/src/nubo/nubo")).resolve().parent.parent.parent
TOOL = os.environ.get("NUBO_MESSAGE_TOOL") or str(BUILD / "tests/unit/message_tool")


class Tool:
    def __init__(self, folder, url, more=""):
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / f"tool-{time.monotonic_ns()}.conf"
        config.write_text(f"[DEFAULT]\ntransport_url = {url}\ncontrol_exchange = probe\n{more}\n")
        self.log = open(str(config) + ".log", "w+")
        self.process = subprocess.Popen([TOOL, str(config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                        text=True)
        self.done = queue.Queue()
        self.got = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.result("start")

    def read(self):
        for line in self.process.stdout:
            if not line.endswith("\n"):
                return  # it was killed in the middle of it
            line = json.loads(line)
            (self.got.append if "got" in line else self.done.put)(line)

    def tell(self, do, **arguments):
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()

    def result(self, do, timeout=600):
        try:
            line = self.done.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"{do}: {self.text()}") from None
        assert line["done"] == do, line
        return line

    def do(self, do, **arguments):
        self.tell(do, **arguments)
        return self.result(do)

    def serve(self, topic, server, **more):
        self.do("serve", topic=topic, server=server, **more)
        return self

    def call(self, topic, method, server=None, args=None, **more):
        return self.do("call", topic=topic, server=server, method=method, args=args or {}, **more)

    def cast(self, topic, method, server=None, args=None, **more):
        return self.do("cast", topic=topic, server=server, method=method, args=args or {}, **more)

    def numbers(self):
        return [line["got"]["number"] for line in list(self.got)]

    def text(self):
        self.log.flush()
        return pathlib.Path(self.log.name).read_text()

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(120) == 0, self.text()
        assert "Sanitizer" not in self.text(), self.text()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()  # all that it has said is heard


def until(what, seconds=300):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about in time")
