#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a tempest.conf by asking the cloud that OS_AUTH_URL and its friends (an openrc) name.

    tempest_conf.py OUT.conf

What the cloud can do is asked for, never listed here: a service by the catalog, an extension by its list, an action on a
server by whether the API knows its name. So a feature's tests run from the day on which its API is there. What the tests
need and do not make themselves (images, flavors) is made when it is not there.
"""
import configparser
import os
import pathlib
import re
import sys

from keystoneauth1 import session
from keystoneauth1.identity import v3

NOBODY = "00000000-0000-4000-8000-000000000000"     # no object has this id

# feature flags of servers: what the API must know for the flag to be true
SERVER_ACTIONS = {
    "pause":           {"pause": None},
    "suspend":         {"suspend": None},
    "resize":          {"resize": {"flavorRef": "1"}},
    "shelve":          {"shelve": None},
    "snapshot":        {"createImage": {"name": "x"}},
    "rescue":          {"rescue": {}},
    "console_output":  {"os-getConsoleOutput": {}},
    "cold_migration":  {"migrate": None},
    "live_migration":  {"os-migrateLive": {"host": None, "block_migration": False, "disk_over_commit": False}},
    "vnc_console":     {"os-getVNCConsole": {"type": "novnc"}},
    "change_password": {"changePassword": {"adminPass": "x"}},
}


# what a token of system scope may not read where scopes are enforced
PROJECT_PATHS = {"nova": ("compute", "/servers"), "neutron": ("network", "/v2.0/networks"), "glance": ("image", "/v2/images"),
                 "cinder": ("volumev3", "/volumes")}


class Cloud:
    """The cloud, asked as the user of the environment."""

    def __init__(self, env):
        self.env = env
        self.auth_url = env["OS_AUTH_URL"].rstrip("/")
        self.region = env.get("OS_REGION_NAME", "RegionOne")
        user = {"auth_url": self.auth_url, "username": env["OS_USERNAME"], "password": env["OS_PASSWORD"],
                "user_domain_name": env["OS_USER_DOMAIN_NAME"]}
        auth = v3.Password(**user, project_name=env["OS_PROJECT_NAME"], project_domain_name=env["OS_PROJECT_DOMAIN_NAME"])
        self.system = session.Session(auth=v3.Password(**user, system_scope="all"))
        self.session = session.Session(auth=auth)
        catalog = auth.get_access(self.session).service_catalog
        self.urls = {kind: urls[0].rstrip("/") for kind in {row["type"] for row in catalog.catalog}
                     if (urls := catalog.get_urls(service_type=kind, interface="public", region_name=self.region))}

    def ask(self, method, service, path, body=None, **more):
        """One request; the response, or None when the cloud has no such service."""
        if service not in self.urls:
            return None
        url = self.auth_url if service == "identity" else self.urls[service]
        return self.session.request(url + path, method, json=body, raise_exc=False, **more)

    def get(self, service, path):
        """The document at a path; {} when there is none."""
        answer = self.ask("GET", service, path)
        return answer.json() if answer is not None and answer.status_code == 200 else {}

    def make(self, service, path, body):
        answer = self.ask("POST", service, path, body)
        if answer.status_code >= 300:
            raise RuntimeError(f"POST {path} of {service}: {answer.status_code} {answer.text}")
        return answer.json()

    def knows(self, service, path):
        """Whether a route exists: its answer is not the 404 of an unknown path (which names no object)."""
        answer = self.ask("GET", service, path)
        return answer is not None and answer.status_code not in (404, 405, 501)

    def knows_action(self, body):
        """Whether compute knows an action on servers: it looks for the server, where else it refuses the name."""
        answer = self.ask("POST", "compute", f"/servers/{NOBODY}/action", body)
        return answer is not None and answer.status_code == 404 and NOBODY in answer.text

    def enforces_scope(self, name):
        service, path = PROJECT_PATHS[name]
        return service in self.urls and self.system.get(self.urls[service] + path, raise_exc=False).status_code == 403

    def versions(self, service, major):
        """(lowest, highest) microversion that a service's root announces."""
        if service not in self.urls:
            return None, None
        root = re.sub(r"/v\d[^/]*(/.*)?$", "", self.urls[service]) + "/"
        for row in self.session.get(root, raise_exc=False, authenticated=False).json().get("versions", []):
            if row["id"].startswith(major):
                return row.get("min_version"), row.get("max_version") or row.get("version")
        return None, None


def image_section(cloud):
    """Two small images, and what glance can do."""
    have = {row["name"]: row for row in cloud.get("image", "/v2/images?limit=200").get("images", [])}
    refs = []
    for name in ("cirros-conformance-disk", "conformance-alt"):  # openstackclient's tests look for that name
        if name not in have:
            row = cloud.make("image", "/v2/images", {"name": name, "disk_format": "raw", "container_format": "bare",
                                                     "visibility": "public", "min_disk": 0, "min_ram": 0})
            sent = cloud.ask("PUT", "image", f"/v2/images/{row['id']}/file", data=b"\0" * (1 << 20),
                             headers={"Content-Type": "application/octet-stream"})
            if sent.status_code != 204:
                raise RuntimeError(f"image upload: {sent.status_code} {sent.text}")
            have[name] = row
        refs.append(have[name]["id"])
    methods = cloud.get("image", "/v2/info/import").get("import-methods", {}).get("value", [])
    return refs, {
        "image": {"region": cloud.region, "build_timeout": 60},
        "image-feature-enabled": {"api_v1": False, "api_v2": True, "import_image": bool(methods), "os_glance_reserved": True,
                                  "manage_locations": False},
    }


def make_user(cloud, name, password, project, roles):
    """A user of a project of the default domain, who has these roles there."""
    project = cloud.make("identity", "/projects", {"project": {"name": project, "domain_id": "default"}})["project"]
    user = cloud.make("identity", "/users", {"user": {"name": name, "password": password, "domain_id": "default"}})["user"]
    for role in roles:
        found = cloud.get("identity", f"/roles?name={role}").get("roles")
        role = found[0] if found else cloud.make("identity", "/roles", {"role": {"name": role}})["role"]
        cloud.ask("PUT", "identity", f"/projects/{project['id']}/users/{user['id']}/roles/{role['id']}")


def make_network(cloud):
    """The shared network that servers are booted on where tests make none."""
    if cloud.get("network", "/v2.0/networks?name=private").get("networks"):
        return
    network = cloud.make("network", "/v2.0/networks", {"network": {"name": "private", "shared": True}})["network"]
    cloud.make("network", "/v2.0/subnets", {"subnet": {
        "network_id": network["id"], "name": "private", "ip_version": 4, "cidr": "10.1.0.0/20"}})


def network_section(cloud):
    extensions = sorted(row["alias"] for row in cloud.get("network", "/v2.0/extensions").get("extensions", []))
    routers = "router" in extensions
    public = None
    if routers:
        found = cloud.get("network", "/v2.0/networks?router:external=true").get("networks", [])
        public = found[0] if found else cloud.make("network", "/v2.0/networks", {
            "network": {"name": "public", "router:external": True}})["network"]
        if not public.get("subnets"):
            cloud.make("network", "/v2.0/subnets", {"subnet": {
                "network_id": public["id"], "name": "public", "ip_version": 4, "cidr": "172.24.4.0/24", "enable_dhcp": False}})
    if "compute" in cloud.urls and not routers:
        make_network(cloud)
    return {
        # tempest joins a network of a project's own to a router: without routers all projects share one
        "auth": {"create_isolated_networks": routers},
        "network": {"region": cloud.region, "build_timeout": 60, "project_network_cidr": "10.100.0.0/16",
                    "project_network_mask_bits": 28, "project_networks_reachable": False,
                    "public_network_id": public["id"] if public else "", "floating_network_name": "public"},
        "network-feature-enabled": {"ipv6": True, "ipv6_subnet_attributes": True, "floating_ips": routers,
                                    "port_admin_state_change": True, "port_security": "port-security" in extensions,
                                    "api_extensions": ",".join(extensions) or "none", "available_features": ""},
        "neutron_plugin_options": {"available_type_drivers": "flat,vlan,local,vxlan", "agent_availability_zone": "nova"},
    }


def compute_section(cloud, images, routers):
    lowest, highest = cloud.versions("compute", "v2.1")
    have = {row["name"]: row["id"] for row in cloud.get("compute", "/flavors?is_public=None").get("flavors", [])}
    for name, identity, ram in (("m1.nano", "42", 128), ("m1.micro", "84", 192), ("m1.tiny", "1", 128)):
        if name not in have:
            have[name] = cloud.make("compute", "/flavors", {"flavor": {
                "name": name, "id": identity, "ram": ram, "vcpus": 1, "disk": 1}})["flavor"]["id"]
    hosts = len(cloud.get("compute", "/os-hypervisors").get("hypervisors", []))
    features = {flag: cloud.knows_action(body) for flag, body in SERVER_ACTIONS.items()}
    features["cold_migration"] = features["cold_migration"] and hosts > 1
    features["live_migration"] = features["live_migration"] and hosts > 1
    features["shelve_migrate"] = features["shelve"] and hosts > 1
    answer = cloud.ask("GET", "compute", f"/servers/{NOBODY}/os-interface")
    features["interface_attach"] = NOBODY in answer.text
    return {
        "compute": {"region": cloud.region, "image_ref": images[0] if images else "", "image_ref_alt": images[-1] if images else "",
                    "fixed_network_name": "" if routers else "private", "flavor_ref": have["m1.nano"],
                    "flavor_ref_alt": have["m1.micro"],
                    "build_timeout": 60, "build_interval": 1,
                    "min_microversion": lowest, "max_microversion": highest, "min_compute_nodes": max(1, hosts)},
        "compute-feature-enabled": dict(features, config_drive=True, metadata_service=True, enable_instance_password=True,
                                        personality=False, attach_encrypted_volume=False, ide_bus=False,
                                        spice_console=False, serial_console=False, unified_limits=False,
                                        scheduler_enabled_filters="all"),
    }


def identity_section(cloud):
    me = cloud.session.get_user_id()
    project = cloud.session.get_project_id()
    roles = {row["name"] for row in cloud.get("identity", "/roles").get("roles", [])}
    credentials = cloud.knows("identity", f"/users/{me}/application_credentials")
    # a token of the system makes no application credential: a wrong scope is seen before a wrong body
    asked = cloud.system.post(f"{cloud.auth_url}/users/{me}/application_credentials", json={}, raise_exc=False)
    scopes = asked.status_code == 403
    return {
        "auth": {"use_dynamic_credentials": True,
                 "admin_username": cloud.env["OS_USERNAME"], "admin_password": cloud.env["OS_PASSWORD"],
                 "admin_project_name": cloud.env["OS_PROJECT_NAME"], "admin_domain_name": cloud.env["OS_USER_DOMAIN_NAME"],
                 "tempest_roles": ",".join(sorted(roles & {"creator", "heat_stack_owner"}))},
        "identity": {"uri_v3": cloud.auth_url, "uri": re.sub(r"/v3$", "/v2.0", cloud.auth_url), "auth_version": "v3",
                     "region": cloud.region, "v3_endpoint_type": "public"},
        "identity-feature-enabled": {
            "api_v2": False, "api_v2_admin": False, "api_v3": True,
            "trust": cloud.knows("identity", "/OS-TRUST/trusts"),
            "project_tags": cloud.knows("identity", f"/projects/{project}/tags"),
            "application_credentials": credentials,
            "access_rules": credentials and cloud.knows("identity", f"/users/{me}/access_rules"),
            "federation": cloud.knows("identity", "/OS-FEDERATION/identity_providers"),
            "security_compliance": False, "domain_specific_drivers": False, "external_idp": False, "enforce_scope": scopes},
    }


def sections(cloud, folder):
    there = cloud.urls
    result = {
        "DEFAULT": {"debug": False, "log_file": "tempest.log", "log_dir": folder},
        "oslo_concurrency": {"lock_path": folder / "lock"},
        "service_available": {"nova": "compute" in there, "glance": "image" in there, "neutron": "network" in there,
                              "cinder": "volumev3" in there or "block-storage" in there, "swift": "object-store" in there,
                              "horizon": False},
        # nothing answers on the addresses of simulated guests
        "validation": {"run_validation": False},
        "enforce_scope": dict({name: cloud.enforces_scope(name) for name in PROJECT_PATHS}, keystone=False),
    }
    result.update(identity_section(cloud))
    images = []
    if "image" in there:
        images, more = image_section(cloud)
        result.update(more)
    if "network" in there:
        for name, options in network_section(cloud).items():
            result.setdefault(name, {}).update(options)
    if "compute" in there:
        result.update(compute_section(cloud, images, result["auth"]["create_isolated_networks"]))
    if "placement" in there:
        lowest, highest = cloud.versions("placement", "v1")
        result["placement"] = {"region": cloud.region, "min_microversion": lowest, "max_microversion": highest}
    return result


def write(env, path):
    path = pathlib.Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    cloud = Cloud(env)
    conf = configparser.RawConfigParser()
    for name, options in sections(cloud, path.parent).items():
        if name != "DEFAULT":
            conf.add_section(name)
        for option, value in options.items():
            if value is not None:
                conf.set(name, option, str(value))
    with open(path, "w") as file:
        conf.write(file)
    return cloud


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(os.environ, sys.argv[1])
