/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands of keystone-manage that make or remove rows of the database.
 */
#include "keystone/command/commands.h"

#include "base/clock.h"
#include "base/log.h"
#include "keystone/identity/directories.h"
#include "keystone/keystone.h"
#include "keystone/model.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const struct argument keystone_trust_flush_arguments[] = {
    { "--project-id",      ARGUMENT_TEXT, "Only trusts on this project." },
    { "--trustor-user-id", ARGUMENT_TEXT, "Only trusts of this trustor." },
    { "--trustee-user-id", ARGUMENT_TEXT, "Only trusts of this trustee." },
    { "--date",            ARGUMENT_TEXT, "Trusts that expired before this day, DD-MM-YYYY; default: now." },
    { NULL },
};

struct fault *keystone_trust_flush(struct command_call *call)
{
    const char *date = command_text(call, "--date"), *project = command_text(call, "--project-id");
    const char *trustor = command_text(call, "--trustor-user-id"), *trustee = command_text(call, "--trustee-user-id");
    int64_t moment = clock_now_us();
    struct tm parts = { 0 };

    if (date != NULL) {
        const char *end = strptime(date, "%d-%m-%Y", &parts);
        if (end == NULL || *end != '\0')
            return fault_new(call->arena, 500, NULL, "'%s' Invalid input for date, should be DD-MM-YYYY", date);
        moment = (int64_t)timegm(&parts) * 1000000;
    } else {
        log_info("keystone.cmd.cli", "No date is supplied, keystone-manage will use the system clock time at runtime");
    }
    TRY(keystone_command_open(call));
    return db_exec(call->arena, call->app->db, "DELETE FROM trust WHERE (deleted_at IS NOT NULL OR (expires_at_int IS NOT"
        " NULL AND expires_at_int < ?)) AND (? IS NULL OR project_id = ?) AND (? IS NULL OR trustor_user_id = ?)"
        " AND (? IS NULL OR trustee_user_id = ?)", BIND(INT(moment), TEXT(project), TEXT(project), TEXT(trustor),
        TEXT(trustor), TEXT(trustee), TEXT(trustee)), NULL);
}

const struct argument keystone_mapping_purge_arguments[] = {
    { "--all",         ARGUMENT_FLAG, "Purge all mappings." },
    { "--domain-name", ARGUMENT_TEXT, "Purge any mappings for the domain specified." },
    { "--public-id",   ARGUMENT_TEXT, "Purge the mapping for the Public ID specified." },
    { "--local-id",    ARGUMENT_TEXT, "Purge the mappings for the Local ID specified." },
    { "--type",        ARGUMENT_TEXT, "Purge any mappings for the type specified.",
      .choices = (const char *const[]){ "user", "group", NULL } },
    { NULL },
};

static struct fault *find_domain(struct command_call *call, const char *name, const char **ret)
{
    struct tx *tx;

    *ret = NULL;
    if (name == NULL)
        return NULL;
    TRY(db_read(call->arena, call->app->db, &tx));
    TRY(sql_text_of(tx, ret, "SELECT id FROM project WHERE name = ? AND is_domain = 1 AND id <> domain_id", BIND(TEXT(name))));
    tx_end(tx);
    if (*ret == NULL)
        return fault_new(call->arena, 500, NULL, "Could not find domain: %s.", name);
    return NULL;
}

struct fault *keystone_mapping_purge(struct command_call *call)
{
    const char *domain = command_text(call, "--domain-name"), *public_id = command_text(call, "--public-id");
    const char *local_id = command_text(call, "--local-id"), *type = command_text(call, "--type"), *domain_id;
    bool any = domain != NULL || public_id != NULL || local_id != NULL || type != NULL;

    if (!any && !command_flag(call, "--all"))
        return fault_new(call->arena, 500, NULL, "At least one option must be provided");
    if (any && command_flag(call, "--all"))
        return fault_new(call->arena, 500, NULL, "--all option cannot be mixed with other options");
    TRY(keystone_command_open(call));
    TRY(find_domain(call, domain, &domain_id));
    return db_exec(call->arena, call->app->db, "DELETE FROM id_mapping WHERE (? IS NULL OR domain_id = ?)"
        " AND (? IS NULL OR public_id = ?) AND (? IS NULL OR local_id = ?) AND (? IS NULL OR entity_type = ?)",
        BIND(TEXT(domain_id), TEXT(domain_id), TEXT(public_id), TEXT(public_id), TEXT(local_id), TEXT(local_id), TEXT(type),
            TEXT(type)), NULL);
}

/* ---- mapping_populate ---- */

const struct argument keystone_mapping_populate_arguments[] = {
    { "--domain-name", ARGUMENT_TEXT, "Name of the domain configured to use domain-specific backend", .required = true },
    { NULL },
};

/* A list of the directory's users makes the ids of those that have none. */
static struct fault *populate(struct context *cx, const char *domain_id)
{
    struct directory_of_domain *directory;
    struct directory_entry *users;
    size_t count;

    TRY(directory_of(cx, domain_id, &directory));
    if (directory == NULL)
        return NULL;
    TRY(directory_find(cx, directory, DIRECTORY_USERS, DIRECTORY_ALL, NULL, &users, &count));
    return directory_publish(cx, directory, DIRECTORY_USERS, users, count);
}

struct fault *keystone_mapping_populate(struct command_call *call)
{
    const char *name = command_text(call, "--domain-name");
    struct project *domain;
    struct tx *tx;

    TRY(keystone_command_open(call));
    struct context cx = command_context(call);
    TRY(db_read(call->arena, call->app->db, &tx));
    TRY(domain_find_name(tx, name, &domain));
    tx_end(tx);
    if (domain == NULL) {
        printf("Invalid domain name: %s\n", name); /* as the reference: said, and no failure */
        return NULL;
    }
    struct keystone *keystone = keystone_of(&cx);
    keystone->directories = directories_create(call->app);
    if (keystone->directories == NULL)
        return NULL;
    struct fault *fault = populate(&cx, domain->id);
    directories_destroy(keystone->directories);
    keystone->directories = NULL;
    return fault;
}

const struct argument keystone_project_setup_arguments[] = {
    { "--project-name", ARGUMENT_TEXT, "The name of the keystone project being created.", .required = true },
    { "--project-id",   ARGUMENT_TEXT, "The UUID of the keystone project being created." },
    { NULL },
};

struct fault *keystone_project_setup(struct command_call *call)
{
    TRY(keystone_command_open(call));
    struct context cx = command_context(call);
    return keystone_setup_project(&cx, command_text(call, "--project-name"), command_text(call, "--project-id"));
}

const struct argument keystone_user_setup_arguments[] = {
    { "--username", ARGUMENT_TEXT, "The username of the keystone user that is being created.", .required = true },
    { "--user-password-plain", ARGUMENT_TEXT, "The plaintext password for the keystone user that is being created.",
      .required = true },
    { "--user-id",  ARGUMENT_TEXT, "The UUID of the keystone user being created." },
    { NULL },
};

struct fault *keystone_user_setup(struct command_call *call)
{
    TRY(keystone_command_open(call));
    struct context cx = command_context(call);
    return keystone_setup_user(&cx, command_text(call, "--username"), command_text(call, "--user-password-plain"),
        command_text(call, "--user-id"));
}

const struct argument keystone_last_active_arguments[] = {
    { "--force", ARGUMENT_FLAG, "Write to the database without asking for confirmation" },
    { NULL },
};

static bool confirmed(void)
{
    char answer[16] = "";

    fputs("Security Warning: every user with a NULL last_active_at, who never logged in too, counts as active now, and is not"
        " disabled until [security_compliance] disable_user_account_days_inactive has passed again.\n"
        "Are you sure you want to continue [y/N]? ", stdout);
    fflush(stdout);
    if (fgets(answer, sizeof(answer), stdin) == NULL)
        return false;
    answer[strcspn(answer, "\n")] = '\0';
    return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

struct fault *keystone_reset_last_active(struct command_call *call)
{
    if (!command_flag(call, "--force") && !confirmed())
        return command_fail(call, 1, "reset_last_active aborted.");
    TRY(keystone_command_open(call));
    const char *today = arena_strndup(call->arena, clock_text(call->arena, clock_now_us(), CLOCK_SQL), 10);
    return db_exec(call->arena, call->app->db, "UPDATE `user` SET last_active_at = ? WHERE last_active_at IS NULL",
        BIND(TEXT(today)), NULL);
}
