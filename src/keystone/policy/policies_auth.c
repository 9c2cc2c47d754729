/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may do what by default with trusts, application credentials, credentials and OAuth: keystone 2023.1's rules. The
 * deprecated ones stand where they allow more than the present ones.
 */
#include "keystone/state.h"

#include "oslo/policy.h"

#define ANY_SCOPE (POLICY_SYSTEM | POLICY_DOMAIN | POLICY_PROJECT)
#define NO_DOMAIN (POLICY_SYSTEM | POLICY_PROJECT)

#define ADMIN         "rule:admin_required"
#define SYSTEM_READER "(role:reader and system_scope:all)"
#define SYSTEM_ADMIN  "(role:admin and system_scope:all)"
#define OWNER         "user_id:%(user_id)s"
#define TRUSTOR       "user_id:%(target.trust.trustor_user_id)s"
#define TRUSTEE       "user_id:%(target.trust.trustee_user_id)s"
#define CRED_OWNER    "user_id:%(target.credential.user_id)s"
#define TARGET_USER   "user_id:%(target.user.id)s"

#define EITHER " or "

static const struct policy_rule rules[] = {
    /* trust */
    { "identity:create_trust", "user_id:%(trust.trustor_user_id)s", POLICY_PROJECT, "Create trust." },
    { "identity:list_trusts", ADMIN EITHER SYSTEM_READER, NO_DOMAIN, "List trusts." },
    { "identity:list_trusts_for_trustor", ADMIN EITHER SYSTEM_READER EITHER TRUSTOR, NO_DOMAIN, "List trusts for trustor." },
    { "identity:list_trusts_for_trustee", ADMIN EITHER SYSTEM_READER EITHER TRUSTEE, NO_DOMAIN, "List trusts for trustee." },
    { "identity:list_roles_for_trust", ADMIN EITHER SYSTEM_READER EITHER TRUSTOR EITHER TRUSTEE, NO_DOMAIN,
        "List roles delegated by a trust." },
    { "identity:get_role_for_trust", ADMIN EITHER SYSTEM_READER EITHER TRUSTOR EITHER TRUSTEE, NO_DOMAIN,
        "Check if trust delegates a particular role." },
    { "identity:delete_trust", ADMIN EITHER TRUSTOR, NO_DOMAIN, "Revoke trust." },
    { "identity:get_trust", ADMIN EITHER SYSTEM_READER EITHER TRUSTOR EITHER TRUSTEE, NO_DOMAIN, "Get trust." },

    /* application credential */
    { "identity:get_application_credential", ADMIN EITHER SYSTEM_READER EITHER "rule:owner", NO_DOMAIN,
        "Show application credential details." },
    { "identity:list_application_credentials", ADMIN EITHER SYSTEM_READER EITHER "rule:owner", NO_DOMAIN,
        "List application credentials for a user." },
    { "identity:create_application_credential", OWNER, POLICY_PROJECT, "Create an application credential." },
    { "identity:delete_application_credential", "rule:admin_or_owner", NO_DOMAIN, "Delete an application credential." },

    /* access rule */
    { "identity:get_access_rule", SYSTEM_READER EITHER TARGET_USER, NO_DOMAIN, "Show access rule details." },
    { "identity:list_access_rules", SYSTEM_READER EITHER TARGET_USER, NO_DOMAIN, "List access rules for a user." },
    { "identity:delete_access_rule", SYSTEM_ADMIN EITHER TARGET_USER, NO_DOMAIN, "Delete an access_rule." },

    /* credential */
    { "identity:get_credential", ADMIN EITHER SYSTEM_READER EITHER CRED_OWNER, ANY_SCOPE, "Show credentials details." },
    { "identity:list_credentials", ADMIN EITHER SYSTEM_READER EITHER CRED_OWNER, ANY_SCOPE, "List credentials." },
    { "identity:create_credential", ADMIN EITHER CRED_OWNER, ANY_SCOPE, "Create credential." },
    { "identity:update_credential", ADMIN EITHER CRED_OWNER, ANY_SCOPE, "Update credential." },
    { "identity:delete_credential", ADMIN EITHER CRED_OWNER, ANY_SCOPE, "Delete credential." },

    /* ec2 credential */
    { "identity:ec2_get_credential", ADMIN EITHER SYSTEM_READER EITHER CRED_OWNER, NO_DOMAIN, "Show ec2 credential details." },
    { "identity:ec2_list_credentials", ADMIN EITHER SYSTEM_READER EITHER "rule:owner", NO_DOMAIN, "List ec2 credentials." },
    { "identity:ec2_create_credential", ADMIN EITHER "(role:member and " CRED_OWNER ")", NO_DOMAIN, "Create ec2 credential.",
        .deprecated = POLICY_DEPRECATED(.check = "rule:admin_or_owner", .since = "T",
            .reason = "The EC2 credential API knows system scope and default roles.") },
    { "identity:ec2_delete_credential", ADMIN EITHER "(role:member and " CRED_OWNER ")", NO_DOMAIN, "Delete ec2 credential.",
        .deprecated = POLICY_DEPRECATED(.check = ADMIN EITHER "(rule:owner and " CRED_OWNER ")", .since = "T",
            .reason = "The EC2 credential API knows system scope and default roles.") },

    /* ec2 and s3 tokens */
    { "identity:ec2tokens_validate", "rule:service_or_admin", ANY_SCOPE, "Validate EC2 credentials and create a Keystone token." },
    { "identity:s3tokens_validate", "rule:service_or_admin", ANY_SCOPE, "Validate S3 credentials and create a Keystone token." },

    /* consumer */
    { "identity:get_consumer", ADMIN EITHER SYSTEM_READER, NO_DOMAIN, "Show OAUTH1 consumer details." },
    { "identity:list_consumers", ADMIN EITHER SYSTEM_READER, NO_DOMAIN, "List OAUTH1 consumers." },
    { "identity:create_consumer", ADMIN, NO_DOMAIN, "Create OAUTH1 consumer." },
    { "identity:update_consumer", ADMIN, NO_DOMAIN, "Update OAUTH1 consumer." },
    { "identity:delete_consumer", ADMIN, NO_DOMAIN, "Delete OAUTH1 consumer." },

    /* access token */
    { "identity:authorize_request_token", ADMIN, POLICY_PROJECT, "Authorize OAUTH1 request token." },
    { "identity:get_access_token", ADMIN, POLICY_PROJECT, "Get OAUTH1 access token for user by access token ID." },
    { "identity:get_access_token_role", ADMIN, POLICY_PROJECT, "Get role for user OAUTH1 access token." },
    { "identity:list_access_tokens", ADMIN, POLICY_PROJECT, "List OAUTH1 access tokens for user." },
    { "identity:list_access_token_roles", ADMIN, POLICY_PROJECT, "List OAUTH1 access token roles." },
    { "identity:delete_access_token", ADMIN, POLICY_PROJECT, "Delete OAUTH1 access token." },
};

const struct policy_table keystone_auth_policies = POLICY_TABLE(rules);
