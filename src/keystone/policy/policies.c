/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may do what by default: keystone 2023.1's rules (keystone/common/policies), one row each. Its deprecated rules allow
 * nobody whom these do not, so they are left out.
 */
#include "keystone/state.h"

#include "oslo/policy.h"

#define ANY_SCOPE (POLICY_SYSTEM | POLICY_DOMAIN | POLICY_PROJECT)
#define NO_DOMAIN (POLICY_SYSTEM | POLICY_PROJECT)

#define ADMIN                  "rule:admin_required"
#define ADMIN_OR_SYSTEM_READER "rule:admin_required or (role:reader and system_scope:all)"

/* Somebody of the domain that both the actor and the target of a grant belong to. */
#define GRANT_IN_DOMAIN(role)                                                                                          \
    "(role:" role " and domain_id:%(target.user.domain_id)s and domain_id:%(target.project.domain_id)s) or "           \
    "(role:" role " and domain_id:%(target.user.domain_id)s and domain_id:%(target.domain.id)s) or "                   \
    "(role:" role " and domain_id:%(target.group.domain_id)s and domain_id:%(target.project.domain_id)s) or "          \
    "(role:" role " and domain_id:%(target.group.domain_id)s and domain_id:%(target.domain.id)s)"
#define GRANT_READERS "((role:reader and system_scope:all) or " GRANT_IN_DOMAIN("reader") ")"
#define GRANT_ADMINS  "(" GRANT_IN_DOMAIN("admin") ")"
#define ROLE_IN_REACH "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"

static const struct policy_rule rules[] = {
    /* base */
    { "admin_required", "role:admin or is_admin:1", 0, "Who is an administrator." },
    { "service_role", "role:service", 0, "Services." },
    { "service_or_admin", "rule:admin_required or rule:service_role", 0, "Services and administrators." },
    { "owner", "user_id:%(user_id)s", 0, "The user of the path." },
    { "admin_or_owner", "rule:admin_required or rule:owner", 0, "Administrators and the user of the path." },
    { "token_subject", "user_id:%(target.token.user_id)s", 0, "Whose token it is." },
    { "admin_or_token_subject", "rule:admin_required or rule:token_subject", 0, "Administrators and whose token it is." },
    { "service_admin_or_token_subject", "rule:service_or_admin or rule:token_subject", 0, "Services, administrators and whose token it is." },

    /* user */
    { "identity:get_user",
        ADMIN_OR_SYSTEM_READER
        " or (role:reader and token.domain.id:%(target.user.domain_id)s) or user_id:%(target.user.id)s",
        ANY_SCOPE, "Show user." },
    { "identity:list_users",
        ADMIN_OR_SYSTEM_READER " or (role:reader and domain_id:%(target.domain_id)s)", ANY_SCOPE,
        "List users." },
    { "identity:list_projects_for_user", "", 0, "List projects for user." },
    { "identity:list_domains_for_user", "", 0, "List domains for user." },
    { "identity:create_user", ADMIN, ANY_SCOPE, "Create user." },
    { "identity:update_user", ADMIN, ANY_SCOPE, "Update user." },
    { "identity:delete_user", ADMIN, ANY_SCOPE, "Delete user." },

    /* project */
    { "identity:get_project",
        ADMIN_OR_SYSTEM_READER
        " or (role:reader and domain_id:%(target.project.domain_id)s) or project_id:%(target.project.id)s",
        ANY_SCOPE, "Show project." },
    { "identity:list_projects",
        ADMIN_OR_SYSTEM_READER " or (role:reader and domain_id:%(target.domain_id)s)", ANY_SCOPE,
        "List projects." },
    { "identity:list_user_projects",
        ADMIN_OR_SYSTEM_READER
        " or (role:reader and domain_id:%(target.user.domain_id)s) or user_id:%(target.user.id)s",
        ANY_SCOPE, "List user projects." },
    { "identity:create_project", ADMIN, ANY_SCOPE, "Create project." },
    { "identity:update_project", ADMIN, ANY_SCOPE, "Update project." },
    { "identity:delete_project", ADMIN, ANY_SCOPE, "Delete project." },
    { "identity:list_project_tags",
        ADMIN_OR_SYSTEM_READER
        " or (role:reader and domain_id:%(target.project.domain_id)s) or project_id:%(target.project.id)s",
        ANY_SCOPE, "List project tags." },
    { "identity:get_project_tag",
        ADMIN_OR_SYSTEM_READER
        " or (role:reader and domain_id:%(target.project.domain_id)s) or project_id:%(target.project.id)s",
        ANY_SCOPE, "Show project tag." },
    { "identity:update_project_tags", ADMIN, ANY_SCOPE, "Update project tags." },
    { "identity:create_project_tag", ADMIN, ANY_SCOPE, "Create project tag." },
    { "identity:delete_project_tags", ADMIN, ANY_SCOPE, "Delete project tags." },
    { "identity:delete_project_tag", ADMIN, ANY_SCOPE, "Delete project tag." },

    /* domain */
    { "identity:get_domain",
        ADMIN_OR_SYSTEM_READER
        " or token.domain.id:%(target.domain.id)s or token.project.domain.id:%(target.domain.id)s",
        ANY_SCOPE, "Show domain." },
    { "identity:list_domains",
        ADMIN_OR_SYSTEM_READER " or (role:reader and domain_id:%(target.domain.id)s)", ANY_SCOPE,
        "List domains." },
    { "identity:create_domain", ADMIN, NO_DOMAIN, "Create domain." },
    { "identity:update_domain", ADMIN, NO_DOMAIN, "Update domain." },
    { "identity:delete_domain", ADMIN, NO_DOMAIN, "Delete domain." },

    /* group */
    { "identity:get_group",
        ADMIN_OR_SYSTEM_READER " or (role:reader and domain_id:%(target.group.domain_id)s)", ANY_SCOPE,
        "Show group." },
    { "identity:list_groups",
        ADMIN_OR_SYSTEM_READER " or (role:reader and domain_id:%(target.group.domain_id)s)", ANY_SCOPE,
        "List groups." },
    { "identity:list_groups_for_user",
        ADMIN_OR_SYSTEM_READER
        " or (role:reader and domain_id:%(target.user.domain_id)s) or user_id:%(user_id)s",
        ANY_SCOPE, "List groups for user." },
    { "identity:create_group", ADMIN, ANY_SCOPE, "Create group." },
    { "identity:update_group", ADMIN, ANY_SCOPE, "Update group." },
    { "identity:delete_group", ADMIN, ANY_SCOPE, "Delete group." },
    { "identity:list_users_in_group",
        ADMIN_OR_SYSTEM_READER " or (role:reader and domain_id:%(target.group.domain_id)s)", ANY_SCOPE,
        "List users in group." },
    { "identity:remove_user_from_group", ADMIN, ANY_SCOPE, "Remove user from group." },
    { "identity:check_user_in_group",
        ADMIN_OR_SYSTEM_READER
        " or (role:reader and domain_id:%(target.group.domain_id)s and domain_id:%(target.user.domain_id)s)",
        ANY_SCOPE, "Check user in group." },
    { "identity:add_user_to_group", ADMIN, ANY_SCOPE, "Add user to group." },

    /* role */
    { "identity:get_role", ADMIN_OR_SYSTEM_READER, ANY_SCOPE, "Show role." },
    { "identity:list_roles", ADMIN_OR_SYSTEM_READER, ANY_SCOPE, "List roles." },
    { "identity:create_role", ADMIN, NO_DOMAIN, "Create role." },
    { "identity:update_role", ADMIN, NO_DOMAIN, "Update role." },
    { "identity:delete_role", ADMIN, NO_DOMAIN, "Delete role." },
    { "identity:get_domain_role", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "Show domain role." },
    { "identity:list_domain_roles", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "List domain roles." },
    { "identity:create_domain_role", ADMIN, NO_DOMAIN, "Create domain role." },
    { "identity:update_domain_role", ADMIN, NO_DOMAIN, "Update domain role." },
    { "identity:delete_domain_role", ADMIN, NO_DOMAIN, "Delete domain role." },

    /* implied role */
    { "identity:get_implied_role", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "Show implied role." },
    { "identity:list_implied_roles", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "List implied roles." },
    { "identity:create_implied_role", ADMIN, NO_DOMAIN, "Create implied role." },
    { "identity:delete_implied_role", ADMIN, NO_DOMAIN, "Delete implied role." },
    { "identity:list_role_inference_rules", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "List role inference rules." },
    { "identity:check_implied_role", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "Check implied role." },

    /* grant */
    { "identity:check_grant", ADMIN " or (role:reader and system_scope:all) or ((" GRANT_IN_DOMAIN("reader") ") and " ROLE_IN_REACH ")",
        ANY_SCOPE, "Check grant." },
    { "identity:list_grants", ADMIN " or " GRANT_READERS, ANY_SCOPE, "List grants." },
    { "identity:create_grant", ADMIN " or (" GRANT_ADMINS " and " ROLE_IN_REACH ")", ANY_SCOPE, "Create grant." },
    { "identity:revoke_grant", ADMIN " or (" GRANT_ADMINS " and " ROLE_IN_REACH ")", ANY_SCOPE, "Revoke grant." },
    { "identity:list_system_grants_for_user", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "List system grants for user." },
    { "identity:check_system_grant_for_user", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "Check system grant for user." },
    { "identity:create_system_grant_for_user", ADMIN, NO_DOMAIN, "Create system grant for user." },
    { "identity:revoke_system_grant_for_user", ADMIN, NO_DOMAIN, "Revoke system grant for user." },
    { "identity:list_system_grants_for_group", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "List system grants for group." },
    { "identity:check_system_grant_for_group", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "Check system grant for group." },
    { "identity:create_system_grant_for_group", ADMIN, NO_DOMAIN, "Create system grant for group." },
    { "identity:revoke_system_grant_for_group", ADMIN, NO_DOMAIN, "Revoke system grant for group." },

    /* role assignment */
    { "identity:list_role_assignments",
        ADMIN_OR_SYSTEM_READER " or (role:reader and domain_id:%(target.domain_id)s)", ANY_SCOPE,
        "List role assignments." },
    { "identity:list_role_assignments_for_tree",
        ADMIN_OR_SYSTEM_READER " or (role:reader and domain_id:%(target.domain_id)s)", ANY_SCOPE,
        "List role assignments for tree." },

    /* region */
    { "identity:get_region", "", ANY_SCOPE, "Show region." },
    { "identity:list_regions", "", ANY_SCOPE, "List regions." },
    { "identity:create_region", ADMIN, NO_DOMAIN, "Create region." },
    { "identity:update_region", ADMIN, NO_DOMAIN, "Update region." },
    { "identity:delete_region", ADMIN, NO_DOMAIN, "Delete region." },

    /* service */
    { "identity:get_service", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "Show service." },
    { "identity:list_services", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "List services." },
    { "identity:create_service", ADMIN, NO_DOMAIN, "Create service." },
    { "identity:update_service", ADMIN, NO_DOMAIN, "Update service." },
    { "identity:delete_service", ADMIN, NO_DOMAIN, "Delete service." },

    /* endpoint */
    { "identity:get_endpoint", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "Show endpoint." },
    { "identity:list_endpoints", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "List endpoints." },
    { "identity:create_endpoint", ADMIN, NO_DOMAIN, "Create endpoint." },
    { "identity:update_endpoint", ADMIN, NO_DOMAIN, "Update endpoint." },
    { "identity:delete_endpoint", ADMIN, NO_DOMAIN, "Delete endpoint." },

    /* token */
    { "identity:check_token", ADMIN_OR_SYSTEM_READER " or rule:token_subject", ANY_SCOPE, "Check token." },
    { "identity:validate_token",
        ADMIN_OR_SYSTEM_READER " or rule:service_role or rule:token_subject", ANY_SCOPE,
        "Validate token." },
    { "identity:revoke_token", "rule:admin_required or rule:token_subject", ANY_SCOPE, "Revoke token." },

    /* auth */
    { "identity:get_auth_catalog", "", 0, "Show auth catalog." },
    { "identity:get_auth_projects", "", 0, "Show auth projects." },
    { "identity:get_auth_domains", "", 0, "Show auth domains." },
    { "identity:get_auth_system", "", 0, "Show auth system." },

    /* revoke event */
    { "identity:revocation_list", "rule:service_or_admin", NO_DOMAIN, "List revoked tokens of the PKI." },
    { "identity:list_revoke_events", "rule:service_or_admin", NO_DOMAIN, "List revoke events." },
};

const struct policy_table keystone_policies = POLICY_TABLE(rules);
