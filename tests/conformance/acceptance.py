# SPDX-License-Identifier: Apache-2.0
"""gophercloud's acceptance tests: one Go program a package, built from the source that Debian packages, one process a test."""
import configparser
import os
import pathlib
import re
import shutil
import subprocess

import tempest_conf

GOPATH = pathlib.Path("/usr/share/gocode")
SOURCE = "github.com/gophercloud/gophercloud/acceptance/openstack"
EXTENSIONS = "networking/v2/extensions"
PACKAGES = ("compute/v2", "identity/v3", "imageservice/v2", "networking/v2", EXTENSIONS, f"{EXTENSIONS}/agents",
            f"{EXTENSIONS}/mtu", f"{EXTENSIONS}/networkipavailabilities", f"{EXTENSIONS}/portsbinding", f"{EXTENSIONS}/quotas",
            "placement/v1", "openstack")
TEST_SECONDS = 60


def folder_of(package):
    return GOPATH / "src" / SOURCE / ("" if package == "openstack" else package)


def environment(cloud, conf):
    """What the tests read: who they are, and what of the cloud they may use."""
    compute = configparser.RawConfigParser()
    compute.read(conf)
    private = cloud.get("network", "/v2.0/networks?name=private")["networks"][0]
    public = cloud.make("network", "/v2.0/networks", {"network": {"name": "public", "router:external": True}})["network"]
    return {"OS_DOMAIN_ID": "default", "OS_REGION_NAME": cloud.region, "OS_BRANCH": "stable/2023.1", "OS_LIVE_MIGRATE": "1",
            **{name: cloud.env[name] for name in ("OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_NAME")},
            "OS_IMAGE_ID": compute["compute"]["image_ref"], "OS_FLAVOR_ID": compute["compute"]["flavor_ref"],
            "OS_FLAVOR_ID_RESIZE": compute["compute"]["flavor_ref_alt"], "OS_NETWORK_NAME": "private",
            "OS_NETWORK_ID": private["id"], "OS_SUBNET_ID": private["subnets"][0],
            "OS_POOL_NAME": "public", "OS_EXTGW_ID": public["id"]}


class Run:
    """One suite against one cloud, in a folder of its own: as run's Run."""

    def __init__(self, suite, folder):
        self.suite, self.folder, self.env = suite, folder, {}
        self.folder.mkdir(parents=True)

    def prepare(self, rc):
        """Writes all configuration; the names of missing services, if any."""
        cloud = tempest_conf.Cloud(rc)
        missing = [kind for kind in self.suite.needs if kind not in cloud.urls]
        if missing:
            return missing
        tempest_conf.write(rc, self.folder / "tempest.conf")
        tempest_conf.make_network(cloud)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("OS_")}
        self.env.update(environment(cloud, self.folder / "tempest.conf"), GO111MODULE="off", GOPATH=str(GOPATH), GOFLAGS="-p=2",
                        GOCACHE=str(self.folder / "cache"))
        return []

    def program(self, package):
        return self.folder / (package.replace("/", "_") + ".test")

    def select(self, _quick):
        """The tests' ids: package and name. None where Go or the source is missing."""
        if not shutil.which("go") or not folder_of(PACKAGES[0]).exists():
            return []
        tests = []
        for package in PACKAGES:
            program = self.program(package)
            subprocess.run(["go", "test", "-vet=off", "-c", "-tags", "fixtures acceptance", "-o", program, "."], check=True,
                           cwd=folder_of(package), env=self.env)
            listed = subprocess.run([program, "-test.list", "."], cwd=folder_of(package), env=self.env, capture_output=True,
                                    text=True, check=True)
            tests += [f"{package}.{name}" for name in listed.stdout.split() if name.startswith("Test")]
        return [test for test in tests if re.search(self.suite.select, test)]

    def execute(self, tests, _workers):
        return {test: self.one(*test.rsplit(".", 1)) for test in tests}

    def one(self, package, name):
        """Outcome and reason of one test."""
        try:
            done = subprocess.run([self.program(package), "-test.v", "-test.run", f"^{name}$"], cwd=folder_of(package),
                                  env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=TEST_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return "failed", f"it had not ended after {TEST_SECONDS} s"
        (self.folder / f"{package.replace('/', '_')}.{name}.log").write_text(done.stdout)
        said = re.findall(r"^ +\w+\.go:\d+: (.*)$", re.sub(r"\x1b\[[\d;]*m", "", done.stdout), re.MULTILINE)
        failures = re.findall(r"(?:Failure in|Unable to|Bad request|panic:) .*", "\n".join(said) + done.stdout)
        if f"--- SKIP: {name}" in done.stdout:
            return "skipped", said[-1] if said else "no reason given"
        return ("failed", failures[0][:400] if failures else "no reason given") if done.returncode else ("passed", "")
