# SPDX-License-Identifier: Apache-2.0
"""Several API processes on one MariaDB, and a cloud on a Galera cluster that loses a node: nothing is handed out twice, and no
request fails."""
import concurrent.futures
import shutil
import subprocess
import threading
import time
import uuid

import pytest
import requests

import engines
from conftest import BIN, ENDPOINTS, PORTS, dispose, free_offset, new_cloud

PLACEMENT = {"OpenStack-API-Version": "placement 1.39"}


def cloud_on(server, hosts=None, extra=None, env=None):
    """A cloud whose databases are on `server`; `hosts` replaces its address in the connections."""
    it = new_cloud(env=env)
    shutil.rmtree(it.state_dir / "etc", ignore_errors=True)
    prefix = f"k{it.offset}_"
    server.create(*(prefix + service for service in engines.SERVICES))
    engines.write_configs(it.state_dir, it.offset, lambda service: server.url(prefix + service, hosts), extra=extra)
    return it.start()


class Second:
    """One more process of some roles of a cloud, on ports of its own."""

    def __init__(self, cloud, *roles):
        self.cloud = cloud
        self.offset = free_offset()
        log = open(cloud.state_dir / "second.log", "ab")
        self.process = subprocess.Popen([BIN, "run", *roles, "--state-dir", str(cloud.state_dir), "--fake-compute", "4",
                                         "--port-offset", str(self.offset)], stdout=log, stderr=log, env=cloud.env)

    def url(self, service, path):
        return f"http://127.0.0.1:{PORTS[service] + self.offset}{ENDPOINTS[service]}{path}"

    def call(self, method, service, path, body=None, headers=None):
        return requests.request(method, self.url(service, path), json=body, timeout=120,
                                headers={"X-Auth-Token": self.cloud.token(), **(headers or {})})

    def wait(self, service, path="/"):
        end = time.time() + 300
        while True:
            try:
                return requests.get(self.url(service, path), timeout=120)
            except requests.ConnectionError:
                ended = self.process.poll() is not None or time.time() > end
                assert not ended, (self.cloud.state_dir / "second.log").read_text()[-2000:]
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait(120)


@pytest.fixture(scope="module")
def pair():
    """A cloud and a second process of placement and neutron on the same MariaDB."""
    server = engines.MariaDB().start()
    cloud = cloud_on(server)
    second = Second(cloud, "placement-api", "neutron-server")
    second.wait("placement")
    second.wait("network")
    yield cloud, second
    second.stop()
    dispose(cloud)
    server.dispose()


def race(pair, count, one, threads=64):
    """one(place, i) from many clients, by turns through either process."""
    pair[0].token()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda i: one(pair[i % 2], i), range(count)))


def provider(cloud, total):
    rp = str(uuid.uuid4())
    assert cloud.post("placement", "/resource_providers", {"name": rp, "uuid": rp}, headers=PLACEMENT).status_code == 200
    put = cloud.call("PUT", "placement", f"/resource_providers/{rp}/inventories", headers=PLACEMENT, body={
        "resource_provider_generation": 0, "inventories": {"VCPU": {"total": total}}})
    assert put.status_code == 200, put.text
    return rp


def test_the_last_units_of_placement(pair):
    rp = provider(pair[0], 20)

    def claim(place, i):
        body = {"allocations": {rp: {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u", "consumer_generation": None,
                "consumer_type": "INSTANCE"}
        return place.call("PUT", "placement", f"/allocations/{uuid.uuid4()}", body, headers=PLACEMENT).status_code

    answers = race(pair, 64, claim)
    assert sorted(set(answers)) == [204, 409] and answers.count(204) == 20, answers
    for place in pair:
        usage = place.call("GET", "placement", f"/resource_providers/{rp}/usages", headers=PLACEMENT).json()
        assert usage["usages"] == {"VCPU": 20}


def test_a_process_sees_what_another_committed(pair):
    """The model in the memory of each follows the changes of both: no change is missed, in whatever order commits came."""
    providers = [provider(pair[0], 100) for _ in range(4)]

    def work(place, i):
        rp = providers[i % 4]
        body = {"allocations": {rp: {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u", "consumer_generation": None,
                "consumer_type": "INSTANCE"}
        assert place.call("PUT", "placement", f"/allocations/{uuid.uuid4()}", body, headers=PLACEMENT).status_code == 204
        return None

    race(pair, 200, work, threads=16)
    for place in pair:
        summaries = place.call("GET", "placement", "/allocation_candidates?resources=VCPU:1&limit=1000",
                               headers=PLACEMENT).json()["provider_summaries"]
        assert [summaries[rp]["resources"]["VCPU"]["used"] for rp in providers] == [50] * 4
    for i in range(30):  # and at once: what one answered is in what the other answers next
        name = f"CUSTOM_SEEN_{uuid.uuid4().hex.upper()}"
        assert pair[i % 2].call("PUT", "placement", f"/traits/{name}", headers=PLACEMENT).status_code == 201
        seen = pair[(i + 1) % 2].call("GET", "placement", f"/allocation_candidates?resources=VCPU:1&required={name}",
                                      headers=PLACEMENT)
        assert seen.status_code == 200, seen.text


def network(cloud, cidr):
    net = cloud.post("network", "/v2.0/networks", {"network": {"name": "race"}}).json()["network"]
    subnet = cloud.post("network", "/v2.0/subnets", {"subnet": {
        "network_id": net["id"], "cidr": cidr, "ip_version": 4, "enable_dhcp": False}})
    assert subnet.status_code == 201, subnet.text
    return net


def test_the_last_addresses(pair):
    net = network(pair[0], "10.77.0.0/28")  # 13 addresses beside the gateway's
    port = {"port": {"network_id": net["id"]}}
    answers = race(pair, 48, lambda place, i: place.call("POST", "network", "/v2.0/ports", port))
    good = [a.json()["port"] for a in answers if a.status_code == 201]
    bad = [a for a in answers if a.status_code != 201]
    assert len(good) == 13 and len({p["fixed_ips"][0]["ip_address"] for p in good}) == 13, [a.text for a in bad[:3]]
    assert all(a.status_code == 409 and a.json()["NeutronError"]["type"] == "IpAddressGenerationFailure" for a in bad), [
        a.text for a in bad]


def test_the_last_of_a_quota(pair):
    cloud = pair[0]
    project = cloud.token() and cloud.get("identity", "/projects?name=admin").json()["projects"][0]["id"]
    used = cloud.get("network", f"/v2.0/quotas/{project}/details").json()["quota"]["network"]["used"]
    put = cloud.call("PUT", "network", f"/v2.0/quotas/{project}", {"quota": {"network": used + 10}})
    assert put.status_code == 200
    answers = race(pair, 48, lambda place, i: place.call("POST", "network", "/v2.0/networks", {"network": {"name": "q"}}))
    codes = [a.status_code for a in answers]
    assert codes.count(201) == 10 and codes.count(409) == 38, codes
    ids = [a.json()["network"]["provider:segmentation_id"] for a in answers if a.status_code == 201]
    assert len(set(ids)) == 10
    cloud.call("DELETE", "network", f"/v2.0/quotas/{project}")


class Load:
    """Clients that create, read and delete all the time; whatever is not as asked for is remembered."""

    def __init__(self, cloud, threads=4):
        self.cloud, self.wrong, self.made, self.stopped = cloud, [], [], False
        cloud.token()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(threads)]
        for thread in self.threads:
            thread.start()

    def wait_more(self, count):
        """Until that many more were made."""
        wanted = len(self.made) + count
        self.cloud.wait(lambda: len(self.made) >= wanted or self.wrong)

    def expect(self, code, answer):
        if answer.status_code != code:
            self.wrong.append(f"{answer.request.method} {answer.url} {answer.status_code} {answer.text}")
        return answer

    def run(self, number):
        cloud, i = self.cloud, 0
        while not self.stopped:
            i += 1
            name = f"load-{number}-{i}"
            try:
                self.expect(201, cloud.post("identity", "/projects", {"project": {"name": name}}))
                self.made.append(name)
                self.expect(200, cloud.get("identity", "/auth/tokens", headers={"X-Subject-Token": cloud.token()}))
                net = self.expect(201, cloud.post("network", "/v2.0/networks", {"network": {"name": name}})).json()
                self.expect(204, cloud.call("DELETE", "network", f"/v2.0/networks/{net['network']['id']}"))
                self.expect(200, cloud.get("compute", "/servers/detail"))
                self.expect(200, cloud.get("placement", "/resource_providers", headers=PLACEMENT))
            except Exception as error:  # a client would see it
                self.wrong.append(repr(error))

    def stop(self):
        self.stopped = True
        for thread in self.threads:
            thread.join(600)
        names = {p["name"] for p in self.cloud.get("identity", "/projects").json()["projects"]}
        assert set(self.made) <= names
        assert not self.wrong, (len(self.wrong), len(self.made), self.wrong[:5])
        return len(self.made)


def test_a_database_that_restarts_under_load():
    server = engines.MariaDB().start()
    cloud = cloud_on(server)
    load = Load(cloud)
    try:
        for _ in range(2):
            load.wait_more(4)
            server.kill()
            time.sleep(1)
            server.start()
        load.wait_more(4)
    finally:
        made = load.stop()
        dispose(cloud)
        server.dispose()
    assert made > 10


def test_a_database_that_is_away_is_told_and_comes_back():
    server = engines.MariaDB().start()
    cloud = cloud_on(server, extra="pool_timeout = 1\n")
    try:
        token = cloud.token()
        server.kill()
        began = time.monotonic()
        away = cloud.post("identity", "/projects", {"project": {"name": "away"}})
        assert away.status_code == 503 and "not available" in away.text and server.password not in away.text
        assert time.monotonic() - began < 25  # by pool_timeout, not by its default of 30 s
        server.start()
        cloud.wait(lambda: cloud.get("identity", "/projects", token=token).status_code == 200)
    finally:
        dispose(cloud)
        server.dispose()


def test_a_cluster_that_loses_a_node_under_load():
    cluster = engines.Galera().start()
    cloud = None
    try:
        cloud = cloud_on(cluster.nodes[0], cluster.hosts)
        load = Load(cloud)
        load.wait_more(6)
        cluster.nodes[0].kill()  # the one that all connections are on
        load.wait_more(6)
        assert load.stop() > 10
    finally:
        if cloud is not None:
            dispose(cloud)
        cluster.dispose()
