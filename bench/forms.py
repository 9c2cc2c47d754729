# SPDX-License-Identifier: Apache-2.0
"""The same work by the same cloud in three forms: one process on SQLite; each role its own process on MariaDB, RabbitMQ and
memcached; the same with two of each API behind haproxy. CPU is that of nubo's processes; that of the engines stands apart."""
import tempfile

import common
import conftest
from cloud import bench_ports, bench_servers, bench_token_validation
from parts import Parts


def cpu(parts):
    """Seconds of CPU by engine."""
    found = {"MariaDB": parts.database.process.pid, "memcached": parts.cache.process.pid, "RabbitMQ": parts.broker.pid()}
    if parts.proxy is not None:
        found["haproxy"] = parts.proxy.pid
    return {name: common.cpu_of([pid]) for name, pid in found.items()}


def measure(cloud, parts=None):
    begin = cpu(parts) if parts is not None else {}
    for bench in (bench_token_validation, bench_ports, bench_servers):
        bench(cloud)
    if parts is not None:
        spent = {name: end - begin.get(name, 0) for name, end in cpu(parts).items()}
        common.line("engines, all of the above", "", "", "CPU s: " + ", ".join(f"{k} {v:.1f}" for k, v in spent.items()))


def bench_forms(cloud):
    print("-- one process, SQLite")
    measure(cloud)
    for title, pairs in (("-- each role a process; MariaDB, RabbitMQ, memcached", False),
                         ("-- the same, two of each API behind haproxy", True)):
        print(title)
        parts = Parts()
        other = parts.split(conftest.Cloud, conftest.BIN, pairs)(tempfile.mkdtemp(prefix="nubo-bench-"), fake_compute=10)
        try:
            measure(other.start(), parts)
        finally:
            conftest.dispose(other)
            parts.dispose()
