/* SPDX-License-Identifier: Apache-2.0
 * log_format: Python's % formats with the names that oslo.log's ContextFormatter knows, and its JSONFormatter. */
#include "base/log_private.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char LOG_CONTEXT_FORMAT[] = "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s"
                                  " [%(global_request_id)s %(request_id)s %(user_identity)s] %(instance)s%(message)s";
const char LOG_DEFAULT_FORMAT[] = "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [-] %(instance)s%(message)s";
const char LOG_DEBUG_SUFFIX[] = "%(funcName)s %(pathname)s:%(lineno)d";
const char LOG_IDENTITY_FORMAT[] = "%(user)s %(project)s %(domain)s %(system_scope)s %(user_domain)s %(project_domain)s";
const char LOG_DATE_FORMAT[] = "%Y-%m-%d %H:%M:%S";

struct line {
    struct buf *out;
    const struct log_settings *settings;
    const struct log_target *target;
    const struct log_record *record;
    struct tm time;
    bool in_identity;
};

static void expand(struct line *line, const char *format);

static void put_time(struct line *line)
{
    const char *format = line->target->date_format;
    char text[256];
    /* An empty or overlong time is what strftime() gives as 0. */
    size_t length = strftime(text, sizeof(text), format != NULL ? format : LOG_DATE_FORMAT, &line->time);
    buf_append(line->out, text, length);
    if (format == NULL) /* Python's default_msec_format */
        buf_printf(line->out, ",%03d", (int)(line->record->time_us % 1000000 / 1000));
}

static void put_isotime(struct line *line)
{
    char text[64], zone[16];
    size_t length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &line->time);
    strftime(zone, sizeof(zone), "%z", &line->time); /* +0100 */
    buf_append(line->out, text, length);
    buf_printf(line->out, ".%06d%.3s:%s", (int)(line->record->time_us % 1000000), zone, zone + 3);
}

static const char *file_name(const struct log_place *place)
{
    const char *slash = strrchr(place->file, '/');
    return slash != NULL ? slash + 1 : place->file;
}

/* The texts. *ret_number >= 0 when it is a number. NULL: no such name. */
static const char *text_of(const struct line *line, const char *name, long long *ret_number)
{
    static const struct log_place nowhere = { "-", "-", 0 };
    const struct log_record *r = line->record;
    const struct log_place *place = r->place != NULL ? r->place : &nowhere;
    const struct log_identity *i = r->identity;
    const struct {
        const char *name, *text;
        long long number;
    } rows[] = {
        { "message", r->message, -1 },
        { "name", r->module, -1 },
        { "levelname", log_level_names[r->level], -1 },
        { "levelno", NULL, (r->level + 1) * 10 },
        { "msecs", NULL, r->time_us % 1000000 / 1000 },
        { "created", NULL, r->time_us / 1000000 },
        { "process", NULL, getpid() },
        { "processName", "MainProcess", -1 },
        { "thread", NULL, gettid() },
        { "threadName", "MainThread", -1 },
        { "funcName", place->function, -1 },
        { "pathname", place->file, -1 },
        { "filename", file_name(place), -1 },
        { "module", file_name(place), -1 },
        { "lineno", NULL, place->line },
        { "request_id", r->request_id, -1 },
        { "global_request_id", i->global_request_id != NULL ? i->global_request_id : r->request_id != NULL ? "None" : "", -1 },
        { "instance", "", -1 },
        { "resource", "", -1 },
        { "color", "", -1 },
        { "error_summary", "-", -1 },
        { "project_name", i->project_name, -1 },
        { "user_name", i->user_name, -1 },
        { "user", i->user_id, -1 },
        { "user_id", i->user_id, -1 },
        { "project", i->project_id, -1 },
        { "project_id", i->project_id, -1 },
        { "tenant", i->project_id, -1 },
        { "domain", i->domain_id, -1 },
        { "domain_id", i->domain_id, -1 },
        { "system_scope", i->system_scope, -1 },
        { "user_domain", i->user_domain_id, -1 },
        { "project_domain", i->project_domain_id, -1 },
    };
    for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++)
        if (strcmp(rows[k].name, name) == 0) {
            *ret_number = rows[k].number;
            return rows[k].text != NULL ? rows[k].text : "-";
        }
    return NULL;
}

static bool put_number(struct line *line, const char *spec, char conversion, long long number)
{
    char format[32];
    if (snprintf(format, sizeof(format), "%%%.16sll%c", spec, conversion == 'x' ? 'x' : 'd') >= (int)sizeof(format))
        return false;
    buf_printf(line->out, number >= 0 ? format : "-", number);
    return true;
}

/* Flags, width and precision of a text: only digits, "-" and "." reach printf(). */
static void put_text(struct line *line, const char *spec, const char *text)
{
    char format[32];
    if (*spec == '\0') {
        buf_puts(line->out, text);
        return;
    }
    snprintf(format, sizeof(format), "%%%.16ss", spec);
    buf_printf(line->out, format, text);
}

/* One "%(name)-20s" at `at` (behind the "%"). Returns what is behind it; NULL: it is not of this form. */
static const char *put_name(struct line *line, const char *at)
{
    char name[64], spec[17];
    size_t length = strcspn(at + 1, ")"), spec_length;
    const char *after = at + 1 + length;
    long long number = -1;
    if (*after != ')' || length >= sizeof(name))
        return NULL;
    memcpy(name, at + 1, length);
    name[length] = '\0';
    spec_length = strspn(++after, "-0123456789.");
    if (spec_length >= sizeof(spec) || after[spec_length] == '\0' || strchr("sdifrx", after[spec_length]) == NULL)
        return NULL;
    memcpy(spec, after, spec_length);
    spec[spec_length] = '\0';
    after += spec_length;
    if (strcmp(name, "asctime") == 0) {
        put_time(line);
    } else if (strcmp(name, "isotime") == 0) {
        put_isotime(line);
    } else if (strcmp(name, "user_identity") == 0 && !line->in_identity) {
        line->in_identity = true;
        expand(line, line->settings->identity_format);
        line->in_identity = false;
    } else {
        const char *text = text_of(line, name, &number);
        if (text == NULL)
            put_text(line, "", "-");
        else if (number >= 0 && strspn(spec, "-0123456789") == spec_length)
            put_number(line, spec, *after, number);
        else
            put_text(line, spec, text);
    }
    return after + 1;
}

static void expand(struct line *line, const char *format)
{
    for (const char *at = format; at != NULL && *at != '\0';) {
        const char *after = at[0] == '%' && at[1] == '(' ? put_name(line, at + 1) : NULL;
        if (after != NULL) {
            at = after;
        } else if (at[0] == '%' && at[1] == '%') {
            buf_putc(line->out, '%');
            at += 2;
        } else {
            buf_putc(line->out, *at++);
        }
    }
}

static void put_json(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "%s\"%s\": ", out->data[out->length - 1] == '{' ? "" : ", ", name);
    if (text == NULL) {
        buf_puts(out, "null");
        return;
    }
    buf_putc(out, '"');
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            buf_printf(out, "\\%c", *at);
        else if (*at < ' ')
            buf_printf(out, "\\u%04x", *at);
        else
            buf_putc(out, (char)*at);
    }
    buf_putc(out, '"');
}

static void format_json(struct line *line)
{
    const struct log_record *r = line->record;
    const struct log_identity *i = r->identity;
    BUF_CLEANUP struct buf time = { 0 };
    struct line only_time = *line;
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    only_time.out = &time;
    put_time(&only_time);
    buf_putc(line->out, '{');
    put_json(line->out, "message", r->message);
    put_json(line->out, "asctime", buf_text(&time));
    put_json(line->out, "name", r->module);
    put_json(line->out, "msg", r->message);
    put_json(line->out, "levelname", log_level_names[r->level]);
    buf_printf(line->out, ", \"levelno\": %d, \"created\": %lld.%06d, \"process\": %d", (r->level + 1) * 10,
        (long long)(r->time_us / 1000000), (int)(r->time_us % 1000000), (int)getpid());
    put_json(line->out, "pathname", r->place != NULL ? r->place->file : NULL);
    put_json(line->out, "funcname", r->place != NULL ? r->place->function : NULL);
    buf_printf(line->out, ", \"lineno\": %d", r->place != NULL ? r->place->line : 0);
    put_json(line->out, "traceback", NULL);
    put_json(line->out, "hostname", host);
    put_json(line->out, "error_summary", "");
    buf_puts(line->out, ", \"context\": {");
    if (r->request_id != NULL) {
        put_json(line->out, "request_id", r->request_id);
        put_json(line->out, "global_request_id", i->global_request_id);
        put_json(line->out, "user", i->user_id);
        put_json(line->out, "project", i->project_id);
        put_json(line->out, "domain", i->domain_id);
        put_json(line->out, "system_scope", i->system_scope);
        put_json(line->out, "user_domain", i->user_domain_id);
        put_json(line->out, "project_domain", i->project_domain_id);
    }
    buf_puts(line->out, "}, \"extra\": {}}");
}

void log_format(struct buf *out, const struct log_settings *settings, const struct log_target *target,
    const struct log_record *record)
{
    struct line line = { .out = out, .settings = settings, .target = target, .record = record };
    time_t seconds = (time_t)(record->time_us / 1000000);
    localtime_r(&seconds, &line.time);
    if (target->json) {
        format_json(&line);
        return;
    }
    if (target->format != NULL) {
        expand(&line, target->format);
        return;
    }
    expand(&line, record->request_id != NULL ? settings->context_format : settings->default_format);
    if (record->level == LOG_LEVEL_DEBUG && record->place != NULL && settings->debug_suffix != NULL &&
        *settings->debug_suffix != '\0') {
        buf_putc(out, ' ');
        expand(&line, settings->debug_suffix);
    }
}
