/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands of keystone-manage that read files: domain_config_upload, mapping_engine and saml_idp_metadata.
 */
#include "keystone/command/commands.h"

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "keystone/federation/mapping.h"
#include "keystone/federation/saml.h"
#include "keystone/resource/domain_config.h"
#include "oslo/json.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODULE "keystone.cmd.cli"

enum { FILE_LIMIT = 1 << 20 };

/* ---- domain_config_upload ---- */

const struct argument keystone_domain_config_arguments[] = {
    { "--all", ARGUMENT_FLAG, "Upload contents of all domain specific configuration files." },
    { "--domain-name", ARGUMENT_TEXT, "Upload contents of the specific configuration file for the given domain." },
    { NULL },
};

/* {"group": {"option": "value"}} of an INI file; NULL when it is none. */
static json_t *parse_config(struct command_call *call, const char *path)
{
    const char *text = file_read(call->arena, path, FILE_LIMIT, NULL);
    struct config_entry *first = NULL, **tail = &first;
    json_t *config = json_keep(call->arena, json_object());

    if (text == NULL || config_parse(call->arena, path, text, strlen(text), &tail) != NULL)
        return NULL;
    for (const struct config_entry *entry = first; entry != NULL; entry = entry->next) {
        json_t *group = json_object_get(config, entry->group);
        if (group == NULL) {
            group = json_object();
            json_object_set_new(config, entry->group, group);
        }
        json_object_set_new(group, entry->name, json_string(entry->value));
    }
    return config;
}

struct upload {
    const char *domain_id;
    const json_t *config;
};

static struct fault *upload_run(struct tx *tx, void *argument)
{
    const struct upload *upload = argument;

    return domain_config_store(tx, upload->domain_id, upload->config);
}

/* What stands in the way is told, and counts as not done. */
static struct fault *upload_file(struct command_call *call, const char *path, const char *domain, bool *ret_done)
{
    struct context cx = command_context(call);
    struct upload upload;
    json_t *present = NULL;
    struct tx *tx;

    *ret_done = false;
    TRY(db_read(call->arena, call->app->db, &tx));
    TRY(sql_text_of(tx, &upload.domain_id, "SELECT id FROM project WHERE name = ? AND is_domain = 1 AND id <> domain_id",
        BIND(TEXT(domain))));
    if (upload.domain_id != NULL)
        TRY(domain_config_load(tx, upload.domain_id, &present));
    tx_end(tx);
    if (upload.domain_id == NULL) {
        printf("Invalid domain name: %s found in config file name: %s - ignoring this file.\n", domain, path);
        return NULL;
    }
    if (json_object_size(present) > 0) {
        printf("Domain: %s already has a configuration defined - ignoring file: %s.\n", domain, path);
        return NULL;
    }
    upload.config = parse_config(call, path);
    if (upload.config == NULL) {
        printf("Error parsing configuration file for domain: %s, file: %s.\n", domain, path);
        return NULL;
    }
    struct fault *fault = domain_config_check(&cx, upload.config);
    if (fault != NULL) {
        log_error(MODULE, "Error processing config file for domain: %s, filename: %s, error: %s", domain, path, fault->message);
        return NULL;
    }
    TRY(db_write(call->arena, call->app->db, upload_run, &upload));
    *ret_done = true;
    return NULL;
}

/* The domain in keystone.DOMAIN.conf; NULL: the file is named otherwise. */
static const char *domain_of(struct arena *arena, const char *name)
{
    static const char head[] = "keystone.", tail[] = ".conf";
    size_t length = strlen(name), ends = sizeof(head) + sizeof(tail) - 2;

    if (length < ends || strncmp(name, head, sizeof(head) - 1) != 0 || strcmp(name + length - (sizeof(tail) - 1), tail) != 0)
        return NULL;
    return arena_strndup(arena, name + sizeof(head) - 1, length - ends);
}

static struct fault *upload_all(struct command_call *call, const char *directory)
{
    DIR *stream = opendir(directory);
    const struct dirent *entry;
    struct fault *fault = NULL;
    size_t done = 0, failed = 0;

    log_info(MODULE, "Scanning '%s' for domain config files", directory);
    while (stream != NULL && fault == NULL && (entry = readdir(stream)) != NULL) {
        const char *domain = domain_of(call->arena, entry->d_name);
        const char *path = arena_printf(call->arena, "%s/%s", directory, entry->d_name);
        bool good = false;
        if (domain == NULL && entry->d_name[0] != '.')
            log_warning(MODULE, "Ignoring file (%s) while scanning domain config directory", entry->d_name);
        if (domain == NULL)
            continue;
        fault = upload_file(call, path, domain, &good);
        if (good)
            log_info(MODULE, "Successfully uploaded domain config '%s'", path);
        *(good ? &done : &failed) += 1;
    }
    if (stream != NULL)
        closedir(stream);
    if (done == 0)
        log_warning(MODULE, "No domain configs uploaded from '%s'", directory);
    call->status = failed > 0 ? 1 : 0;
    return fault;
}

struct fault *keystone_domain_config_upload(struct command_call *call)
{
    const char *domain = command_text(call, "--domain-name"), *directory = config_str(call->app->config, "identity",
        "domain_config_dir");
    bool all = command_flag(call, "--all"), good;

    TRY(keystone_command_open(call));
    if (all == (domain != NULL)) {
        puts(all ? "The --all option cannot be used with the --domain-name option"
                 : "At least one option must be provided, use either --all or --domain-name");
        return command_fail(call, 1, NULL);
    }
    if (directory == NULL || access(directory, F_OK) != 0) {
        printf("Unable to locate domain config directory: %s\n", directory != NULL ? directory : "None");
        return command_fail(call, 1, NULL);
    }
    if (all)
        return upload_all(call, directory);
    TRY(upload_file(call, arena_printf(call->arena, "%s/keystone.%s.conf", directory, domain), domain, &good));
    call->status = good ? 0 : 1;
    return NULL;
}

/* ---- mapping_engine ---- */

const struct argument keystone_mapping_engine_arguments[] = {
    { "--rules", ARGUMENT_TEXT, "Path to the file with rules to be executed: JSON with a list below \"rules\".", .required = true },
    { "--input", ARGUMENT_TEXT, "Path to the file with input attributes, one \"NAME: value;value\" a line.", .required = true },
    { "--prefix", ARGUMENT_TEXT, "Only attributes whose names begin so count." },
    { "--engine-debug", ARGUMENT_FLAG, "Print the rules and the attributes as they are read." },
    { NULL },
};

static void print_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(2));

    puts(text != NULL ? text : "null");
    free(text);
}

/* {"NAME": "value"} of the lines; NULL, having said why, when one is no "NAME: value". */
static json_t *parse_assertion(struct command_call *call, const char *path, const char *text)
{
    json_t *assertion = json_keep(call->arena, json_object());
    const char *prefix = command_text(call, "--prefix");

    for (int number = 1; *text != '\0'; number++) {
        size_t length = strcspn(text, "\n");
        const char *line = text, *colon;
        text += length + (text[length] == '\n');
        text_trim(&line, &length);
        if (length == 0)
            continue;
        colon = memchr(line, ':', length);
        if (colon == NULL) {
            command_fail(call, 1, "assertion file %s at line %d expected 'key: value' but found '%.*s' see help for file format",
                path, number, (int)length, line);
            return NULL;
        }
        const char *name = line, *value = colon + 1;
        size_t name_length = (size_t)(colon - line), value_length = (size_t)(line + length - value);
        text_trim(&name, &name_length);
        text_trim(&value, &value_length);
        name = arena_strndup(call->arena, name, name_length);
        if (prefix == NULL || strncmp(name, prefix, strlen(prefix)) == 0)
            json_object_set_new(assertion, name, json_stringn(value, value_length));
    }
    return assertion;
}

struct fault *keystone_mapping_engine(struct command_call *call)
{
    const char *rules_path = command_text(call, "--rules"), *input_path = command_text(call, "--input"), *why = "";
    const char *rules_text = file_read(call->arena, rules_path, FILE_LIMIT, NULL), *input = NULL;
    struct mapped mapped;

    if (rules_text == NULL)
        return fault_new(call->arena, 500, NULL, "%s: %s", rules_path, strerror(errno));
    json_t *rules = json_parse(call->arena, rules_text, strlen(rules_text), &why);
    if (rules == NULL)
        return command_fail(call, 1, "Error while parsing rules %s: %s", rules_path, why);
    if (json_is_array(rules))
        rules = json_keep(call->arena, json_pack("{s:O}", "rules", rules));
    if (!mapping_check(call->arena, rules, &why))
        return fault_new(call->arena, 400, NULL, "%s", why);
    input = file_read(call->arena, input_path, FILE_LIMIT, NULL);
    if (input == NULL)
        return command_fail(call, 1, "Error while opening file %s: %s", input_path, strerror(errno));
    json_t *assertion = parse_assertion(call, input_path, input);
    if (assertion == NULL)
        return NULL;
    if (command_flag(call, "--engine-debug")) {
        puts("Using Rules:");
        print_json(rules);
        puts("Using Assertion:");
        print_json(assertion);
    }
    TRY(mapping_apply(call->arena, "local", json_object_get(rules, "rules"), assertion, &mapped));
    json_t *result = json_keep(call->arena, json_pack("{s:O?, s:O?, s:O?, s:O?}", "user", mapped.user, "group_ids",
        mapped.group_ids, "group_names", mapped.group_names, "projects", mapped.projects));
    print_json(result);
    return NULL;
}

/* ---- saml_idp_metadata ---- */

struct fault *keystone_saml_metadata(struct command_call *call)
{
    BUF_CLEANUP struct buf out = { 0 };

    TRY(saml_metadata(call->arena, call->app->config, &out));
    puts(buf_text(&out));
    return NULL;
}
