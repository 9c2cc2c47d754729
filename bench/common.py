# SPDX-License-Identifier: Apache-2.0
"""What benches share: the load, the clocks, the ceilings, one line of the report."""
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "api"), str(ROOT / "tests" / "lib")]
sys.dont_write_bytecode = True

SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))


def wrk(url, headers=None, body=None, connections=16):
    """Requests a second and the milliseconds of CPU that the server spent on each."""
    script = ["wrk.method = %s" % json.dumps("POST" if body else "GET")]
    for name, value in (headers or {}).items():
        script.append("wrk.headers[%s] = %s" % (json.dumps(name), json.dumps(value)))
    if body:
        script.append("wrk.body = %s" % json.dumps(json.dumps(body)))
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
        f.write("\n".join(script))
        f.flush()
        out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", f.name, url],
                             capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in out, out
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))


def cpu_of(pids):
    """Seconds of CPU that these processes have used."""
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def cpu_seconds(cloud):
    """Of all processes of the cloud."""
    programs = getattr(cloud, "programs", None)
    return cpu_of([p.process.pid for p in programs.values()] if programs else [cloud.process.pid])


def profile(cloud):
    """BENCH_PERF=FILE: records where the next rate's time goes, for perf report -i FILE."""
    if os.environ.get("BENCH_PERF"):
        subprocess.Popen(["perf", "record", "-q", "-g", "-o", os.environ["BENCH_PERF"], "-p", str(cloud.process.pid), "--",
                          "sleep", "2"])


def line(what, value, unit, ceiling="", zed=""):
    print(f"{what:<52} {value:>12} {unit:<8} {ceiling:<44} {zed}", flush=True)


def measure_rate(cloud, url, headers=None, body=None):
    before = cpu_seconds(cloud)
    begin = time.time()
    rate = wrk(url, headers, body)
    cpu_us = (cpu_seconds(cloud) - before) / max(rate * (time.time() - begin), 1) * 1e6
    return rate, cpu_us


class Admin:
    """One keep-alive connection a service; quicker than requests, so that the client is not what is measured."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.token = cloud.token()
        self.connections = {}

    def call(self, method, service, path, body=None):
        if service not in self.connections:
            host = re.match(r"http://([^/]+)", self.cloud.url(service)).group(1)
            self.connections[service] = http.client.HTTPConnection(host)
        prefix = {"identity": "/v3", "compute": "/v2.1"}.get(service, "")
        headers = {"X-Auth-Token": self.token, "Content-Type": "application/json", "OpenStack-API-Version": "compute 2.90"}
        c = self.connections[service]
        c.request(method, prefix + path, json.dumps(body) if body is not None else None, headers)
        answer = c.getresponse()
        data = answer.read()
        assert answer.status < 300, (method, path, answer.status, data[:500])
        return json.loads(data) if data else None


def empty_handler(cloud):
    return measure_rate(cloud, cloud.url("identity").removesuffix("/v3") + "/v3")


def fdatasync_rate():
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as f:
        begin = time.time()
        for _ in range(200):
            os.write(f.fileno(), b"x" * 4096)
            os.fdatasync(f.fileno())
        return 200 / (time.time() - begin)
