# SPDX-License-Identifier: Apache-2.0
"""The same cloud as separate processes, each role its own, from configuration files as an operator writes them.

split_class(Cloud) makes a class with the Cloud's methods whose start(), stop() and kill() are for all roles; start_role(),
stop_role() and kill_role() for one. The database URLs, the transport and memcached are given by whoever starts the
engines. What an operator does by hand (databases, fernet keys, the first user, service users, the catalog) is done with
the services' own *-manage programs and through the API.
"""
import os
import pathlib
import re
import secrets
import signal
import socket
import subprocess
import time

ROLES = ["keystone", "placement-api", "glance-api", "neutron-server", "nova-conductor", "nova-scheduler", "nova-api",
         "nova-api-metadata", "nova-compute", "neutron-openvswitch-agent", "neutron-dhcp-agent", "neutron-metadata-agent"]
FILES = {"keystone": ["keystone/keystone.conf"], "glance-api": ["glance/glance-api.conf"],
         "placement-api": ["placement/placement.conf"],
         "neutron-server": ["neutron/neutron.conf", "neutron/plugins/ml2/ml2_conf.ini"],
         "neutron-openvswitch-agent": ["neutron/neutron.conf", "neutron/plugins/ml2/openvswitch_agent.ini"],
         "neutron-dhcp-agent": ["neutron/neutron.conf", "neutron/dhcp_agent.ini"],
         "neutron-metadata-agent": ["neutron/neutron.conf", "neutron/metadata_agent.ini"]}
# A service's user is not a person: rules about passwords and absence do not lock it out.
NEVER_STALE = {"ignore_password_expiry": True, "ignore_change_password_upon_first_use": True, "ignore_user_inactivity": True}
CATALOG = [("keystone", "identity", 5000, "/v3"), ("glance", "image", 9292, ""), ("placement", "placement", 8778, ""),
           ("nova", "compute", 8774, "/v2.1"), ("neutron", "network", 9696, "")]
# What an operator runs before anything starts; the programs' names are the binary's.
SYNC = [("keystone-manage", "keystone", ["db_sync"]), ("glance-manage", "glance-api", ["db_sync"]),
        ("placement-manage", "placement-api", ["db", "sync"]), ("nova-manage", "nova-api", ["api_db", "sync"]),
        ("nova-manage", "nova-api", ["cell_v2", "map_cell0"]),
        ("nova-manage", "nova-api", ["cell_v2", "create_cell", "--name=cell1"]),
        ("nova-manage", "nova-api", ["db", "sync"]), ("neutron-db-manage", "neutron-server", ["upgrade", "heads"])]


def auth_section(name, user, password, offset, extra=""):
    return (f"[{name}]\nauth_url = http://127.0.0.1:{5000 + offset}\nauth_type = password\nproject_domain_name = Default\n"
            f"user_domain_name = Default\nproject_name = service\nusername = {user}\n"
            f"password = {password}\n{extra}\n")


def write_files(etc, state, offset, database, transport, memcached="", passwords=None, metadata_secret="", extra=None):
    """The configuration files of all services below `etc`, in the way of the OpenStack installation guide. `database` is called
    with "keystone", "glance", "placement", "nova_api", "nova", "nova_cell0", "neutron"; `extra` adds text to files by name."""
    etc, state, password = pathlib.Path(etc), pathlib.Path(state), passwords
    cache = f"memcached_servers = {memcached}\n" if memcached else ""

    def connection(name):
        return database(name).replace("$", "$$")

    def authtoken(user):
        return auth_section("keystone_authtoken", user, password[user], offset,
                            f"region_name = RegionOne\nwww_authenticate_uri = http://127.0.0.1:{5000 + offset}\n{cache}"
                            "service_token_roles = service\nservice_token_roles_required = true\n")

    def service_user(user):
        return auth_section("service_user", user, password[user], offset, "send_service_user_token = true\n")

    texts = {
        "keystone/keystone.conf":
            f"[DEFAULT]\nbind_host = 127.0.0.1\nbind_port = {5000 + offset}\n[database]\nconnection = {connection('keystone')}\n"
            f"[token]\nprovider = fernet\n[fernet_tokens]\nkey_repository = {state}/keys/fernet-keys\n"
            f"[fernet_receipts]\nkey_repository = {state}/keys/fernet-keys\n"
            f"[credential]\nkey_repository = {state}/keys/credential-keys\n"
            f"[oslo_messaging_notifications]\ntransport_url = {transport}\n" +
            (f"[cache]\nenabled = true\nbackend = oslo_cache.memcache_pool\nmemcache_servers = {memcached}\n" if memcached else ""),
        "glance/glance-api.conf":
            f"[DEFAULT]\nbind_host = 127.0.0.1\nbind_port = {9292 + offset}\ntransport_url = {transport}\n"
            f"[database]\nconnection = {connection('glance')}\n" + authtoken("glance") +
            f"[paste_deploy]\nflavor = keystone\n[glance_store]\nstores = file,http\ndefault_store = file\n"
            f"filesystem_store_datadir = {state}/images\n[oslo_concurrency]\nlock_path = {state}/lock\n",
        "placement/placement.conf":
            f"[DEFAULT]\nbind_host = 127.0.0.1\nbind_port = {8778 + offset}\n"
            f"[placement_database]\nconnection = {connection('placement')}\n[api]\nauth_strategy = keystone\n" +
            authtoken("placement"),
        "nova/nova.conf":
            f"[DEFAULT]\nenabled_apis = osapi_compute\ntransport_url = {transport}\nmy_ip = 127.0.0.1\n"
            f"state_path = {state}/nova\nosapi_compute_listen = 127.0.0.1\nosapi_compute_listen_port = {8774 + offset}\n"
            f"metadata_listen = 127.0.0.1\nmetadata_listen_port = {8775 + offset}\ncompute_driver = libvirt.LibvirtDriver\n"
            f"[api_database]\nconnection = {connection('nova_api')}\n[database]\nconnection = {connection('nova')}\n"
            "[api]\nauth_strategy = keystone\n" + authtoken("nova") + service_user("nova") +
            "[vnc]\nenabled = true\nserver_listen = 127.0.0.1\nserver_proxyclient_address = $my_ip\n"
            f"[glance]\napi_servers = http://127.0.0.1:{9292 + offset}\n[oslo_concurrency]\nlock_path = {state}/lock\n" +
            auth_section("placement", "placement", password["placement"], offset, "region_name = RegionOne\n") +
            auth_section("neutron", "neutron", password["neutron"], offset,
                         "region_name = RegionOne\nservice_metadata_proxy = true\n"
                         f"metadata_proxy_shared_secret = {metadata_secret}\n") +
            "[libvirt]\nvirt_type = qemu\n[scheduler]\ndiscover_hosts_in_cells_interval = 2\n",
        "neutron/neutron.conf":
            f"[DEFAULT]\nbind_host = 127.0.0.1\nbind_port = {9696 + offset}\nstate_path = {state}/neutron\ncore_plugin = ml2\n"
            f"service_plugins = router\nauth_strategy = keystone\ntransport_url = {transport}\n"
            "notify_nova_on_port_status_changes = true\nnotify_nova_on_port_data_changes = true\n"
            f"[database]\nconnection = {connection('neutron')}\n" + authtoken("neutron") +
            auth_section("nova", "nova", password["nova"], offset, "region_name = RegionOne\n") +
            f"[oslo_concurrency]\nlock_path = {state}/lock\n",
        "neutron/plugins/ml2/ml2_conf.ini":
            "[ml2]\ntype_drivers = flat,vlan,vxlan\ntenant_network_types = vxlan\nmechanism_drivers = openvswitch,l2population\n"
            "extension_drivers = port_security\n[ml2_type_flat]\nflat_networks = provider\n[ml2_type_vxlan]\nvni_ranges = 1:1000\n",
        "neutron/plugins/ml2/openvswitch_agent.ini":
            "[agent]\ntunnel_types = vxlan\nl2_population = true\n[securitygroup]\nenable_security_group = true\n"
            "firewall_driver = openvswitch\n[ovs]\nbridge_mappings = provider:br-provider\n",
        "neutron/dhcp_agent.ini":
            "[DEFAULT]\ninterface_driver = openvswitch\ndhcp_driver = neutron.agent.linux.dhcp.Dnsmasq\n"
            "enable_isolated_metadata = true\n",
        "neutron/metadata_agent.ini":
            f"[DEFAULT]\nnova_metadata_host = 127.0.0.1\nnova_metadata_port = {8775 + offset}\n"
            f"metadata_proxy_shared_secret = {metadata_secret}\n",
    }
    for name, text in texts.items():
        path = etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + (extra or {}).get(name, ""))
        path.chmod(0o600)


def config_arguments(etc, role):
    return [word for name in FILES.get(role, ["nova/nova.conf"]) for word in ("--config-file", f"{etc}/{name}")]


class Program:
    """One process of a role. Ready when it says so by sd_notify's protocol."""

    def __init__(self, binary, role, arguments, env, log):
        self.role = role
        path = f"\0nubo-test-{os.getpid()}-{secrets.token_hex(6)}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        with open(log, "ab") as out:
            self.process = subprocess.Popen([binary, "run", role, *arguments], stdout=out, stderr=out,
                                            env=dict(env, NOTIFY_SOCKET="@" + path[1:]))

    def wait_ready(self, seconds=300):
        """True, or False when it ended before."""
        self.socket.settimeout(0.05)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if b"READY=1" in self.socket.recv(4096):
                    return True
            except TimeoutError:
                if self.process.poll() is not None:
                    return False
        raise TimeoutError(f"{self.role} is not ready after {seconds} s")


    def stacks(self):
        """Where its threads are, when a debugger is there to tell."""
        try:
            done = subprocess.run(["gdb", "-p", str(self.process.pid), "-batch", "-ex", "thread apply all bt 12"],
                                  capture_output=True, text=True, timeout=120)
        except (OSError, subprocess.TimeoutExpired) as why:
            return str(why)
        return "\n".join(line[:160] for line in done.stdout.splitlines() if line.startswith(("#", "Thread")))


class Group:
    """All processes in the place of one: poll() and wait() are those of the first that ended."""

    def __init__(self, programs):
        self.programs = programs

    def poll(self):
        for program in self.programs.values():
            if program.process.poll() is not None:
                return program.process.poll()
        return None

    def wait(self, timeout=180):
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("nubo", timeout)
            time.sleep(0.01)
        return self.poll()

    def send_signal(self, number):
        for program in self.programs.values():
            program.process.send_signal(number)


def split_class(base, binary, database, transport, memcached=str, roles=None):
    """A class of `base`'s kind whose cloud is in processes. database(cloud, schema), transport(cloud) and memcached() give
    their addresses."""

    class SplitCloud(base):
        split = True

        def __init__(self, state_dir, fake_compute=4, env=None):
            super().__init__(state_dir, fake_compute, env)
            self.programs = {}
            self.roles = list(roles or ROLES)
            self.etc = self.state_dir / "etc"
            self.extra = {}
            self.sanitizers = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", "UBSAN_OPTIONS": "print_stacktrace=1"}

        # -- what an operator does once

        def run(self, program, role, words):
            done = subprocess.run([binary, program, *config_arguments(self.etc, role), *words], env=self.run_env(),
                                  capture_output=True, text=True, timeout=600)
            assert done.returncode == 0, f"{program} {' '.join(words)}: {done.stdout}{done.stderr}"
            return done.stdout

        def run_env(self, env=None):
            run = dict(self.env, OS_TRACE__FILE=str(self.state_dir / "trace"), NUBO_FAKE_COMPUTE=str(self.fake_compute),
                       **self.sanitizers, **(env or {}))
            run.pop("NUBO_STATE_DIR", None)
            return run

        def prepare(self):
            for name in ("db", "keys", "images", "nova", "neutron", "lock", "run"):
                (self.state_dir / name).mkdir(parents=True, exist_ok=True)
            passwords = {name: secrets.token_hex(12) for name in ("admin", "glance", "placement", "nova", "neutron")}
            secret = secrets.token_hex(12)
            (self.state_dir / "keys" / "metadata_proxy_shared_secret").write_text(secret)
            write_files(self.etc, self.state_dir, self.offset, lambda name: database(self, name), transport(self), memcached(),
                        passwords, secret, self.extra)
            services = {role.split("-")[0] for role in self.roles}
            for program, role, words in SYNC:
                if role.split("-")[0] in services:
                    self.run(program, role, words)
            for words in (["fernet_setup"], ["credential_setup"]):
                self.run("keystone-manage", "keystone", words + (["--keystone-user", "root", "--keystone-group", "root"]
                                                                 if os.getuid() == 0 else []))
            url = self.url("identity")
            self.run("keystone-manage", "keystone", ["bootstrap", "--bootstrap-password", passwords["admin"],
                     "--bootstrap-admin-url", url, "--bootstrap-internal-url", url, "--bootstrap-public-url", url,
                     "--bootstrap-region-id", "RegionOne"])
            names = {"AUTH_URL": url, "IDENTITY_API_VERSION": "3", "USERNAME": "admin", "PASSWORD": passwords["admin"],
                     "PROJECT_NAME": "admin", "USER_DOMAIN_NAME": "Default", "PROJECT_DOMAIN_NAME": "Default",
                     "REGION_NAME": "RegionOne", "IMAGE_API_VERSION": "2"}
            (self.state_dir / "openrc").write_text("".join(f"export OS_{k}={v}\n" for k, v in names.items()))
            self.start_role("keystone")
            self.fill_catalog(passwords)

        def fill_catalog(self, passwords):
            def made(answer, key):
                assert answer.status_code == 201, answer.text
                return answer.json()[key]["id"]
            roles_of = {name: found[0]["id"] for name in ("admin", "service")
                        if (found := self.get("identity", f"/roles?name={name}").json()["roles"])}
            if "service" not in roles_of:
                roles_of["service"] = made(self.post("identity", "/roles", {"role": {"name": "service"}}), "role")
            project = made(self.post("identity", "/projects", {"project": {"name": "service", "domain_id": "default"}}), "project")
            for name, kind, port, path in CATALOG[1:]:
                user = made(self.post("identity", "/users", {"user": {
                    "name": name, "password": passwords[name], "domain_id": "default", "options": NEVER_STALE}}), "user")
                for role in ("admin", "service"):
                    put = self.call("PUT", "identity", f"/projects/{project}/users/{user}/roles/{roles_of[role]}")
                    assert put.status_code == 204, put.text
                service = made(self.post("identity", "/services", {"service": {"name": name, "type": kind}}), "service")
                for interface in ("public", "internal", "admin"):
                    made(self.post("identity", "/endpoints", {"endpoint": {
                        "interface": interface, "region_id": "RegionOne", "service_id": service,
                        "url": f"http://127.0.0.1:{port + self.offset}{path}"}}), "endpoint")

        # -- processes

        def arguments(self, role):
            return config_arguments(self.etc, role)

        def start_role(self, role, env=None):
            (self.state_dir / "run").mkdir(parents=True, exist_ok=True)
            program = Program(binary, role, self.arguments(role), self.run_env(env), self.log)
            self.programs[role] = program
            self.process = Group(self.programs)
            assert program.wait_ready(), f"{role} ended at its start:\n{self.tail()}"
            return program

        def stop_role(self, role, number=signal.SIGTERM, seconds=180):
            program = self.programs.pop(role)
            program.process.send_signal(number)
            program.socket.close()
            try:
                return program.process.wait(seconds)
            except subprocess.TimeoutExpired:
                stacks = program.stacks()
                program.process.kill()
                program.process.wait(120)
                raise AssertionError(f"{role} does not end; its log:\n{self.tail()}\nits threads:\n{stacks}") from None

        def kill_role(self, role):
            return self.stop_role(role, signal.SIGKILL)

        def start(self, env=None):
            try:
                if not (self.state_dir / "openrc").exists():
                    self.state_dir.mkdir(parents=True, exist_ok=True)
                    self.prepare()
                self.start_roles(env)
            except BaseException:
                self.kill() # nobody has it yet who would end it
                raise
            return self

        def start_roles(self, env):
            for role in self.roles:
                if role in self.programs and self.programs[role].process.poll() is not None:
                    del self.programs[role]
                if role not in self.programs:
                    self.start_role(role, env)
            if "nova-compute" in self.roles:
                self.wait(self.computes_are_up)
                self.run("nova-manage", "nova-api", ["cell_v2", "discover_hosts"])

        def computes_are_up(self):
            hosts = self.get("compute", "/os-hypervisors/detail").json().get("hypervisors", [])
            return len(hosts) >= max(self.fake_compute, 1) and all(h["state"] == "up" and self.is_offered(h) for h in hosts)

        def is_offered(self, host):
            """A host's traits are the last that placement is told, as upstream does it."""
            provider = self.get("placement", f"/resource_providers?name={host['hypervisor_hostname']}").json()["resource_providers"]
            return provider and self.get("placement", f"/resource_providers/{provider[0]['uuid']}/traits",
                                         headers={"OpenStack-API-Version": "placement 1.20"}).json().get("traits")

        def stop(self):
            """An orderly end, all at once as a host's shutdown does it; the first status that is not 0."""
            for program in self.programs.values():
                program.process.terminate()
            statuses = [self.stop_role(role) for role in list(self.programs)]
            return next((status for status in statuses if status != 0), 0)

        def kill(self):
            for program in self.programs.values():
                program.process.kill()
            for role in list(self.programs):
                self.programs[role].process.wait(120)
                self.programs.pop(role).socket.close()

        def role_log(self, role):
            """The lines of the role's present process."""
            pid = self.programs[role].process.pid
            return [line for line in self.log.read_text(errors="replace").splitlines() if re.search(rf"\.\d{{3}} {pid} ", line)]

    return SplitCloud
