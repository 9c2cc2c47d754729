/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON home document (draft-nottingham-json-home): which resources there are and where, by the names that the
 * reference gives their relations.
 */
#include "keystone/state.h"

#include "oslo/json.h"

#include <string.h>

#define RELATIONS "https://docs.openstack.org/api/openstack-identity/3"

struct home_row {
    const char *relation;  /* below /rel/, or below /ext/ when it has a slash */
    const char *path;      /* below /v3 */
    bool experimental;
};

static const struct home_row home[] = {
    { "auth_catalog", "/auth/catalog" },
    { "auth_domains", "/auth/domains" },
    { "auth_projects", "/auth/projects" },
    { "auth_system", "/auth/system" },
    { "auth_tokens", "/auth/tokens" },
    { "credentials", "/credentials" },
    { "credential", "/credentials/{credential_id}" },
    { "domains", "/domains" },
    { "domain_config_default", "/domains/config/default" },
    { "domain_config_default_group", "/domains/config/{group}/default" },
    { "domain_config_default_option", "/domains/config/{group}/{option}/default" },
    { "domain", "/domains/{domain_id}" },
    { "domain_config", "/domains/{domain_id}/config" },
    { "domain_config_group", "/domains/{domain_id}/config/{group}" },
    { "domain_config_option", "/domains/{domain_id}/config/{group}/{option}" },
    { "domain_group_roles", "/domains/{domain_id}/groups/{group_id}/roles" },
    { "domain_group_role", "/domains/{domain_id}/groups/{group_id}/roles/{role_id}" },
    { "domain_user_roles", "/domains/{domain_id}/users/{user_id}/roles" },
    { "domain_user_role", "/domains/{domain_id}/users/{user_id}/roles/{role_id}" },
    { "endpoints", "/endpoints" },
    { "endpoint", "/endpoints/{endpoint_id}" },
    { "groups", "/groups" },
    { "group", "/groups/{group_id}" },
    { "group_users", "/groups/{group_id}/users" },
    { "group_user", "/groups/{group_id}/users/{user_id}" },
    { "limits", "/limits", true },
    { "limit_model", "/limits/model", true },
    { "limit", "/limits/{limit_id}", true },
    { "policies", "/policies" },
    { "policy", "/policies/{policy_id}" },
    { "projects", "/projects" },
    { "project", "/projects/{project_id}" },
    { "project_group_roles", "/projects/{project_id}/groups/{group_id}/roles" },
    { "project_group_role", "/projects/{project_id}/groups/{group_id}/roles/{role_id}" },
    { "project_tags", "/projects/{project_id}/tags/{value}" },
    { "project_user_roles", "/projects/{project_id}/users/{user_id}/roles" },
    { "project_user_role", "/projects/{project_id}/users/{user_id}/roles/{role_id}" },
    { "regions", "/regions" },
    { "region", "/regions/{region_id}" },
    { "registered_limits", "/registered_limits", true },
    { "registered_limit", "/registered_limits/{registered_limit_id}", true },
    { "role_assignments", "/role_assignments" },
    { "role_inferences", "/role_inferences" },
    { "roles", "/roles" },
    { "implied_roles", "/roles/{prior_role_id}/implies" },
    { "implied_role", "/roles/{prior_role_id}/implies/{implied_role_id}" },
    { "role", "/roles/{role_id}" },
    { "services", "/services" },
    { "service", "/services/{service_id}" },
    { "system_group_roles", "/system/groups/{group_id}/roles" },
    { "system_group_role", "/system/groups/{group_id}/roles/{role_id}" },
    { "system_user_roles", "/system/users/{user_id}/roles" },
    { "system_user_role", "/system/users/{user_id}/roles/{role_id}" },
    { "users", "/users" },
    { "user", "/users/{user_id}" },
    { "access_rules", "/users/{user_id}/access_rules" },
    { "access_rule", "/users/{user_id}/access_rules/{access_rule_id}" },
    { "application_credentials", "/users/{user_id}/application_credentials" },
    { "application_credential", "/users/{user_id}/application_credentials/{application_credential_id}" },
    { "user_groups", "/users/{user_id}/groups" },
    { "user_change_password", "/users/{user_id}/password" },
    { "user_projects", "/users/{user_id}/projects" },
    { "OS-EP-FILTER/1.0/rel/endpoint_groups", "/OS-EP-FILTER/endpoint_groups" },
    { "OS-EP-FILTER/1.0/rel/endpoint_group", "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}" },
    { "OS-EP-FILTER/1.0/rel/endpoints_in_endpoint_group",
      "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/endpoints" },
    { "OS-EP-FILTER/1.0/rel/projects_associated_with_endpoint_group",
      "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects" },
    { "OS-EP-FILTER/1.0/rel/endpoint_group_to_project_association",
      "/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}" },
    { "OS-EP-FILTER/1.0/rel/endpoint_projects", "/OS-EP-FILTER/endpoints/{endpoint_id}/projects" },
    { "OS-EP-FILTER/1.0/rel/project_endpoint_groups", "/OS-EP-FILTER/projects/{project_id}/endpoint_groups" },
    { "OS-EP-FILTER/1.0/rel/project_endpoints", "/OS-EP-FILTER/projects/{project_id}/endpoints" },
    { "OS-EP-FILTER/1.0/rel/project_endpoint", "/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}" },
    { "OS-FEDERATION/1.0/rel/identity_providers", "/OS-FEDERATION/identity_providers" },
    { "OS-FEDERATION/1.0/rel/identity_provider", "/OS-FEDERATION/identity_providers/{idp_id}" },
    { "OS-FEDERATION/1.0/rel/identity_provider_protocols", "/OS-FEDERATION/identity_providers/{idp_id}/protocols" },
    { "OS-FEDERATION/1.0/rel/identity_provider_protocol",
      "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}" },
    { "OS-FEDERATION/1.0/rel/identity_provider_protocol_auth",
      "/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/auth" },
    { "OS-FEDERATION/1.0/rel/mappings", "/OS-FEDERATION/mappings" },
    { "OS-FEDERATION/1.0/rel/mapping", "/OS-FEDERATION/mappings/{mapping_id}" },
    { "OS-FEDERATION/1.0/rel/metadata", "/OS-FEDERATION/saml2/metadata" },
    { "OS-FEDERATION/1.0/rel/saml2", "/auth/OS-FEDERATION/saml2" },
    { "OS-FEDERATION/1.0/rel/ecp", "/auth/OS-FEDERATION/saml2/ecp" },
    { "OS-FEDERATION/1.0/rel/service_providers", "/OS-FEDERATION/service_providers" },
    { "OS-FEDERATION/1.0/rel/service_provider", "/OS-FEDERATION/service_providers/{sp_id}" },
    { "OS-INHERIT/1.0/rel/domain_group_roles_inherited_to_projects",
      "/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/inherited_to_projects" },
    { "OS-INHERIT/1.0/rel/domain_group_role_inherited_to_projects",
      "/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects" },
    { "OS-INHERIT/1.0/rel/domain_user_roles_inherited_to_projects",
      "/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/inherited_to_projects" },
    { "OS-INHERIT/1.0/rel/domain_user_role_inherited_to_projects",
      "/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/{role_id}/inherited_to_projects" },
    { "OS-INHERIT/1.0/rel/project_group_role_inherited_to_projects",
      "/OS-INHERIT/projects/{project_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects" },
    { "OS-INHERIT/1.0/rel/project_user_role_inherited_to_projects",
      "/OS-INHERIT/projects/{project_id}/users/{user_id}/roles/{role_id}/inherited_to_projects" },
    { "OS-OAUTH1/1.0/rel/access_tokens", "/OS-OAUTH1/access_token" },
    { "OS-OAUTH1/1.0/rel/authorize_request_token", "/OS-OAUTH1/authorize/{request_token_id}" },
    { "OS-OAUTH1/1.0/rel/consumers", "/OS-OAUTH1/consumers" },
    { "OS-OAUTH1/1.0/rel/consumer", "/OS-OAUTH1/consumers/{consumer_id}" },
    { "OS-OAUTH1/1.0/rel/request_tokens", "/OS-OAUTH1/request_token" },
    { "OS-OAUTH2/1.0/rel/token", "/OS-OAUTH2/token" },
    { "OS-REVOKE/1.0/rel/events", "/OS-REVOKE/events" },
    { "OS-SIMPLE-CERT/1.0/rel/ca_certificate", "/OS-SIMPLE-CERT/ca" },
    { "OS-SIMPLE-CERT/1.0/rel/certificates", "/OS-SIMPLE-CERT/certificates" },
    { "OS-TRUST/1.0/rel/trusts", "/OS-TRUST/trusts" },
    { "OS-TRUST/1.0/rel/trust", "/OS-TRUST/trusts/{trust_id}" },
    { "OS-TRUST/1.0/rel/trust_roles", "/OS-TRUST/trusts/{trust_id}/roles" },
    { "OS-TRUST/1.0/rel/trust_role", "/OS-TRUST/trusts/{trust_id}/roles/{role_id}" },
    { "OS-FEDERATION/1.0/rel/identity_providers_websso",
      "/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{protocol_id}/websso" },
    { "OS-FEDERATION/1.0/rel/websso", "/auth/OS-FEDERATION/websso/{protocol_id}" },
    { "OS-FEDERATION/1.0/rel/domains", "/auth/domains" },
    { "OS-FEDERATION/1.0/rel/projects", "/auth/projects" },
    { "OS-PKI/1.0/rel/revocations", "/auth/tokens/OS-PKI/revoked" },
    { "OS-EC2/1.0/rel/ec2tokens", "/ec2tokens" },
    { "OS-ENDPOINT-POLICY/1.0/rel/endpoint_policy", "/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy" },
    { "OS-ENDPOINT-POLICY/1.0/rel/policy_endpoints", "/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints" },
    { "OS-ENDPOINT-POLICY/1.0/rel/endpoint_policy_association",
      "/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints/{endpoint_id}" },
    { "OS-ENDPOINT-POLICY/1.0/rel/service_policy_association",
      "/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}" },
    { "OS-ENDPOINT-POLICY/1.0/rel/region_and_service_policy_association",
      "/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}/regions/{region_id}" },
    { "s3tokens/1.0/rel/s3tokens", "/s3tokens" },
    { "OS-OAUTH1/1.0/rel/user_access_tokens", "/users/{user_id}/OS-OAUTH1/access_tokens" },
    { "OS-OAUTH1/1.0/rel/user_access_token", "/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}" },
    { "OS-OAUTH1/1.0/rel/user_access_token_roles", "/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}/roles" },
    { "OS-OAUTH1/1.0/rel/user_access_token_role",
      "/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}/roles/{role_id}" },
    { "OS-EC2/1.0/rel/user_credentials", "/users/{user_id}/credentials/OS-EC2" },
    { "OS-EC2/1.0/rel/user_credential", "/users/{user_id}/credentials/OS-EC2/{credential_id}" },
};

/* Parameters whose relation is not /param/ and their name. */
static const struct {
    const char *name, *relation;
} parameters[] = {
    { "access_token_id", "ext/OS-OAUTH1/1.0/param/access_token_id" },
    { "consumer_id", "ext/OS-OAUTH1/1.0/param/consumer_id" },
    { "endpoint_group_id", "ext/OS-EP-FILTER/1.0/param/endpoint_group_id" },
    { "group", "param/config_group" },
    { "idp_id", "ext/OS-FEDERATION/1.0/param/idp_id" },
    { "implied_role_id", "param/role_id" },
    { "mapping_id", "ext/OS-FEDERATION/1.0/param/mapping_id" },
    { "option", "param/config_option" },
    { "prior_role_id", "param/role_id" },
    { "protocol_id", "ext/OS-FEDERATION/1.0/param/protocol_id" },
    { "request_token_id", "ext/OS-OAUTH1/1.0/param/request_token_id" },
    { "sp_id", "ext/OS-FEDERATION/1.0/param/sp_id" },
    { "trust_id", "ext/OS-TRUST/1.0/param/trust_id" },
    { "value", "param/tag_value" },
};

static const char *parameter_relation(struct arena *arena, const char *name)
{
    for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
        if (strcmp(parameters[i].name, name) == 0)
            return parameters[i].relation;
    return arena_printf(arena, "param/%s", name);
}

/* "href-vars" of the {names} in a path. */
static void write_variables(struct request *rq, const char *path)
{
    json_begin(&rq->json, "href-vars");
    for (const char *open = strchr(path, '{'); open != NULL; open = strchr(open + 1, '{')) {
        const char *name = arena_strndup(rq->cx.arena, open + 1, (size_t)(strchr(open, '}') - open - 1));
        json_textf(&rq->json, name, RELATIONS "/%s", parameter_relation(rq->cx.arena, name));
    }
    json_end(&rq->json);
}

void json_home_write(struct request *rq, const char *prefix)
{
    json_begin(&rq->json, NULL);
    json_begin(&rq->json, "resources");
    for (size_t i = 0; i < sizeof(home) / sizeof(home[0]); i++) {
        bool extension = strchr(home[i].relation, '/') != NULL, template = strchr(home[i].path, '{') != NULL;
        json_begin(&rq->json, arena_printf(rq->cx.arena, RELATIONS "/%s/%s", extension ? "ext" : "rel", home[i].relation));
        json_textf(&rq->json, template ? "href-template" : "href", "%s%s", prefix, home[i].path);
        if (template)
            write_variables(rq, home[i].path);
        if (home[i].experimental) {
            json_begin(&rq->json, "hints");
            json_text(&rq->json, "status", "experimental");
            json_end(&rq->json);
        }
        json_end(&rq->json);
    }
    json_end(&rq->json);
    json_end(&rq->json);
    rq->content_type = "application/json-home";
}
