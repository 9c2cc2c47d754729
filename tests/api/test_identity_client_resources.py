# SPDX-License-Identifier: Apache-2.0
"""The resources of identity through Debian's own clients: the library, and the openstack command."""
import uuid

import pytest
from keystoneauth1 import session
from keystoneauth1.identity import v3
from keystoneclient import exceptions
from keystoneclient.v3 import client as keystone_client


@pytest.fixture(scope="module")
def client(cloud):
    auth = v3.Password(auth_url=cloud.url("identity"), username="admin", password=cloud.rc["OS_PASSWORD"], project_name="admin",
                       user_domain_name="Default", project_domain_name="Default")
    return keystone_client.Client(session=session.Session(auth=auth), endpoint_override=cloud.url("identity"))


def word():
    return "c" + uuid.uuid4().hex[:10]


def test_limits(client):
    service, project = client.services.create(word(), type=word()), client.projects.create(word(), "default")
    registered = client.registered_limits.create(service, "cores", 10, description="all")
    assert client.registered_limits.get(registered).default_limit == 10
    assert client.registered_limits.update(registered, default_limit=12).default_limit == 12
    assert [r.id for r in client.registered_limits.list(service=service)] == [registered.id]
    limit = client.limits.create(project, service, "cores", 5)
    assert client.limits.get(limit).resource_limit == 5 and client.limits.update(limit, resource_limit=6).resource_limit == 6
    with pytest.raises(exceptions.Forbidden):
        client.registered_limits.delete(registered)
    client.limits.delete(limit)
    client.registered_limits.delete(registered)
    client.projects.delete(project)
    client.services.delete(service)


def test_endpoint_filters_and_policies(client):
    service, region = client.services.create(word(), type=word()), client.regions.create(word())
    endpoint = client.endpoints.create(service, "http://x", interface="public", region=region)
    project = client.projects.create(word(), "default")
    group = client.endpoint_groups.create(word(), {"service_id": service.id}, description="d")
    assert client.endpoint_groups.get(group).filters == {"service_id": service.id}
    assert client.endpoint_groups.update(group, name="other").name == "other"
    filters = client.endpoint_filter
    filters.add_endpoint_to_project(project, endpoint)
    filters.check_endpoint_in_project(project, endpoint)
    assert [e.id for e in filters.list_endpoints_for_project(project)] == [endpoint.id]
    assert [p.id for p in filters.list_projects_for_endpoint(endpoint)] == [project.id]
    filters.add_endpoint_group_to_project(group, project)
    filters.check_endpoint_group_in_project(group, project)
    assert [g.id for g in filters.list_endpoint_groups_for_project(project)] == [group.id]
    assert [p.id for p in filters.list_projects_for_endpoint_group(group)] == [project.id]
    filters.delete_endpoint_group_from_project(group, project)
    filters.delete_endpoint_from_project(project, endpoint)
    policy = client.policies.create("{}", type="application/json")
    bound = client.endpoint_policy
    bound.create_policy_association_for_region_and_service(policy, region, service)
    bound.check_policy_association_for_region_and_service(policy, region, service)
    assert bound.get_policy_for_endpoint(endpoint).id == policy.id
    assert [e.id for e in bound.list_endpoints_for_policy(policy)] == [endpoint.id]
    bound.delete_policy_association_for_region_and_service(policy, region, service)
    for manager, thing in ((client.policies, policy), (client.endpoint_groups, group), (client.projects, project),
                           (client.endpoints, endpoint), (client.regions, region), (client.services, service)):
        manager.delete(thing)


def test_domain_configuration(client):
    domain, config = client.domains.create(word()), {"ldap": {"url": "ldap://x"}, "identity": {"driver": "ldap"}}
    made = client.domain_configs.create(domain, config)
    assert made.ldap == config["ldap"]
    assert client.domain_configs.get(domain).identity == {"driver": "ldap"}
    assert client.domain_configs.update(domain, {"ldap": {"url": "ldap://y"}}).ldap == {"url": "ldap://y"}
    client.domain_configs.delete(domain)
    with pytest.raises(exceptions.NotFound):
        client.domain_configs.get(domain)
    client.domains.update(domain, enabled=False)
    client.domains.delete(domain)


def test_federation(client):
    rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]}]
    name, federation = word(), client.federation
    mapping = federation.mappings.create(name, rules=rules)
    assert federation.mappings.get(mapping).rules == rules and name in [m.id for m in federation.mappings.list()]
    provider = federation.identity_providers.create(id=name, enabled=True, remote_ids=["r" + name])
    assert federation.identity_providers.update(provider, enabled=False).enabled is False
    federation.protocols.create("mapped", provider, mapping)
    assert federation.protocols.get(provider, "mapped").mapping_id == name
    assert [p.id for p in federation.protocols.list(provider)] == ["mapped"]
    other = federation.service_providers.create(id=name, auth_url="https://x", sp_url="https://y", enabled=True)
    assert federation.service_providers.get(other).relay_state_prefix == "ss:mem:"
    federation.service_providers.delete(other)
    federation.protocols.delete(provider, "mapped")
    federation.identity_providers.delete(provider)
    federation.mappings.delete(mapping)


def test_roles_of_domains_and_what_they_imply(client):
    domain = client.domains.create(word())
    special, plain = client.roles.create(word(), domain=domain), client.roles.create(word())
    assert [r.id for r in client.roles.list(domain_id=domain.id)] == [special.id]
    client.inference_rules.create(special, plain)
    assert client.inference_rules.get(special, plain).implies["id"] == plain.id
    user, project = client.users.create(word(), domain=domain), client.projects.create(word(), domain)
    client.roles.grant(special, user=user, project=project)
    effective = client.role_assignments.list(user=user, effective=True)
    assert [a.role["id"] for a in effective] == [plain.id]
    client.roles.grant(plain, user=user, domain=domain, os_inherit_extension_inherited=True)
    inherited = client.role_assignments.list(user=user, effective=True, project=project)
    assert {a.role["id"] for a in inherited} == {plain.id} and len(inherited) == 2
    client.domains.update(domain, enabled=False)
    client.domains.delete(domain)
    client.roles.delete(plain)


def test_commands(cloud, tmp_path):
    name, blob = word(), tmp_path / "blob"
    blob.write_text("{}")
    made, limit, limits, policy = cloud.openstack_lines(
        f"service create --name {name} {name} -f json",
        f"registered limit create --service {name} --default-limit 9 cores -f json",
        f"limit create --project admin --service {name} --resource-limit 4 cores -f json",
        "limit list -f json",
        f"policy create --type text/plain {blob} -f json")[-4:]
    assert made["default_limit"] == 9 and limit["resource_limit"] == 4 and limit["id"] in [x["ID"] for x in limits]
    shown, limits = cloud.openstack_lines(
        f"limit delete {limit['id']}", f"registered limit delete {made['id']}", f"service delete {name}",
        f"policy show {policy['id']} -f json", f"policy delete {policy['id']}", "limit list -f json")
    assert shown["rules"] == "{}" and limit["id"] not in [x["ID"] for x in limits]
