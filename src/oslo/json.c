/* SPDX-License-Identifier: Apache-2.0
 * json: see json.h. */
#include "oslo/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64 };

/* Bytes of the UTF-8 sequence at `text`, or 0 when it is not one (overlong, surrogate, out of range, cut off). */
static size_t utf8_length(const unsigned char *text, size_t left)
{
    unsigned char c = text[0];
    size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (c == 0xe0 && text[1] < 0xa0) || (c == 0xf0 && text[1] < 0x90);
    bool outside = (c == 0xed && text[1] >= 0xa0) || (c == 0xf4 && text[1] >= 0x90);
    return overlong || outside ? 0 : n;
}

static void quote_special(struct buf *out, unsigned char c)
{
    static const char short_form[] = { ['"'] = '"', ['\\'] = '\\', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't',
        ['\b'] = 'b', ['\f'] = 'f' };
    if (c < sizeof(short_form) && short_form[c] != 0) {
        char text[2] = { '\\', short_form[c] };
        buf_append(out, text, 2);
    } else {
        buf_printf(out, "\\u%04x", c);
    }
}

/* The slow way: from the first byte that is not plain ASCII on. */
static void quote_rest(struct buf *out, const unsigned char *at, const unsigned char *end)
{
    const unsigned char *plain = at; /* begin of the run not yet written */
    while (at < end) {
        size_t n = *at >= 0x80 ? utf8_length(at, (size_t)(end - at)) : *at >= ' ' && *at != 0x7f && *at != '"' && *at != '\\';
        if (n > 0) {
            at += n;
            continue;
        }
        buf_append(out, plain, (size_t)(at - plain));
        if (*at >= 0x80)
            buf_puts(out, "\xef\xbf\xbd");
        else
            quote_special(out, *at);
        plain = ++at;
    }
    buf_append(out, plain, (size_t)(at - plain));
}

/* Whether none of eight bytes is a control character, a quote, a backslash, or above 0x7e. (The high bit of a byte of
 * x - 0x01.. & ~x is set where the byte of x was zero; a borrow can only add a false alarm, which costs nothing.) */
static bool all_plain(uint64_t word)
{
    static const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\'), delete = word ^ (ones * 0x7f);
    uint64_t below = (word - ones * ' ') & ~word;
    uint64_t special = ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((delete - ones) & ~delete);
    return ((special | below | word) & highs) == 0;
}

/* Nearly every text is plain: one reservation, one pass that copies as it looks. */
static void quote_into(struct buf *out, const char *before, size_t before_length, const char *text, size_t length,
    const char *after, size_t after_length)
{
    char *to = buf_reserve(out, before_length + length + after_length + 2);
    char *begin = to;
    memcpy(to, before, before_length);
    to += before_length;
    *to++ = '"';
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t word;
        memcpy(&word, text + i, 8);
        if (!all_plain(word))
            break;
        memcpy(to, &word, 8);
        to += 8;
    }
    for (; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < ' ' || c >= 0x7f || c == '"' || c == '\\')
            break;
        *to++ = (char)c;
    }
    out->length += (size_t)(to - begin);
    if (i < length) {
        quote_rest(out, (const unsigned char *)text + i, (const unsigned char *)text + length);
        to = buf_reserve(out, after_length + 1);
    }
    *to++ = '"';
    memcpy(to, after, after_length);
    to[after_length] = '\0';
    out->length += 1 + after_length;
}

void json_quote(struct buf *out, const char *text, size_t length)
{
    quote_into(out, "", 0, text, length, "", 0);
}

static void begin_member(struct json_writer *w, const char *name)
{
    if (name != NULL)
        quote_into(w->out, ", ", w->comma ? 2 : 0, name, strlen(name), ": ", 2);
    else if (w->comma)
        buf_append(w->out, ", ", 2);
    w->comma = true;
}

void json_begin(struct json_writer *w, const char *name)
{
    begin_member(w, name);
    buf_putc(w->out, '{');
    w->comma = false;
}

void json_end(struct json_writer *w)
{
    buf_putc(w->out, '}');
    w->comma = true;
}

void json_begin_array(struct json_writer *w, const char *name)
{
    begin_member(w, name);
    buf_putc(w->out, '[');
    w->comma = false;
}

void json_end_array(struct json_writer *w)
{
    buf_putc(w->out, ']');
    w->comma = true;
}

void json_text_n(struct json_writer *w, const char *name, const char *value, size_t length)
{
    begin_member(w, name);
    json_quote(w->out, value, length);
}

void json_text(struct json_writer *w, const char *name, const char *value)
{
    if (value == NULL)
        json_raw(w, name, "null");
    else
        json_text_n(w, name, value, strlen(value));
}

void json_textf(struct json_writer *w, const char *name, const char *format, ...)
{
    BUF_CLEANUP struct buf text = { 0 };
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    json_text_n(w, name, buf_text(&text), text.length);
}

void json_int(struct json_writer *w, const char *name, int64_t value)
{
    begin_member(w, name);
    buf_printf(w->out, "%lld", (long long)value);
}

void json_double(struct json_writer *w, const char *name, double value)
{
    begin_member(w, name);
    char text[40];
    if (!isfinite(value)) {
        buf_puts(w->out, "null");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    buf_puts(w->out, text);
    if (strpbrk(text, ".en") == NULL)
        buf_puts(w->out, ".0");
}

void json_bool(struct json_writer *w, const char *name, bool value)
{
    json_raw(w, name, value ? "true" : "false");
}

void json_null_member(struct json_writer *w, const char *name)
{
    json_raw(w, name, "null");
}

void json_raw(struct json_writer *w, const char *name, const char *text)
{
    begin_member(w, name);
    buf_puts(w->out, text != NULL ? text : "null");
}

static int dump_to_buf(const char *data, size_t size, void *out)
{
    buf_append(out, data, size);
    return 0;
}

void json_value(struct json_writer *w, const char *name, const json_t *value)
{
    begin_member(w, name);
    if (value == NULL)
        buf_puts(w->out, "null");
    else
        json_dump_callback(value, dump_to_buf, w->out, JSON_ENCODE_ANY);
}

static void release_json(void *value)
{
    json_decref(value);
}

json_t *json_keep(struct arena *arena, json_t *value)
{
    if (value != NULL)
        arena_defer(arena, release_json, value);
    return value;
}

/* jansson's own depth limit (2048) is a recursion of ours to be: look before it parses. */
static bool too_deep(const char *text, size_t length)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > MAX_DEPTH)
                return true;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}

json_t *json_parse(struct arena *arena, const char *text, size_t length, const char **ret_why)
{
    if (too_deep(text, length)) {
        *ret_why = "too many nested levels";
        return NULL;
    }
    json_error_t error;
    json_t *value = json_loadb(text, length, JSON_DECODE_ANY, &error);
    if (value == NULL) {
        *ret_why = arena_printf(arena, "%s: line %d column %d (char %d)", error.text, error.line, error.column, error.position);
        return NULL;
    }
    return json_keep(arena, value);
}

json_t *json_parse_own(struct arena *arena, const char *text)
{
    const char *why;
    return text == NULL ? NULL : json_parse(arena, text, strlen(text), &why);
}

const char *json_dump(struct arena *arena, const json_t *value)
{
    BUF_CLEANUP struct buf out = { 0 };
    if (value == NULL)
        return "null";
    json_dump_callback(value, dump_to_buf, &out, JSON_ENCODE_ANY | JSON_COMPACT);
    return arena_strndup(arena, buf_text(&out), out.length);
}

json_t *json_at(const json_t *value, const char *path)
{
    while (value != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");
        value = json_object_getn(value, path, n);
        path += n + (path[n] == '.');
    }
    return (json_t *)value;
}

const char *json_text_at(const json_t *value, const char *path)
{
    return json_string_value(json_at(value, path));
}

int64_t json_int_at(const json_t *value, const char *path, int64_t absent)
{
    const json_t *member = json_at(value, path);
    return json_is_integer(member) ? json_integer_value(member) : absent;
}

bool json_bool_at(const json_t *value, const char *path, bool absent)
{
    const json_t *member = json_at(value, path);
    return json_is_boolean(member) ? json_is_true(member) : absent;
}
