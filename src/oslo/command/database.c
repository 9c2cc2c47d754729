/* SPDX-License-Identifier: Apache-2.0
 * command/database: what several administrative programs do alike: schemas and upgrade checks. See command.h. */
#include "oslo/command.h"

#include "base/log.h"
#include "oslo/json.h"
#include "oslo/text_table.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ALEMBIC "alembic.runtime.migration"

enum { DETAIL_WIDTH = 60 };

static const char upgrade_title[] = "Upgrade Check Results";

static void log_step(const struct migration *migration)
{
    const char *before = "";
    char number[16];
    if (migration->number > 1) {
        snprintf(number, sizeof(number), "%d", migration->number - 1);
        before = number;
    }
    log_info(ALEMBIC, "Running upgrade %s -> %d, %s", before, migration->number, migration->name);
}

struct fault *command_sync(struct command_call *call, struct db *db, const struct migration *migrations, size_t count)
{
    const char *url = app_database_url(call->app->service, call->app->config);
    log_info(ALEMBIC, "Context impl %s.", url != NULL && strncmp(url, "mysql", 5) == 0 ? "MySQLImpl" : "SQLiteImpl");
    log_info(ALEMBIC, "Will assume non-transactional DDL.");
    return db_sync(call->arena, db, migrations, count, log_step);
}

/* "Details: " and the words, wrapped as textwrap does, with two blanks before the lines that follow. */
static const char *wrapped(struct arena *arena, const char *text)
{
    BUF_CLEANUP struct buf out = { 0 };
    size_t column = 0;
    for (const char *word = text; *word != '\0';) {
        word += strspn(word, " \n");
        size_t length = strcspn(word, " \n");
        if (length == 0)
            break;
        if (column > 0 && column + 1 + length > DETAIL_WIDTH) {
            buf_puts(&out, "\n  ");
            column = 2;
        } else if (column > 0) {
            buf_putc(&out, ' ');
            column++;
        }
        buf_append(&out, word, length);
        column += length;
        word += length;
    }
    return arena_strdup(arena, buf_text(&out));
}

const struct argument command_upgrade_arguments[] = {
    { "check",  ARGUMENT_TEXT, "What to do: check.", .required = true },
    { "--json", ARGUMENT_FLAG, "Output the results in JSON format. Default is to print results in human readable table"
      " format." },
    { NULL },
};

static void print_json(struct command_call *call, json_t *results)
{
    json_t *document = json_keep(call->arena, json_pack("{s:s, s:O}", "name", upgrade_title, "checks", results));
    printf("%s\n", json_dump(call->arena, document));
}

static void print_table(struct command_call *call, const json_t *results)
{
    static const char *const words[] = { "Success", "Warning", "Failure" };
    const char *title = upgrade_title;
    struct text_table *table = text_table_create(call->arena, &title, 1, true, true);
    BUF_CLEANUP struct buf out = { 0 };
    size_t i;
    json_t *result;
    json_array_foreach(results, i, result) {
        const char *details = json_text_at(result, "details");
        const char *cell = arena_printf(call->arena, "Check: %s\nResult: %s\nDetails: %s", json_text_at(result, "check"),
            words[json_int_at(result, "result", 0)], details != NULL ? wrapped(call->arena, details) : "None");
        text_table_add(table, &cell);
    }
    text_table_write(&out, table);
    fputs(buf_text(&out), stdout);
}

struct fault *command_upgrade_check(struct command_call *call, const struct upgrade_check *checks)
{
    json_t *results = json_keep(call->arena, json_array());
    for (const struct upgrade_check *check = checks; check->name != NULL; check++) {
        enum check_result result = CHECK_SUCCESS;
        const char *details = NULL;
        struct fault *fault = check->run(call, &result, &details);
        if (fault != NULL) {
            printf("Error:\n%s\n", fault_text(call->arena, fault));
            return command_fail(call, 255, NULL);
        }
        json_array_append_new(results, json_pack("{s:s, s:i, s:s?}", "check", check->name, "result", (int)result, "details",
            details));
        if ((int)result > call->status)
            call->status = (int)result;
    }
    if (command_flag(call, "--json"))
        print_json(call, results);
    else
        print_table(call, results);
    return NULL;
}

/* Whether a file holds JSON: an object, since a YAML file of one is JSON too. */
static bool is_json(struct command_call *call, const char *path)
{
    json_error_t error;
    json_t *document = json_load_file(path, 0, &error);
    bool found = json_is_object(document);
    json_decref(document);
    return found;
}

struct fault *command_check_policy_json(struct command_call *call, enum check_result *ret, const char **ret_details)
{
    const char *file = config_str(call->app->config, "oslo_policy", "policy_file");
    const char *const directories[] = { call->config_directory, arena_printf(call->arena, "/etc/%s",
        call->program->project) };
    for (size_t i = 0; file != NULL && i < 2; i++) {
        const char *path = file[0] == '/' || directories[i] == NULL
            ? file : arena_printf(call->arena, "%s/%s", directories[i], file);
        if (access(path, F_OK) != 0)
            continue;
        if (!is_json(call, path))
            return NULL;
        *ret = CHECK_FAILURE;
        *ret_details = arena_printf(call->arena, "Your policy file %s is JSON-formatted which is deprecated. You need to"
            " switch to YAML-formatted file; oslopolicy-convert-json-to-yaml converts it.", path);
        return NULL;
    }
    return NULL;
}
