/* SPDX-License-Identifier: Apache-2.0
 *
 * keystone-manage (keystone/cmd/cli.py): the schema, the first user, and the table of all commands. db_sync knows
 * upstream's branches: the tables come with --expand, --contract only notes that no older keystone runs any more.
 */
#include "keystone/command/commands.h"

#include "base/log.h"
#include "keystone/keystone.h"
#include "keystone/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODULE "keystone.cmd.cli"

/* ---- db_sync, db_version ---- */

static const struct argument db_sync_arguments[] = {
    { "version", ARGUMENT_TEXT, "Not supported any longer; the database is always brought to the latest version." },
    { "--expand",   ARGUMENT_FLAG, "Expand the database schema in preparation for data migration.", .exclusive = 1 },
    { "--migrate",  ARGUMENT_FLAG, "Migrate data; nothing is left to do by it.", .exclusive = 1 },
    { "--contract", ARGUMENT_FLAG, "Finish the upgrade once every keystone runs the new release.", .exclusive = 1 },
    { "--check",    ARGUMENT_FLAG, "Say which of the steps is still to be done: exit status 2 expand, 4 contract, 0 none.",
      .exclusive = 1 },
    { NULL },
};

/* What is in the database: our migrations, and upstream's heads. */
struct versions {
    int ours;
    bool expand, contract;
    bool controlled; /* by either program */
};

static struct fault *has_revision(struct tx *tx, const char *revision, bool *ret)
{
    int64_t count;

    TRY(sql_int_of(tx, &count, 0, "SELECT COUNT(*) FROM alembic_version WHERE version_num = ?", BIND(TEXT(revision))));
    *ret = count > 0;
    return NULL;
}

static struct fault *read_versions(struct command_call *call, struct versions *ret)
{
    struct tx *tx;

    *ret = (struct versions){ 0 };
    if (db_version(call->arena, call->app->db, &ret->ours) != NULL)
        ret->ours = 0; /* a database without our table */
    TRY(db_read(call->arena, call->app->db, &tx));
    if (has_revision(tx, KEYSTONE_EXPAND, &ret->expand) == NULL) /* without upstream's table: neither */
        TRY(has_revision(tx, KEYSTONE_CONTRACT, &ret->contract));
    tx_end(tx);
    ret->controlled = ret->ours > 0 || ret->expand || ret->contract;
    return NULL;
}

static struct fault *check(struct command_call *call)
{
    struct versions versions;

    TRY(read_versions(call, &versions));
    if (!versions.controlled) {
        log_info(MODULE, "Your database is not currently under version control. Your first step is to run"
            " `keystone-manage db_sync --expand`.");
        call->status = 2;
        return NULL;
    }
    if (!versions.expand || versions.ours < KEYSTONE_MIGRATIONS) {
        log_info(MODULE, "Your database is not up to date. Your first step is to run `keystone-manage db_sync --expand`.");
        call->status = 2;
    } else if (!versions.contract) {
        log_info(MODULE, "Expand version is ahead of contract. Your next step is to run `keystone-manage db_sync --contract`.");
        call->status = 4;
    } else {
        log_info(MODULE, "All db_sync commands are upgraded to the same version and up-to-date.");
    }
    log_info(MODULE, "Current repository versions: Expand: %s (head: %s) Contract: %s (head: %s)",
        versions.expand ? KEYSTONE_EXPAND : "None", KEYSTONE_EXPAND, versions.contract ? KEYSTONE_CONTRACT : "None",
        KEYSTONE_CONTRACT);
    return NULL;
}

static struct fault *mark_contract(struct command_call *call, bool done)
{
    return db_exec(call->arena, call->app->db,
        done ? "INSERT INTO alembic_version (version_num) VALUES ('" KEYSTONE_CONTRACT "')"
             : "DELETE FROM alembic_version WHERE version_num = '" KEYSTONE_CONTRACT "'", NO_BIND, NULL);
}

static struct fault *expand(struct command_call *call, const struct versions *before)
{
    TRY(command_sync(call, call->app->db, keystone_migrations, KEYSTONE_MIGRATIONS));
    return before->contract ? NULL : mark_contract(call, false);
}

static struct fault *contract(struct command_call *call, const struct versions *before)
{
    if (!before->expand || before->ours < KEYSTONE_MIGRATIONS)
        return fault_new(call->arena, 500, NULL, "You are attempting to upgrade contract ahead of expand. Run"
            " `keystone-manage db_sync --expand` first.");
    return before->contract ? NULL : mark_contract(call, true);
}

static struct fault *db_sync_run(struct command_call *call)
{
    struct versions before, after;

    TRY(keystone_command_open(call));
    if (command_flag(call, "--check"))
        return check(call);
    if (command_flag(call, "--migrate")) {
        puts("Data migrations are no longer supported with alembic. This is now a no-op.");
        return NULL;
    }
    TRY(read_versions(call, &before));
    if (command_flag(call, "--expand"))
        return expand(call, &before);
    if (command_flag(call, "--contract"))
        return contract(call, &before);
    if (command_text(call, "version") != NULL)
        return fault_new(call->arena, 500, NULL, "Specifying a version is no longer supported");
    TRY(command_sync(call, call->app->db, keystone_migrations, KEYSTONE_MIGRATIONS));
    TRY(read_versions(call, &after));
    return after.contract ? NULL : mark_contract(call, true);
}

static struct fault *db_version_run(struct command_call *call)
{
    struct versions versions;

    TRY(keystone_command_open(call));
    TRY(read_versions(call, &versions));
    puts(versions.expand ? KEYSTONE_EXPAND : "None");
    return NULL;
}

/* ---- bootstrap ---- */

#define SECRET_HELP "The bootstrap user password"
static const struct argument bootstrap_arguments[] = {
    { "--bootstrap-username", ARGUMENT_TEXT, "The username of the initial keystone user during bootstrap process.", "admin",
      "OS_BOOTSTRAP_USERNAME" },
    { "--bootstrap-password", ARGUMENT_TEXT, SECRET_HELP, NULL, "OS_BOOTSTRAP_PASSWORD" },
    { "--bootstrap-project-name", ARGUMENT_TEXT, "The initial project created during the keystone bootstrap process.",
      "admin", "OS_BOOTSTRAP_PROJECT_NAME" },
    { "--bootstrap-role-name", ARGUMENT_TEXT, "The initial role-name created during the keystone bootstrap process.",
      "admin", "OS_BOOTSTRAP_ROLE_NAME" },
    { "--bootstrap-service-name", ARGUMENT_TEXT, "The name of the initial identity service.", "keystone",
      "OS_BOOTSTRAP_SERVICE_NAME" },
    { "--bootstrap-admin-url", ARGUMENT_TEXT, "The initial identity admin url. e.g. http://127.0.0.1:5000/v3", NULL,
      "OS_BOOTSTRAP_ADMIN_URL" },
    { "--bootstrap-public-url", ARGUMENT_TEXT, "The initial identity public url. e.g. http://127.0.0.1:5000/v3", NULL,
      "OS_BOOTSTRAP_PUBLIC_URL" },
    { "--bootstrap-internal-url", ARGUMENT_TEXT, "The initial identity internal url. e.g. http://127.0.0.1:5000/v3", NULL,
      "OS_BOOTSTRAP_INTERNAL_URL" },
    { "--bootstrap-region-id", ARGUMENT_TEXT, "The initial region_id of the endpoints.", NULL, "OS_BOOTSTRAP_REGION_ID" },
    { "--immutable-roles", ARGUMENT_FLAG, "The roles admin, member and reader are immutable. This is the default." },
    { "--no-immutable-roles", ARGUMENT_FLAG, "The roles admin, member and reader may be changed." },
    { NULL },
};

/* The environment wins over the argument, as upstream has it; an empty variable does not count. The variable is what usage
 * calls the value. */
static const char *given(const struct command_call *call, const char *name)
{
    const char *value = NULL;

    for (const struct argument *a = bootstrap_arguments; a->name != NULL; a++)
        if (strcmp(a->name, name) == 0)
            value = getenv(a->metavar);
    return value != NULL && *value != '\0' ? value : command_text(call, name);
}

static struct fault *bootstrap_run(struct command_call *call)
{
    const struct keystone_bootstrap bootstrap = {
        .username      = given(call, "--bootstrap-username"),
        .password      = given(call, "--bootstrap-password"),
        .project_name  = given(call, "--bootstrap-project-name"),
        .role_name     = given(call, "--bootstrap-role-name"),
        .region        = given(call, "--bootstrap-region-id"),
        .service_name  = given(call, "--bootstrap-service-name"),
        .public_url    = given(call, "--bootstrap-public-url"),
        .internal_url  = given(call, "--bootstrap-internal-url"),
        .admin_url     = given(call, "--bootstrap-admin-url"),
        .mutable_roles = command_flag(call, "--no-immutable-roles"),
    };

    if (bootstrap.password == NULL) {
        puts("ERROR: Either --bootstrap-password argument or OS_BOOTSTRAP_PASSWORD must be set.");
        return command_fail(call, 1, NULL);
    }
    TRY(keystone_command_open(call));
    struct context cx = command_context(call);
    return keystone_bootstrap(&cx, &bootstrap);
}

/* ---- The program ---- */

static const struct command commands[] = {
    { "bootstrap", "Perform the basic bootstrap process.", bootstrap_run, bootstrap_arguments },
    { "credential_migrate", "Encrypt credentials with the newest primary key.", keystone_credential_migrate,
      keystone_owner_arguments },
    { "credential_rotate", "Rotate Fernet encryption keys for credential encryption.", keystone_credential_rotate,
      keystone_owner_arguments },
    { "credential_setup", "Setup a Fernet key repository for credential encryption.", keystone_credential_setup,
      keystone_owner_arguments },
    { "db_sync", "Sync the database.", db_sync_run, db_sync_arguments },
    { "db_version", "Print the current migration version of the database.", db_version_run },
    { "doctor", "Diagnose common problems with keystone deployments.", keystone_doctor },
    { "domain_config_upload", "Upload the domain specific configuration files to the database.",
      keystone_domain_config_upload, keystone_domain_config_arguments },
    { "fernet_rotate", "Rotate Fernet encryption keys.", keystone_fernet_rotate, keystone_owner_arguments },
    { "fernet_setup", "Setup key repositories for Fernet tokens and auth receipts.", keystone_fernet_setup,
      keystone_owner_arguments },
    { "create_jws_keypair", "Create a key pair for signing and validating JWS tokens.", keystone_create_jws_keypair,
      keystone_jws_arguments },
    { "mapping_engine", "Execute mapping engine locally.", keystone_mapping_engine, keystone_mapping_engine_arguments },
    { "mapping_populate", "Pre-populate entries from domain-specific backends.", keystone_mapping_populate,
      keystone_mapping_populate_arguments },
    { "mapping_purge", "Purge the mapping table.", keystone_mapping_purge, keystone_mapping_purge_arguments },
    { "project_setup", "Create project with specified UUID.", keystone_project_setup, keystone_project_setup_arguments },
    { "receipt_rotate", "Rotate auth receipts encryption keys.", keystone_receipt_rotate, keystone_owner_arguments },
    { "receipt_setup", "Setup a key repository for auth receipts.", keystone_receipt_setup, keystone_owner_arguments },
    { "reset_last_active", "Reset null values for all users to current time.", keystone_reset_last_active,
      keystone_last_active_arguments },
    { "saml_idp_metadata", "Generate Identity Provider metadata.", keystone_saml_metadata },
    { "token_rotate", "Rotate token encryption keys.", keystone_token_rotate, keystone_owner_arguments },
    { "token_setup", "Setup a key repository for tokens.", keystone_token_setup, keystone_owner_arguments },
    { "trust_flush", "Flush expired and non-expired soft deleted trusts from the backend.", keystone_trust_flush,
      keystone_trust_flush_arguments },
    { "user_setup", "Create user with specified UUID.", keystone_user_setup, keystone_user_setup_arguments },
    { NULL },
};

const struct program keystone_manage = {
    .name = "keystone-manage",
    .project = "keystone",
    .version = "23.0.0",
    .missing = "command",
    .commands = commands,
};
