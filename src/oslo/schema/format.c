/* SPDX-License-Identifier: Apache-2.0
 *
 * schema/format: the formats and patterns of schema.h.
 *
 * Patterns come from our own tables, so they are compiled once and kept for the life of the process; texts come from
 * clients, so every match has limits.
 */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "oslo/schema.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/random.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <pcre2.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MATCH_LIMIT = 200000, DEPTH_LIMIT = 2000, HEAP_LIMIT_KIB = 4096 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of the two below */
static struct map codes;
static pcre2_match_context *limits;

static pcre2_code *compile(const char *pattern)
{
    int error;
    PCRE2_SIZE at;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &error, &at,
        NULL);

    if (code == NULL)
        log_error("oslo.schema", "pattern %s: error %d at %zu", pattern, error, at);
    return code;
}

static pcre2_code *pattern_code(const char *pattern)
{
    pcre2_code *code;

    pthread_mutex_lock(&mutex);
    if (limits == NULL) {
        limits = pcre2_match_context_create(NULL);
        if (limits == NULL)
            abort();
        pcre2_set_match_limit(limits, MATCH_LIMIT);
        pcre2_set_depth_limit(limits, DEPTH_LIMIT);
        pcre2_set_heap_limit(limits, HEAP_LIMIT_KIB);
    }
    code = map_get(&codes, pattern);
    if (code == NULL) {
        code = compile(pattern);
        map_set(&codes, pattern, code);
    }
    pthread_mutex_unlock(&mutex);
    return code;
}

bool schema_pattern_found(const char *pattern, const char *text, size_t length)
{
    pcre2_code *code = pattern_code(pattern);
    pcre2_match_data *match;
    int found;

    assert(code != NULL);
    match = pcre2_match_data_create_from_pattern(code, NULL);
    if (match == NULL)
        abort();
    found = pcre2_match(code, (PCRE2_SPTR)text, length, 0, 0, match, limits);
    pcre2_match_data_free(match);
    return found >= 0;
}

static bool found_in(const char *pattern, const char *text)
{
    return schema_pattern_found(pattern, text, strlen(text));
}

static bool is_uri(const char *text)
{
    return found_in("^[A-Za-z][A-Za-z0-9+.-]*://([A-Za-z0-9._~!$&'()*+,;=:%-]*@)?"
        "(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(:[0-9]*)?"
        "(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(\\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?(#[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?\\z",
        text);
}

static bool is_ipv4(const char *text)
{
    unsigned char bytes[4];

    return inet_pton(AF_INET, text, bytes) == 1;
}

static bool is_ipv6(const char *text)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET6, text, bytes) == 1;
}

static bool is_cidr(const char *text)
{
    const char *slash = strchr(text, '/');
    char address[INET6_ADDRSTRLEN];
    bool v6;

    if (slash == NULL || (size_t)(slash - text) >= sizeof(address) || slash[1] == '\0')
        return false;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    v6 = is_ipv6(address);
    if (!v6 && !is_ipv4(address))
        return false;
    if (strspn(slash + 1, "0123456789") == strlen(slash + 1) && strlen(slash + 1) <= 3)
        return atoi(slash + 1) <= (v6 ? 128 : 32);
    return !v6 && is_ipv4(slash + 1);
}

/* As Python's b64decode without validation: what is not of the alphabet is passed over, only the padding counts. */
static bool is_base64(const char *text)
{
    size_t count = 0, padding = 0;

    for (; *text != '\0'; text++) {
        if (isalnum((unsigned char)*text) || *text == '+' || *text == '/') {
            count++;
            padding = 0;
        } else if (*text == '=') {
            padding++;
        } else if ((unsigned char)*text >= 0x80) {
            continue;
        }
    }
    return count % 4 == 0 || (count % 4 == 2 && padding >= 2) || (count % 4 == 3 && padding >= 1);
}

static bool is_date_time(const char *text)
{
    int64_t us;

    return clock_parse(text, &us);
}

static bool is_hostname(const char *text)
{
    return found_in("^(?=.{1,253}\\z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
        "(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\\z", text);
}

static bool is_email(const char *text)
{
    return strchr(text, '@') != NULL;
}

/* A client's own expression: compiled for the answer only. */
static bool is_regex(const char *text)
{
    int error;
    PCRE2_SIZE at;
    pcre2_code *code;

    if (*text == '\0' || strlen(text) > 1024)
        return false;
    code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &error, &at, NULL);
    pcre2_code_free(code);
    return code != NULL;
}

/* nova's names: printable is all but the categories C, Zl and Zp. */
static bool is_name(const char *text)
{
    return found_in("^(?!\\p{Z}|\\p{C})[^\\p{C}\\p{Zl}\\p{Zp}]*(?<!\\p{Z})$", text);
}

static bool is_az_name(const char *text)
{
    return is_name(text) && strchr(text, ':') == NULL;
}

static bool is_spaced_name(const char *text)
{
    return found_in("^[^\\p{C}\\p{Zl}\\p{Zp}]*[^\\p{C}\\p{Z}][^\\p{C}\\p{Zl}\\p{Zp}]*$", text);
}

static bool is_spaced_az_name(const char *text)
{
    return is_spaced_name(text) && strchr(text, ':') == NULL;
}

static bool is_keypair_name(const char *text)
{
    return found_in("^[0-9A-Za-z_ -]*\\z", text);
}

static bool is_keypair_name_292(const char *text)
{
    return found_in("^[0-9A-Za-z@._ -]*\\z", text);
}

#define INVALID_NAME "An invalid 'name' value was provided. The name must be: "
#define LETTERS      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static const struct format {
    const char *name;
    bool (*check)(const char *text);
    const char *sentence;
} formats[] = {
    { "uuid",            uuid_like },
    { "uri",             is_uri },
    { "ipv4",            is_ipv4 },
    { "ipv6",            is_ipv6 },
    { "cidr",            is_cidr },
    { "base64",          is_base64 },
    { "date-time",       is_date_time },
    { "hostname",        is_hostname },
    { "email",           is_email },
    { "regex",           is_regex },
    { "name",            is_name,
      INVALID_NAME "printable characters. Can not start or end with whitespace." },
    { "name_with_leading_trailing_spaces", is_spaced_name,
      INVALID_NAME "printable characters with at least one non space character" },
    { "az_name",         is_az_name,
      INVALID_NAME "printable characters except :.Can not start or end with whitespace." },
    { "az_name_with_leading_trailing_spaces", is_spaced_az_name,
      INVALID_NAME "printable characters except :, with at least one non space character" },
    { "keypair_name_20", is_keypair_name, INVALID_NAME "Only expected characters: [_- " LETTERS "]" },
    { "keypair_name_292", is_keypair_name_292, INVALID_NAME "Only expected characters: [@._- " LETTERS "]" },
};

static const struct format *format_row(const char *format)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (strcmp(formats[i].name, format) == 0)
            return &formats[i];
    return NULL;
}

bool schema_format_check(const char *format, const char *text, const char **ret_sentence)
{
    const struct format *row = format_row(format);

    assert(row != NULL && "the format is not known");
    if (row->check(text))
        return true;
    *ret_sentence = row->sentence;
    return false;
}
