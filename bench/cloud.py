# SPDX-License-Identifier: Apache-2.0
"""The whole cloud in one process: start, memory, tokens, ports, servers, a real guest."""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import tempfile
import time

from common import Admin, cpu_seconds, empty_handler, fdatasync_rate, line, measure_rate, profile


def bench_token_validation(cloud):
    token = cloud.token()
    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    rate, cpu = measure_rate(cloud, cloud.url("identity", "/auth/tokens"), headers)
    ceiling, ceiling_cpu = empty_handler(cloud)
    line("token validation", f"{rate:.0f}", "/s", f"empty handler {ceiling:.0f}/s", "Zed 133/s")
    line("  CPU of one", f"{cpu:.1f}", "us", f"empty handler {ceiling_cpu:.1f} us", "Zed 13000 us")


def bench_login(cloud):
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": {
        "name": "admin", "domain": {"name": "Default"}, "password": cloud.rc["OS_PASSWORD"]}}}}}
    rate, cpu = measure_rate(cloud, cloud.url("identity", "/auth/tokens"), {"Content-Type": "application/json"}, body)
    line("repeated logins of one user", f"{rate:.0f}", "/s", f"{cpu:.0f} us of CPU each", "Zed 217 ms each")


def bench_idle_memory(cloud):
    time.sleep(1)
    text = pathlib.Path(f"/proc/{cloud.process.pid}/smaps_rollup").read_text()
    pss = int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1)) / 1024
    line("all services idle, proportional memory", f"{pss:.1f}", "MiB", "", "Zed 3.5 GiB in 52 processes")


def bench_start(cloud):
    cloud.stop()
    (cloud.state_dir / "run" / "ready").unlink(missing_ok=True)
    begin = time.time()
    cloud.start()
    line("start on existing state until every API answers", f"{time.time() - begin:.3f}", "s", "", "Zed 23 s")


def network_of(admin, name):
    found = admin.call("GET", "network", f"/v2.0/networks?name={name}")["networks"]
    if found:
        return found[0]["id"]
    net = admin.call("POST", "network", "/v2.0/networks", {"network": {"name": name}})["network"]["id"]
    admin.call("POST", "network", "/v2.0/subnets", {"subnet": {"network_id": net, "ip_version": 4, "cidr": "198.18.0.0/16",
                                                               "enable_dhcp": False}})
    return net


def raise_quotas(admin, service):
    project = admin.call("GET", "identity", "/projects?name=admin")["projects"][0]["id"]
    if service == "compute":
        admin.call("PUT", service, f"/os-quota-sets/{project}",
                   {"quota_set": {"instances": -1, "cores": -1, "ram": -1, "force": True}})
    else:
        admin.call("PUT", service, f"/v2.0/quotas/{project}", {"quota": {"port": -1, "network": -1}})


def bench_ports(cloud):
    admin = Admin(cloud)
    raise_quotas(admin, "network")
    net = network_of(admin, "bench-ports")
    headers = {"X-Auth-Token": cloud.token(), "Content-Type": "application/json"}
    rate, cpu = measure_rate(cloud, cloud.url("network", "/v2.0/ports"), headers, {"port": {"network_id": net}})
    line("ports created, 16 at a time", f"{rate:.0f}", "/s", f"{cpu:.0f} us of CPU each; fdatasync {fdatasync_rate():.0f}/s",
         "Zed 7/s")
    ports = admin.call("GET", "network", "/v2.0/ports?limit=1000")["ports"]
    while len(ports) < 1000:
        admin.call("POST", "network", "/v2.0/ports", {"ports": [{"network_id": net}] * 100})
        ports = admin.call("GET", "network", "/v2.0/ports?limit=1000")["ports"]
    profile(cloud)
    rate, cpu = measure_rate(cloud, cloud.url("network", "/v2.0/ports?limit=1000"), headers)
    ceiling, _ = empty_handler(cloud)
    line("lists of 1,000 ports", f"{rate:.1f}", "/s", f"{cpu / 1000:.1f} ms of CPU each; empty handler {ceiling:.0f}/s", "Zed 6/s")


def prepare_servers(cloud, admin):
    raise_quotas(admin, "network")
    raise_quotas(admin, "compute")
    net = network_of(admin, "bench-servers")
    if not [f for f in admin.call("GET", "compute", "/flavors")["flavors"] if f["id"] == "bench"]:
        admin.call("POST", "compute", "/flavors", {"flavor": {"name": "bench", "id": "bench", "ram": 64, "vcpus": 1, "disk": 1}})
    images = admin.call("GET", "image", "/v2/images?name=bench")["images"]
    if not images:
        image = admin.call("POST", "image", "/v2/images", {"name": "bench", "disk_format": "raw", "container_format": "bare"})
        import requests
        requests.put(cloud.url("image", f"/v2/images/{image['id']}/file"), data=b" " * 512, timeout=60,
                     headers={"X-Auth-Token": cloud.token(), "Content-Type": "application/octet-stream"}).raise_for_status()
        images = [image]
    return {"imageRef": images[0]["id"], "flavorRef": "bench", "networks": [{"uuid": net}]}


def wait_status(admin, count, wanted):
    while True:
        servers = admin.call("GET", "compute", "/servers/detail?limit=1000")["servers"]
        assert not [s for s in servers if s["status"] == "ERROR"], servers
        if len(servers) == count and all(s["status"] == wanted for s in servers):
            return servers
        time.sleep(0.01)


def bench_servers(cloud):
    admin = Admin(cloud)
    base = prepare_servers(cloud, admin)
    begin = time.time()
    admin.call("POST", "compute", "/servers", {"server": dict(base, name="one", min_count=50, max_count=50)})
    servers = wait_status(admin, 50, "ACTIVE")
    line("50 servers ACTIVE, one request", f"{time.time() - begin:.3f}", "s", "", "Zed 50 s")
    begin = time.time()
    for s in servers:
        admin.call("DELETE", "compute", f"/servers/{s['id']}")
    wait_status(admin, 0, "")
    line("50 servers deleted", f"{time.time() - begin:.3f}", "s", "", "Zed 23 s")
    begin = time.time()
    before = cpu_seconds(cloud)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        def create(i):
            Admin(cloud).call("POST", "compute", "/servers", {"server": dict(base, name=f"s{i}")})
        list(pool.map(create, range(50)))
    wait_status(admin, 50, "ACTIVE")
    line("50 servers ACTIVE, fifty requests, 8 at a time", f"{time.time() - begin:.3f}", "s",
         f"{(cpu_seconds(cloud) - before) / 50 * 1000:.1f} ms of CPU each", "Zed 50 s, 1.9 s of CPU each")
    admin.call("POST", "compute", "/servers", {"server": dict(base, name="more", min_count=150, max_count=150)})
    wait_status(admin, 200, "ACTIVE")
    headers = {"X-Auth-Token": cloud.token()}
    profile(cloud)
    rate, cpu = measure_rate(cloud, cloud.url("compute", "/servers/detail"), headers)
    ceiling, _ = empty_handler(cloud)
    line("lists of 200 servers with detail", f"{rate:.1f}", "/s", f"{cpu / 1000:.1f} ms of CPU each; empty handler {ceiling:.0f}/s")
    for s in wait_status(admin, 200, "ACTIVE"):
        admin.call("DELETE", "compute", f"/servers/{s['id']}")
    wait_status(admin, 0, "")


def qemu_processes(state_dir):
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
                ticks = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[19])
            except OSError:
                continue
            if b"qemu-system" in line.split(b"\0")[0] and str(state_dir).encode() in line:
                found[int(entry.name)] = ticks
    return found


def bench_guest(_):
    """A real guest: needs root, and NUBO_GUEST_IMAGE (images/build makes one)."""
    image = os.environ.get("NUBO_GUEST_IMAGE")
    if os.geteuid() != 0 or image is None:
        print("guest: left out: it needs root and NUBO_GUEST_IMAGE")
        return
    from conftest import BIN, Cloud
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        cloud = Cloud(folder + "/state", 0)
        options = ["--state-dir", str(cloud.state_dir), "--port-offset", str(cloud.offset), "--image", image]
        begin = time.time()
        subprocess.run([BIN, "up", *options], check=True, stdout=subprocess.DEVNULL)
        line("nubo up on an empty state, to the first guest's login", f"{time.time() - begin:.2f}", "s")
        try:
            admin = Admin(cloud)
            first = admin.call("GET", "compute", "/servers/detail")["servers"][0]
            network = admin.call("GET", "network", "/v2.0/networks?name=private")["networks"][0]["id"]
            before = qemu_processes(cloud.state_dir)
            begin = time.clock_gettime(time.CLOCK_BOOTTIME)
            admin.call("POST", "compute", "/servers", {"server": {"name": "second", "imageRef": first["image"]["id"],
                                                                  "flavorRef": "1", "networks": [{"uuid": network}]}})
            new = {}
            while not new:
                new = {pid: t for pid, t in qemu_processes(cloud.state_dir).items() if pid not in before}
            started = max(new.values()) / os.sysconf("SC_CLK_TCK")
            line("POST /servers to the start of the QEMU process", f"{started - begin:.3f}", "s",
                 "image cached; in steps of 0.01 s")
            wait_status(admin, 2, "ACTIVE")
            line("POST /servers to ACTIVE", f"{time.clock_gettime(time.CLOCK_BOOTTIME) - begin:.3f}", "s")
        finally:
            subprocess.run([BIN, "down", "--purge", "--state-dir", str(cloud.state_dir)], check=True, stdout=subprocess.DEVNULL)
