/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of keystone 2023.1 that are in use here, with upstream's names, columns, sizes and keys, so that the same
 * database serves either program. A domain is a project with is_domain; the row <<keystone.domain.root>> is the domain of
 * all domains, and <<null>> in role.domain_id says that a role is global.
 */
#include "keystone/state.h"

static const char resource_tables[] =
    "CREATE TABLE project (id VARCHAR(64) NOT NULL PRIMARY KEY, name VARCHAR(64) NOT NULL, extra TEXT, description TEXT,"
    " enabled BOOLEAN, domain_id VARCHAR(64) NOT NULL, parent_id VARCHAR(64), is_domain BOOLEAN NOT NULL DEFAULT 0,"
    " CONSTRAINT ixu_project_name_domain_id UNIQUE (domain_id, name))"
    ";\nCREATE INDEX project_parent_id_fkey ON project (parent_id)"
    ";\nCREATE TABLE project_option (project_id VARCHAR(64) NOT NULL, option_id VARCHAR(4) NOT NULL, option_value TEXT,"
    " PRIMARY KEY (project_id, option_id))"
    ";\nCREATE TABLE project_tag (project_id VARCHAR(64) NOT NULL, name VARCHAR(255) NOT NULL,"
    " PRIMARY KEY (project_id, name))"
    ";\nINSERT INTO project (id, name, extra, description, enabled, domain_id, parent_id, is_domain) VALUES"
    " ('<<keystone.domain.root>>', '<<keystone.domain.root>>', '{}', '', 0, '<<keystone.domain.root>>', NULL, 1)";

static const char identity_tables[] =
    "CREATE TABLE `user` (id VARCHAR(64) NOT NULL PRIMARY KEY, extra TEXT, enabled BOOLEAN,"
    " default_project_id VARCHAR(64), created_at DATETIME, last_active_at DATE, domain_id VARCHAR(64) NOT NULL,"
    " CONSTRAINT ixu_user_id_domain_id UNIQUE (id, domain_id))"
    ";\nCREATE INDEX ix_default_project_id ON `user` (default_project_id)"
    ";\nCREATE TABLE user_option (user_id VARCHAR(64) NOT NULL, option_id VARCHAR(4) NOT NULL, option_value TEXT,"
    " PRIMARY KEY (user_id, option_id))"
    ";\nCREATE TABLE local_user (id $SERIAL, user_id VARCHAR(64) NOT NULL UNIQUE, domain_id VARCHAR(64) NOT NULL,"
    " name VARCHAR(255) NOT NULL, failed_auth_count INTEGER, failed_auth_at DATETIME, UNIQUE (domain_id, name))"
    ";\nCREATE TABLE nonlocal_user (domain_id VARCHAR(64) NOT NULL, name VARCHAR(255) NOT NULL, user_id VARCHAR(64) NOT NULL,"
    " PRIMARY KEY (domain_id, name), CONSTRAINT ixu_nonlocal_user_user_id UNIQUE (user_id))"
    ";\nCREATE TABLE password (id $SERIAL, local_user_id INTEGER NOT NULL, expires_at DATETIME,"
    " self_service BOOLEAN NOT NULL DEFAULT 0, password_hash VARCHAR(255), created_at_int BIGINT NOT NULL DEFAULT 0,"
    " expires_at_int BIGINT, created_at DATETIME NOT NULL)"
    ";\nCREATE INDEX password_local_user_id ON password (local_user_id, created_at_int)"
    ";\nCREATE TABLE `group` (id VARCHAR(64) NOT NULL PRIMARY KEY, domain_id VARCHAR(64) NOT NULL, name VARCHAR(64) NOT NULL,"
    " description TEXT, extra TEXT, CONSTRAINT ixu_group_name_domain_id UNIQUE (domain_id, name))"
    ";\nCREATE TABLE user_group_membership (user_id VARCHAR(64) NOT NULL, group_id VARCHAR(64) NOT NULL,"
    " PRIMARY KEY (user_id, group_id))"
    ";\nCREATE INDEX group_id ON user_group_membership (group_id)";

static const char assignment_tables[] =
    "CREATE TABLE role (id VARCHAR(64) NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL, extra TEXT,"
    " domain_id VARCHAR(64) NOT NULL DEFAULT '<<null>>', description VARCHAR(255),"
    " CONSTRAINT ixu_role_name_domain_id UNIQUE (name, domain_id))"
    ";\nCREATE TABLE role_option (role_id VARCHAR(64) NOT NULL, option_id VARCHAR(4) NOT NULL, option_value TEXT,"
    " PRIMARY KEY (role_id, option_id))"
    ";\nCREATE TABLE implied_role (prior_role_id VARCHAR(64) NOT NULL, implied_role_id VARCHAR(64) NOT NULL,"
    " PRIMARY KEY (prior_role_id, implied_role_id))"
    ";\nCREATE TABLE assignment (type VARCHAR(12) NOT NULL, actor_id VARCHAR(64) NOT NULL, target_id VARCHAR(64) NOT NULL,"
    " role_id VARCHAR(64) NOT NULL, inherited BOOLEAN NOT NULL, PRIMARY KEY (type, actor_id, target_id, role_id, inherited))"
    ";\nCREATE INDEX ix_actor_id ON assignment (actor_id)"
    ";\nCREATE INDEX ix_target_id ON assignment (target_id)"
    ";\nCREATE TABLE system_assignment (type VARCHAR(64) NOT NULL, actor_id VARCHAR(64) NOT NULL,"
    " target_id VARCHAR(64) NOT NULL, role_id VARCHAR(64) NOT NULL, inherited BOOLEAN NOT NULL,"
    " PRIMARY KEY (type, actor_id, target_id, role_id, inherited))";

static const char catalog_tables[] =
    "CREATE TABLE region (id VARCHAR(255) NOT NULL PRIMARY KEY, description VARCHAR(255) NOT NULL,"
    " parent_region_id VARCHAR(255), extra TEXT)"
    ";\nCREATE TABLE service (id VARCHAR(64) NOT NULL PRIMARY KEY, type VARCHAR(255), enabled BOOLEAN NOT NULL DEFAULT 1,"
    " extra TEXT)"
    ";\nCREATE TABLE endpoint (id VARCHAR(64) NOT NULL PRIMARY KEY, legacy_endpoint_id VARCHAR(64),"
    " interface VARCHAR(8) NOT NULL, service_id VARCHAR(64) NOT NULL, url TEXT NOT NULL, extra TEXT,"
    " enabled BOOLEAN NOT NULL DEFAULT 1, region_id VARCHAR(255))"
    ";\nCREATE INDEX service_id ON endpoint (service_id)";

static const char revocation_tables[] =
    "CREATE TABLE revocation_event (id $SERIAL, domain_id VARCHAR(64), project_id VARCHAR(64), user_id VARCHAR(64),"
    " role_id VARCHAR(64), trust_id VARCHAR(64), consumer_id VARCHAR(64), access_token_id VARCHAR(64),"
    " issued_before DATETIME NOT NULL, expires_at DATETIME, revoked_at DATETIME NOT NULL, audit_id VARCHAR(32),"
    " audit_chain_id VARCHAR(32))"
    ";\nCREATE INDEX ix_revocation_event_new_revoked_at ON revocation_event (revoked_at)"
    ";\nCREATE INDEX ix_revocation_event_issued_before ON revocation_event (issued_before)"
    ";\nCREATE INDEX ix_revocation_event_project_id_issued_before ON revocation_event (project_id, issued_before)"
    ";\nCREATE INDEX ix_revocation_event_user_id_issued_before ON revocation_event (user_id, issued_before)"
    ";\nCREATE INDEX ix_revocation_event_audit_id_issued_before ON revocation_event (audit_id, issued_before)";

const struct migration keystone_migrations[KEYSTONE_MIGRATIONS] = {
    { 1, "resource",   resource_tables },
    { 2, "identity",   identity_tables },
    { 3, "assignment", assignment_tables },
    { 4, "catalog",    catalog_tables },
    { 5, "revocation", revocation_tables },
};
