# SPDX-License-Identifier: Apache-2.0
"""The administrative programs, called by their names as operators call them, on SQLite and on MariaDB.

The configuration lies where oslo.config finds it ($HOME/.SERVICE), so that the command lines are those of an installation
guide. Where the reference's own programs are installed (Debian's keystone and placement), they look at our schema too.
"""
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess

import pytest

import conftest
import engines

PROGRAMS = ("keystone-manage", "glance-manage", "placement-manage", "placement-status", "nova-manage", "nova-status",
            "neutron-db-manage")
SECRET = "s3cr3t-bootstrap"


class Host:
    """A home directory with links to the binary and a configuration file a service."""

    def __init__(self, home, url):
        self.home, self.url = home, url
        self.bin = home / "bin"
        self.bin.mkdir()
        for name in PROGRAMS:
            (self.bin / name).symlink_to(conftest.BIN)
        keys = f"[fernet_tokens]\nkey_repository = {home}/fernet-keys/\n[fernet_receipts]\nkey_repository = {home}/fernet-keys/\n" \
               f"[credential]\nkey_repository = {home}/credential-keys/\n"
        self.write("keystone", "keystone.conf", f"[database]\nconnection = {url('keystone')}\n{keys}")
        self.write("glance", "glance-api.conf", f"[database]\nconnection = {url('glance')}\n")
        self.write("placement", "placement.conf", f"[placement_database]\nconnection = {url('placement')}\n")
        self.write("nova", "nova.conf", "[DEFAULT]\ntransport_url = rabbit://openstack:hushhush@controller:5672/\n"
                   f"[api_database]\nconnection = {url('nova_api')}\n[database]\nconnection = {url('nova')}\n")
        self.write("neutron", "neutron.conf", f"[database]\nconnection = {url('neutron')}\n")
        self.write("neutron", "ml2_conf.ini", "[ml2]\ntype_drivers = flat,vlan\n")

    def write(self, service, name, text):
        (self.home / f".{service}").mkdir(exist_ok=True)
        (self.home / f".{service}" / name).write_text(text)

    def run(self, line, status=0, env=None, stdin=""):
        environment = dict(os.environ, HOME=str(self.home), PATH=f"{self.bin}:{os.environ['PATH']}", **(env or {}))
        environment.pop("NUBO_STATE_DIR", None)
        done = subprocess.run(["/bin/sh", "-c", line], env=environment, capture_output=True, text=True, timeout=120,
                              cwd=self.home, input=stdin)
        assert done.returncode == status, f"{line}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert "AddressSanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
        assert SECRET not in done.stdout + done.stderr and "hushhush" not in done.stderr
        return done.stdout, done.stderr


@pytest.fixture(scope="module")
def server():
    if shutil.which("mariadbd") is None:
        pytest.skip("MariaDB is not installed")
    server = engines.MariaDB().start()
    yield server
    server.dispose()


@pytest.fixture(params=["sqlite", "mariadb"])
def host(request, tmp_path):
    if request.param == "sqlite":
        (tmp_path / "db").mkdir()
        return Host(tmp_path, lambda name: f"sqlite:///{tmp_path}/db/{name}.db")
    server = request.getfixturevalue("server")
    number = re.sub(r"\W", "", request.node.name)[-20:] + str(os.getpid())
    names = {name: f"{name}_{number}" for name in ("keystone", "glance", "placement", "nova", "nova_api", "neutron")}
    server.create(*names.values())
    made = Host(tmp_path, lambda name: server.url(names[name]))
    made.server, made.names = server, names
    return made


OWNER = "--keystone-user root --keystone-group root" if os.getuid() == 0 else ""


# ---- keystone-manage ----

def test_keystone_schema_in_one_step_and_in_phases(host):
    host.run("keystone-manage db_sync --check", status=2)
    host.run("keystone-manage db_sync --contract", status=1)
    _, err = host.run("keystone-manage db_sync --expand")
    assert "INFO alembic.runtime.migration" in err and "Running upgrade  -> 1, resource" in err
    _, err = host.run("keystone-manage db_sync --check", status=4)
    assert "keystone-manage db_sync --contract" in err
    host.run("keystone-manage db_sync --migrate")
    host.run("keystone-manage db_sync --contract")
    host.run("keystone-manage db_sync --check")
    _, err = host.run("keystone-manage db_sync")
    assert "Running upgrade" not in err
    assert host.run("keystone-manage db_version")[0] == "29e87d24a316\n"
    host.run("keystone-manage db_sync 42", status=1)
    _, err = host.run("keystone-manage db_sync --expand --check", status=2)
    assert "keystone-manage db_sync: error: argument --check: not allowed with argument --expand" in err


def test_bootstrap_again_and_again(host):
    host.run("keystone-manage db_sync")
    out, _ = host.run("keystone-manage bootstrap", status=1)
    assert "OS_BOOTSTRAP_PASSWORD" in out
    line = (f"keystone-manage bootstrap --bootstrap-password {SECRET} --bootstrap-admin-url http://c:5000/v3/ "
            "--bootstrap-internal-url http://c:5000/v3/ --bootstrap-public-url http://c:5000/v3/ --bootstrap-region-id RegionOne")
    _, err = host.run(line)
    for words in ("Created domain default", "Created project admin", "Created user admin", "Created role reader",
                  "Created role member", "Created region RegionOne", "Created public endpoint http://c:5000/v3/",
                  "Granted role admin on project admin to user admin.", "Granted role admin on the system to user admin."):
        assert words in err, words
    _, err = host.run(line)
    assert "Created" not in err and "Reset password" not in err and "User admin already exists, skipping creation." in err
    # the environment wins over the argument; another password replaces the old one
    _, err = host.run("keystone-manage bootstrap --bootstrap-password other --bootstrap-username admin",
                      env={"OS_BOOTSTRAP_PASSWORD": SECRET})
    assert "Reset password" not in err
    _, err = host.run("keystone-manage bootstrap --bootstrap-password other")
    assert "Reset password for user admin." in err
    # a blank in the middle of a URL, as the guide has it by mistake
    _, err = host.run(f"keystone-manage bootstrap --bootstrap-password {SECRET} --bootstrap-public-url http://c 5000/v3/",
                      status=2)
    assert "keystone-manage: error: unrecognized arguments: 5000/v3/" in err


def test_keys(host):
    keys = host.home / "fernet-keys"
    _, err = host.run(f"keystone-manage fernet_setup {OWNER}")
    for words in ("does not appear to exist; attempting to create it", "Created a new temporary key: ", "Become a valid new key: ",
                  "Starting key rotation with 1 key files: ['", "Current primary key is: 0", "Next primary key will be: 1",
                  "Promoted key 0 to be the primary: 1"):
        assert words in err, words
    assert sorted(os.listdir(keys)) == ["0", "1"] and oct(keys.stat().st_mode)[-3:] == "700"
    assert oct((keys / "1").stat().st_mode)[-3:] == "600"
    first = (keys / "1").read_text()
    _, err = host.run(f"keystone-manage fernet_setup {OWNER}")
    assert "Key repository is already initialized; aborting." in err and (keys / "1").read_text() == first
    for _ in range(3):
        host.run(f"keystone-manage fernet_rotate {OWNER}")
    assert sorted(os.listdir(keys)) == ["0", "3", "4"]
    assert all((keys / name).read_text() not in err for name in os.listdir(keys))
    if os.getuid() == 0:
        _, err = host.run("keystone-manage fernet_setup", status=2)
        assert "the following arguments are required: --keystone-user, --keystone-group" in err
        host.run("keystone-manage fernet_setup --keystone-user nobody --keystone-group no-such-group", status=1)
        shutil.rmtree(keys)
        host.run("keystone-manage fernet_setup --keystone-user nobody --keystone-group nogroup")
        assert keys.stat().st_uid == (keys / "0").stat().st_uid == 65534
    host.run("keystone-manage db_sync")
    host.run(f"keystone-manage credential_setup {OWNER}")
    host.run(f"keystone-manage credential_rotate {OWNER}")
    host.run(f"keystone-manage credential_migrate {OWNER}")
    host.run(f"keystone-manage receipt_setup {OWNER}")
    host.run(f"keystone-manage create_jws_keypair {OWNER}")
    assert "BEGIN PRIVATE KEY" in (host.home / "private.pem").read_text()
    assert oct((host.home / "private.pem").stat().st_mode)[-3:] == "600"
    _, err = host.run(f"keystone-manage create_jws_keypair {OWNER}", status=1)
    assert "already exists" in err
    host.run(f"keystone-manage create_jws_keypair --force {OWNER}")
    out, _ = host.run("keystone-manage doctor")
    assert out == ""
    shutil.rmtree(host.home / "credential-keys")
    out, _ = host.run("keystone-manage doctor", status=1)
    assert "WARNING: Credential key repository is empty." in out


def test_keystone_rows(host):
    host.run("keystone-manage db_sync")
    host.run(f"keystone-manage bootstrap --bootstrap-password {SECRET}")
    host.run("keystone-manage trust_flush --date 01-02-2024")
    host.run("keystone-manage trust_flush --date yesterday", status=1)
    _, err = host.run("keystone-manage mapping_purge", status=1)
    assert "At least one option must be provided" in err
    host.run("keystone-manage mapping_purge --all")
    host.run("keystone-manage mapping_purge --type tribe", status=2)
    host.run("keystone-manage project_setup --project-name demo --project-id 0123456789abcdef0123456789abcdef")
    _, err = host.run("keystone-manage project_setup --project-name demo")
    assert "Project demo already exists, skipping creation." in err
    host.run(f"keystone-manage user_setup --username demo --user-password-plain {SECRET} --user-id abc")
    host.run(f"keystone-manage user_setup --username demo --user-password-plain {SECRET} --user-id other", status=1)
    host.run("keystone-manage reset_last_active", status=1, stdin="n\n")
    host.run("keystone-manage reset_last_active --force")


def test_keystone_files(host):
    directory = host.home / "domains"
    conf = host.home / ".keystone" / "keystone.conf"
    conf.write_text(conf.read_text() + f"[identity]\ndomain_config_dir = {directory}\n")
    host.run("keystone-manage db_sync")
    host.run(f"keystone-manage bootstrap --bootstrap-password {SECRET}")
    out, _ = host.run("keystone-manage domain_config_upload", status=1)
    assert "use either --all or --domain-name" in out
    assert "Unable to locate domain config directory" in host.run("keystone-manage domain_config_upload --all", status=1)[0]
    directory.mkdir()
    (directory / "keystone.Default.conf").write_text(f"[ldap]\nurl = ldap://directory\npassword = {SECRET}\n"
                                                     "[identity]\ndriver = ldap\n")
    (directory / "keystone.Nowhere.conf").write_text("[ldap]\nurl = ldap://directory\n")
    out, err = host.run("keystone-manage domain_config_upload --all", status=1)
    assert "Invalid domain name: Nowhere found in config file name" in out and "Successfully uploaded domain config" in err
    out, _ = host.run("keystone-manage domain_config_upload --domain-name Default", status=1)
    assert "Domain: Default already has a configuration defined" in out
    rules = host.home / "rules.json"
    rules.write_text(json.dumps([{"local": [{"user": {"name": "{0}"}, "group": {"id": "abc"}}], "remote": [{"type": "LOGIN"}]}]))
    (host.home / "input").write_text("LOGIN: me\n\nEMAIL: me@example.com\n")
    out, _ = host.run("keystone-manage mapping_engine --rules rules.json --input input")
    mapped = json.loads(out)
    assert mapped["user"]["name"] == "me" and mapped["group_ids"] == ["abc"]
    (host.home / "input").write_text("no colon\n")
    _, err = host.run("keystone-manage mapping_engine --rules rules.json --input input", status=1)
    assert "at line 1 expected 'key: value' but found 'no colon'" in err
    rules.write_text("{")
    host.run("keystone-manage mapping_engine --rules rules.json --input input", status=1)
    host.run("keystone-manage mapping_engine --rules rules.json", status=2)


# ---- the others ----

def test_placement(host):
    assert host.run("placement-manage db version")[0] == "None\n"
    host.run("placement-manage db sync")
    assert host.run("placement-manage db version")[0] == "422ece571366\n"
    out, _ = host.run("placement-manage db online_data_migrations")
    assert re.search(r"\|    set_root_provider_ids    \|      0      \|     0     \|", out)
    host.run("placement-manage db online_data_migrations --max-count none", status=127)
    host.run("placement-manage db stamp head")
    assert host.run("placement-status upgrade check")[0] == """\
+-------------------------------------------+
| Upgrade Check Results                     |
+-------------------------------------------+
| Check: Missing Root Provider IDs          |
| Result: Success                           |
| Details: None                             |
+-------------------------------------------+
| Check: Incomplete Consumers               |
| Result: Success                           |
| Details: None                             |
+-------------------------------------------+
| Check: Policy File JSON to YAML Migration |
| Result: Success                           |
| Details: None                             |
+-------------------------------------------+
"""
    host.write("placement", "policy.yaml", json.dumps({"placement:traits:list": "role:admin"}))
    out, _ = host.run("placement-status upgrade check", status=2)
    assert "| Result: Failure " in out and "JSON-formatted" in out
    checks = json.loads(host.run("placement-status upgrade check --json", status=2)[0])["checks"]
    assert [c["result"] for c in checks] == [0, 0, 2]


def test_glance(host):
    host.run("glance-manage db check", status=3)
    host.run("glance-manage db contract", status=1)
    out, _ = host.run("glance-manage db_sync")
    assert "Database is synced successfully." in out
    assert "Database is up to date. No migrations needed." in host.run("glance-manage db sync")[0]
    assert "Database is up to date. No upgrades needed." in host.run("glance-manage db check")[0]
    assert host.run("glance-manage db_version")[0] == "wallaby_contract01\n"
    host.run("glance-manage db expand")
    host.run("glance-manage db migrate")
    host.run("glance-manage db purge --age_in_days 1 --max_rows 5")
    host.run("glance-manage db purge_images_table")
    host.run("glance-manage db purge --age_in_days=-1", status=1)
    host.run("glance-manage db load_metadefs", status=1)


def table(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def nova_sql(host, sql):
    if hasattr(host, "server"):
        return host.server.sql(sql, host.names["nova"]).strip()
    with sqlite3.connect(host.home / "db" / "nova.db") as db:
        rows = db.execute(sql).fetchall()
        return str(rows[0][0]) if rows else ""


def add_node(host, name):
    nova_sql(host, "INSERT INTO compute_nodes (uuid, host, hypervisor_hostname, hypervisor_type, hypervisor_version, vcpus,"
           " memory_mb,"
           " local_gb, vcpus_used, memory_mb_used, local_gb_used, free_ram_mb, free_disk_gb, current_workload, running_vms,"
           f" created_at, updated_at) VALUES ('u-{name}', '{name}', '{name}', 'QEMU', 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1)")


def test_nova_cells(host):
    host.run("nova-manage api_db sync")
    host.run("nova-manage db sync")
    assert host.run("nova-manage db version")[0].strip().isdigit() and host.run("nova-manage api_db version")[0] == "1\n"
    out, _ = host.run("nova-status upgrade check", status=2)
    assert "There needs to be at least two cell mappings" in out
    host.run("nova-manage cell_v2 map_cell0")
    assert host.run("nova-manage cell_v2 map_cell0")[0] == "Cell0 is already setup\n"
    out, _ = host.run("nova-manage cell_v2 create_cell --name=cell1 --verbose")
    cell = out.splitlines()[-1]
    assert re.fullmatch(r"[0-9a-f-]{36}", cell)
    host.run("nova-manage cell_v2 create_cell --name=cell1 --verbose", status=2)
    out, _ = host.run("nova-manage cell_v2 list_cells")
    rows = table(out)
    assert rows[0] == ["Name", "UUID", "Transport URL", "Database Connection", "Disabled"]
    assert rows[1][:3] == ["cell0", "00000000-0000-0000-0000-000000000000", "none:/"] and "_cell0" in rows[1][3]
    assert rows[2][:3] == ["cell1", cell, "rabbit://openstack:****@controller:5672/"] and rows[2][4] == "False"
    if hasattr(host, "server"):
        assert ":****@127.0.0.1" in rows[2][3] and host.server.password not in out
    assert "hushhush" in host.run("nova-manage cell_v2 list_cells --verbose")[0]
    host.run("nova-manage cell_v2 simple_cell_setup", status=1)  # no host is there yet
    add_node(host, "compute")
    assert host.run("nova-manage cell_v2 discover_hosts --verbose")[0].splitlines() == [
        "Found 2 cell mappings.", "Skipping cell0 since it does not contain hosts.",
        f"Getting computes from cell 'cell1': {cell}", "Checking host mapping for compute host 'compute': u-compute",
        "Creating host mapping for compute host 'compute': u-compute", f"Found 1 unmapped computes in cell: {cell}"]
    host.run("nova-manage cell_v2 discover_hosts --strict", status=1)
    assert table(host.run("nova-manage cell_v2 list_hosts")[0])[1:] == [["cell1", cell, "compute"]]
    host.run("nova-manage cell_v2 simple_cell_setup")
    host.run(f"nova-manage cell_v2 update_cell --cell_uuid {cell} --name one --disable")
    assert table(host.run("nova-manage cell_v2 list_cells")[0])[2][::4] == ["one", "True"]
    host.run(f"nova-manage cell_v2 update_cell --cell_uuid {cell} --disable --enable", status=4)
    host.run(f"nova-manage cell_v2 delete_cell --cell_uuid {cell}", status=2)
    host.run(f"nova-manage cell_v2 delete_host --cell_uuid {cell} --host nobody", status=2)
    host.run(f"nova-manage cell_v2 delete_host --cell_uuid {cell} --host compute")
    host.run(f"nova-manage cell_v2 delete_cell --cell_uuid {cell}")
    host.run(f"nova-manage cell_v2 delete_cell --cell_uuid {cell}", status=1)
    host.run("nova-manage cell_v2 verify_instance --uuid nothing", status=1)
    host.run("nova-manage db online_data_migrations")
    host.run("nova-manage db online_data_migrations --max-count 0", status=127)


def add_server(host, uuid, deleted_at):
    nova_sql(host, "INSERT INTO instances (uuid, project_id, user_id, display_name, launch_index, vm_state, power_state,"
             " progress, memory_mb, vcpus, root_gb, ephemeral_gb, created_at, updated_at, launched_at, terminated_at, deleted,"
             f" deleted_at, generation, auto_disk_config) VALUES ('{uuid}', 'p', 'u', 'n', 0, 'deleted', 0, 0, 1, 1, 1, 0, 1, 1,"
             f" 1, 1, {int(deleted_at > 0)}, {deleted_at}, 1, 0)")
    nova_sql(host, "INSERT INTO instance_actions (instance_uuid, action, request_id, start_time, finish_time, created_at,"
             f" updated_at) VALUES ('{uuid}', 'create', 'req-1', 1, 2, 1, 1)")
    nova_sql(host, "INSERT INTO instance_actions_events (action_id, event, start_time, finish_time) SELECT id, 'e', 1, 2 FROM"
             f" instance_actions WHERE instance_uuid = '{uuid}'")


def test_nova_archive(host):
    host.run("nova-manage db sync")
    moment = 1700000000000000
    for uuid, deleted_at in (("alive", 0), ("old", moment), ("new", moment + 10 ** 14)):
        add_server(host, uuid, deleted_at)
    host.run("nova-manage db purge", status=1)
    host.run("nova-manage db purge --all", status=3)
    host.run("nova-manage db archive_deleted_rows --max_rows 0", status=2)
    host.run("nova-manage db archive_deleted_rows --before sometime", status=4)
    out, _ = host.run("nova-manage db archive_deleted_rows --before 2024-01-01 --verbose", status=1)
    assert table(out)[1:] == [["instances", "1"], ["instance_actions", "1"], ["instance_actions_events", "1"]]
    host.run("nova-manage db archive_deleted_rows --until-complete", status=1)
    assert "Nothing was archived." in host.run("nova-manage db archive_deleted_rows --verbose")[0]
    for name in ("instances", "instance_actions", "instance_actions_events"):
        assert nova_sql(host, f"SELECT COUNT(*) FROM {name}") == "1"
        assert nova_sql(host, f"SELECT COUNT(*) FROM shadow_{name}") == "2"
    host.run("nova-manage db purge --before 2024-01-01")
    assert nova_sql(host, "SELECT COUNT(*) FROM shadow_instance_actions_events") == "1"
    assert "Purged 3 rows" in host.run("nova-manage db purge --all --verbose")[0]
    assert nova_sql(host, "SELECT COUNT(*) FROM instances") == "1"


def test_neutron(host):
    files = f"--config-file {host.home}/.neutron/neutron.conf --config-file {host.home}/.neutron/ml2_conf.ini"
    out, err = host.run(f"neutron-db-manage {files} upgrade head")
    assert out == "  Running upgrade for neutron ...\n  OK\n"
    assert "INFO  [alembic.runtime.migration] Running upgrade  -> 1, networks" in err
    _, err = host.run(f"neutron-db-manage {files} upgrade heads")
    assert "Running upgrade" not in err
    assert re.search(r"^\d+ \(head\)$", host.run(f"neutron-db-manage {files} current")[0], re.M)
    host.run("neutron-db-manage upgrade --expand")
    host.run("neutron-db-manage upgrade --contract")
    host.run("neutron-db-manage --subproject neutron history")
    host.run("neutron-db-manage heads")
    host.run("neutron-db-manage check_migration")
    assert "No offline migrations pending." in host.run("neutron-db-manage has_offline_migrations")[0]
    host.run("neutron-db-manage upgrade", status=1)
    host.run("neutron-db-manage upgrade -- -1", status=1)
    host.run("neutron-db-manage upgrade nonsense", status=255)


# ---- what all have in common ----

@pytest.mark.parametrize("program", PROGRAMS)
def test_help_version_and_mistakes(tmp_path, program):
    host = Host(tmp_path, lambda name: f"sqlite:///{tmp_path}/{name}.db")
    out, _ = host.run(f"{program} --help")
    assert out.startswith(f"usage: {program} [-h] [--config-dir DIR] [--config-file PATH]")
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", host.run(f"{program} --version")[0])
    for words in ("", "no-such-command", "--no-such-option"):
        out, err = host.run(f"{program} {words}", status=2)
        assert out == "" and err.startswith("usage: ") and f"{program}: error: " in err
    host.run(f"{program} --config-file /no/such/file {'upgrade check' if 'status' in program else 'db_sync'}",
             status=2 if program in ("placement-manage", "nova-manage", "neutron-db-manage") else 1)


@pytest.mark.parametrize("line", ["keystone-manage db_sync", "glance-manage db_sync", "placement-manage db sync",
                                  "nova-manage db sync", "nova-manage cell_v2 list_cells", "neutron-db-manage upgrade head"])
def test_unreachable_database(tmp_path, line):
    # by default they try ten times, ten seconds apart, as oslo.db does
    host = Host(tmp_path, lambda name: f"mysql+pymysql://nubo:{SECRET}@127.0.0.1:1/{name}\n[database]\nmax_retries = 0")
    _, err = host.run(line, status=1)
    assert err.strip() != ""


REFERENCE = {"keystone": pathlib.Path("/usr/bin/keystone-manage"), "placement": pathlib.Path("/usr/bin/placement-manage")}


@pytest.mark.skipif(not all(p.exists() for p in REFERENCE.values()), reason="the reference's programs are not installed")
def test_the_reference_finds_our_schema_and_we_its(tmp_path):
    """Upstream's programs say that our database is up to date; ours take over one that upstream made."""
    server = engines.MariaDB(password="plain").start()  # upstream's cannot take a % in its URL
    try:
        exchange(server, tmp_path)
    finally:
        server.dispose()


def exchange(server, tmp_path):
    names = [f"{whose}_{what}_{os.getpid()}" for whose in ("ours", "theirs") for what in ("keystone", "placement")]
    server.create(*names)
    for whose in ("ours", "theirs"):
        home = tmp_path / whose
        home.mkdir()
        host = Host(home, lambda name: server.url(f"{whose}_{name}_{os.getpid()}"))
        keystone, placement = home / ".keystone" / "keystone.conf", home / ".placement" / "placement.conf"
        sync = [("keystone", f"--config-file {keystone} db_sync"), ("placement", f"--config-file {placement} db sync")]
        for service, words in sync:
            host.run(f"{service}-manage {words}" if whose == "ours" else f"{REFERENCE[service]} {words}")
        for service, words in reversed(sync):
            host.run(f"{REFERENCE[service]} {words}" if whose == "ours" else f"{service}-manage {words}")
        host.run(f"keystone-manage --config-file {keystone} db_sync --check")
        host.run(f"{REFERENCE['keystone']} --config-file {keystone} db_sync --check")
        assert host.run(f"{REFERENCE['placement']} --config-file {placement} db version")[0].strip() == "422ece571366"
