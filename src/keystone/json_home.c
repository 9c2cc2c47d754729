/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON home document (draft-nottingham-json-home): which resources there are and where, by the names that the
 * reference gives their relations. Only what this service answers is in it.
 */
#include "keystone/state.h"

#include "oslo/json.h"

#include <string.h>

#define RELATIONS "https://docs.openstack.org/api/openstack-identity/3"

struct home_row {
    const char *relation;  /* below /rel/, or below /ext/ when it has a slash */
    const char *path;      /* below /v3 */
};

static const struct home_row home[] = {
    { "auth_tokens",         "/auth/tokens" },
    { "auth_catalog",        "/auth/catalog" },
    { "auth_projects",       "/auth/projects" },
    { "auth_domains",        "/auth/domains" },
    { "auth_system",         "/auth/system" },
    { "users",               "/users" },
    { "user",                "/users/{user_id}" },
    { "user_change_password", "/users/{user_id}/password" },
    { "user_groups",         "/users/{user_id}/groups" },
    { "user_projects",       "/users/{user_id}/projects" },
    { "application_credentials", "/users/{user_id}/application_credentials" },
    { "application_credential", "/users/{user_id}/application_credentials/{application_credential_id}" },
    { "access_rules",        "/users/{user_id}/access_rules" },
    { "access_rule",         "/users/{user_id}/access_rules/{access_rule_id}" },
    { "credentials",         "/credentials" },
    { "credential",          "/credentials/{credential_id}" },
    { "groups",              "/groups" },
    { "group",               "/groups/{group_id}" },
    { "group_users",         "/groups/{group_id}/users" },
    { "group_user",          "/groups/{group_id}/users/{user_id}" },
    { "domains",             "/domains" },
    { "domain",              "/domains/{domain_id}" },
    { "domain_user_roles",   "/domains/{domain_id}/users/{user_id}/roles" },
    { "domain_user_role",    "/domains/{domain_id}/users/{user_id}/roles/{role_id}" },
    { "domain_group_roles",  "/domains/{domain_id}/groups/{group_id}/roles" },
    { "domain_group_role",   "/domains/{domain_id}/groups/{group_id}/roles/{role_id}" },
    { "projects",            "/projects" },
    { "project",             "/projects/{project_id}" },
    { "project_tags",        "/projects/{project_id}/tags" },
    { "project_user_roles",  "/projects/{project_id}/users/{user_id}/roles" },
    { "project_user_role",   "/projects/{project_id}/users/{user_id}/roles/{role_id}" },
    { "project_group_roles", "/projects/{project_id}/groups/{group_id}/roles" },
    { "project_group_role",  "/projects/{project_id}/groups/{group_id}/roles/{role_id}" },
    { "system_user_roles",   "/system/users/{user_id}/roles" },
    { "system_user_role",    "/system/users/{user_id}/roles/{role_id}" },
    { "system_group_roles",  "/system/groups/{group_id}/roles" },
    { "system_group_role",   "/system/groups/{group_id}/roles/{role_id}" },
    { "roles",               "/roles" },
    { "role",                "/roles/{role_id}" },
    { "implied_roles",       "/roles/{prior_role_id}/implies" },
    { "implied_role",        "/roles/{prior_role_id}/implies/{implied_role_id}" },
    { "role_inferences",     "/role_inferences" },
    { "role_assignments",    "/role_assignments" },
    { "regions",             "/regions" },
    { "region",              "/regions/{region_id}" },
    { "services",            "/services" },
    { "service",             "/services/{service_id}" },
    { "endpoints",           "/endpoints" },
    { "endpoint",            "/endpoints/{endpoint_id}" },
    { "OS-INHERIT/1.0/rel/domain_user_roles_inherited_to_projects",
      "/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/inherited_to_projects" },
    { "OS-INHERIT/1.0/rel/domain_user_role_inherited_to_projects",
      "/OS-INHERIT/domains/{domain_id}/users/{user_id}/roles/{role_id}/inherited_to_projects" },
    { "OS-INHERIT/1.0/rel/domain_group_roles_inherited_to_projects",
      "/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/inherited_to_projects" },
    { "OS-INHERIT/1.0/rel/domain_group_role_inherited_to_projects",
      "/OS-INHERIT/domains/{domain_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects" },
    { "OS-INHERIT/1.0/rel/project_user_role_inherited_to_projects",
      "/OS-INHERIT/projects/{project_id}/users/{user_id}/roles/{role_id}/inherited_to_projects" },
    { "OS-INHERIT/1.0/rel/project_group_role_inherited_to_projects",
      "/OS-INHERIT/projects/{project_id}/groups/{group_id}/roles/{role_id}/inherited_to_projects" },
    { "OS-REVOKE/1.0/rel/events", "/OS-REVOKE/events" },
    { "OS-EC2/1.0/rel/user_credentials", "/users/{user_id}/credentials/OS-EC2" },
    { "OS-EC2/1.0/rel/user_credential", "/users/{user_id}/credentials/OS-EC2/{credential_id}" },
    { "OS-EC2/1.0/rel/ec2tokens", "/ec2tokens" },
    { "s3tokens/1.0/rel/s3tokens", "/s3tokens" },
    { "OS-TRUST/1.0/rel/trusts", "/OS-TRUST/trusts" },
    { "OS-TRUST/1.0/rel/trust", "/OS-TRUST/trusts/{trust_id}" },
    { "OS-TRUST/1.0/rel/trust_roles", "/OS-TRUST/trusts/{trust_id}/roles" },
    { "OS-TRUST/1.0/rel/trust_role", "/OS-TRUST/trusts/{trust_id}/roles/{role_id}" },
};

/* "href-vars" of the {names} in a path. */
static void write_variables(struct request *rq, const char *path)
{
    json_begin(&rq->json, "href-vars");
    for (const char *open = strchr(path, '{'); open != NULL; open = strchr(open + 1, '{')) {
        const char *name = arena_strndup(rq->cx.arena, open + 1, (size_t)(strchr(open, '}') - open - 1));
        bool role = strcmp(name, "prior_role_id") == 0 || strcmp(name, "implied_role_id") == 0;
        bool trust = strcmp(name, "trust_id") == 0;
        json_textf(&rq->json, name, RELATIONS "%s/param/%s", trust ? "/ext/OS-TRUST/1.0" : "", role ? "role_id" : name);
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
        json_end(&rq->json);
    }
    json_end(&rq->json);
    json_end(&rq->json);
    rq->content_type = "application/json-home";
}
