/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may do what by default, of limits, configuration of domains, filters and policies of endpoints, and federation:
 * keystone 2023.1's rules (keystone/common/policies), one row each.
 */
#include "keystone/state.h"

#include "oslo/policy.h"

#define ANY_SCOPE (POLICY_SYSTEM | POLICY_DOMAIN | POLICY_PROJECT)
#define NO_DOMAIN (POLICY_SYSTEM | POLICY_PROJECT)

#define ADMIN                  "rule:admin_required"
#define ADMIN_OR_SYSTEM_READER "rule:admin_required or (role:reader and system_scope:all)"
#define LIMIT_READERS                                                                                                  \
    ADMIN_OR_SYSTEM_READER " or (domain_id:%(target.limit.domain.id)s or domain_id:%(target.limit.project.domain_id)s)" \
    " or (project_id:%(target.limit.project_id)s and not None:%(target.limit.project_id)s)"

static const struct policy_rule rules[] = {
    /* registered limit */
    { "identity:get_registered_limit", "", ANY_SCOPE, "Show registered limit." },
    { "identity:list_registered_limits", "", ANY_SCOPE, "List registered limits." },
    { "identity:create_registered_limits", ADMIN, NO_DOMAIN, "Create registered limits." },
    { "identity:update_registered_limit", ADMIN, NO_DOMAIN, "Update registered limit." },
    { "identity:delete_registered_limit", ADMIN, NO_DOMAIN, "Delete registered limit." },

    /* limit */
    { "identity:get_limit_model", "", ANY_SCOPE, "Show the model of limits." },
    { "identity:get_limit", LIMIT_READERS, ANY_SCOPE, "Show limit." },
    { "identity:list_limits", "", ANY_SCOPE, "List limits." },
    { "identity:create_limits", ADMIN, NO_DOMAIN, "Create limits." },
    { "identity:update_limit", ADMIN, NO_DOMAIN, "Update limit." },
    { "identity:delete_limit", ADMIN, NO_DOMAIN, "Delete limit." },

    /* domain configuration */
    { "identity:get_domain_config", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "Show configuration of a domain." },
    { "identity:get_domain_config_default", ADMIN_OR_SYSTEM_READER, NO_DOMAIN,
        "Show the default configuration of domains." },
    { "identity:get_security_compliance_domain_config", "", ANY_SCOPE,
        "Show what passwords of a domain must be like." },
    { "identity:create_domain_config", ADMIN, NO_DOMAIN, "Create configuration of a domain." },
    { "identity:update_domain_config", ADMIN, NO_DOMAIN, "Update configuration of a domain." },
    { "identity:delete_domain_config", ADMIN, NO_DOMAIN, "Delete configuration of a domain." },

    /* endpoint group */
    { "identity:get_endpoint_group", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "Show endpoint group." },
    { "identity:list_endpoint_groups", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "List endpoint groups." },
    { "identity:create_endpoint_group", ADMIN, NO_DOMAIN, "Create endpoint group." },
    { "identity:update_endpoint_group", ADMIN, NO_DOMAIN, "Update endpoint group." },
    { "identity:delete_endpoint_group", ADMIN, NO_DOMAIN, "Delete endpoint group." },
    { "identity:list_projects_associated_with_endpoint_group", ADMIN_OR_SYSTEM_READER, NO_DOMAIN,
        "List projects of an endpoint group." },
    { "identity:list_endpoints_associated_with_endpoint_group", ADMIN_OR_SYSTEM_READER, NO_DOMAIN,
        "List endpoints of an endpoint group." },
    { "identity:get_endpoint_group_in_project", ADMIN_OR_SYSTEM_READER, NO_DOMAIN,
        "Show endpoint group of a project." },
    { "identity:list_endpoint_groups_for_project", ADMIN_OR_SYSTEM_READER, NO_DOMAIN,
        "List endpoint groups of a project." },
    { "identity:add_endpoint_group_to_project", ADMIN, NO_DOMAIN, "Add endpoint group to a project." },
    { "identity:remove_endpoint_group_from_project", ADMIN, NO_DOMAIN, "Remove endpoint group from a project." },

    /* endpoints of projects */
    { "identity:list_projects_for_endpoint", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "List projects of an endpoint." },
    { "identity:list_endpoints_for_project", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "List endpoints of a project." },
    { "identity:check_endpoint_in_project", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "Check endpoint of a project." },
    { "identity:add_endpoint_to_project", ADMIN, NO_DOMAIN, "Add endpoint to a project." },
    { "identity:remove_endpoint_from_project", ADMIN, NO_DOMAIN, "Remove endpoint from a project." },

    /* policy */
    { "identity:get_policy", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "Show policy." },
    { "identity:list_policies", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "List policies." },
    { "identity:create_policy", ADMIN, NO_DOMAIN, "Create policy." },
    { "identity:update_policy", ADMIN, NO_DOMAIN, "Update policy." },
    { "identity:delete_policy", ADMIN, NO_DOMAIN, "Delete policy." },

    /* policy association */
    { "identity:create_policy_association_for_endpoint", ADMIN, NO_DOMAIN, "Associate a policy with an endpoint." },
    { "identity:check_policy_association_for_endpoint", ADMIN_OR_SYSTEM_READER, NO_DOMAIN,
        "Check the association of a policy with an endpoint." },
    { "identity:delete_policy_association_for_endpoint", ADMIN, NO_DOMAIN,
        "Delete the association of a policy with an endpoint." },
    { "identity:create_policy_association_for_service", ADMIN, NO_DOMAIN, "Associate a policy with a service." },
    { "identity:check_policy_association_for_service", ADMIN_OR_SYSTEM_READER, NO_DOMAIN,
        "Check the association of a policy with a service." },
    { "identity:delete_policy_association_for_service", ADMIN, NO_DOMAIN,
        "Delete the association of a policy with a service." },
    { "identity:create_policy_association_for_region_and_service", ADMIN, NO_DOMAIN,
        "Associate a policy with a service in a region." },
    { "identity:check_policy_association_for_region_and_service", ADMIN_OR_SYSTEM_READER, NO_DOMAIN,
        "Check the association of a policy with a service in a region." },
    { "identity:delete_policy_association_for_region_and_service", ADMIN, NO_DOMAIN,
        "Delete the association of a policy with a service in a region." },
    { "identity:get_policy_for_endpoint", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "Show the policy of an endpoint." },
    { "identity:list_endpoints_for_policy", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "List endpoints of a policy." },

    /* identity provider */
    { "identity:get_identity_provider", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "Show identity provider." },
    { "identity:list_identity_providers", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "List identity providers." },
    { "identity:create_identity_provider", ADMIN, NO_DOMAIN, "Create identity provider." },
    { "identity:update_identity_provider", ADMIN, NO_DOMAIN, "Update identity provider." },
    { "identity:delete_identity_provider", ADMIN, NO_DOMAIN, "Delete identity provider." },

    /* protocol */
    { "identity:get_protocol", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "Show federated protocol." },
    { "identity:list_protocols", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "List federated protocols." },
    { "identity:create_protocol", ADMIN, NO_DOMAIN, "Create federated protocol." },
    { "identity:update_protocol", ADMIN, NO_DOMAIN, "Update federated protocol." },
    { "identity:delete_protocol", ADMIN, NO_DOMAIN, "Delete federated protocol." },

    /* mapping */
    { "identity:get_mapping", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "Show federated mapping." },
    { "identity:list_mappings", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "List federated mappings." },
    { "identity:create_mapping", ADMIN, NO_DOMAIN, "Create federated mapping." },
    { "identity:update_mapping", ADMIN, NO_DOMAIN, "Update federated mapping." },
    { "identity:delete_mapping", ADMIN, NO_DOMAIN, "Delete federated mapping." },

    /* service provider */
    { "identity:get_service_provider", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "Show service provider." },
    { "identity:list_service_providers", ADMIN_OR_SYSTEM_READER, NO_DOMAIN, "List service providers." },
    { "identity:create_service_provider", ADMIN, NO_DOMAIN, "Create service provider." },
    { "identity:update_service_provider", ADMIN, NO_DOMAIN, "Update service provider." },
    { "identity:delete_service_provider", ADMIN, NO_DOMAIN, "Delete service provider." },
};

const struct policy_table keystone_resource_policies = POLICY_TABLE(rules);
