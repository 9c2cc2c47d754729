/* SPDX-License-Identifier: Apache-2.0
 * xml: see xml.h. */
#include "nova/virt/xml.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>

/* Bytes of the UTF-8 character at `at` that XML 1.0 can hold, or 0. */
static size_t valid_character(const unsigned char *at)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    if (at[0] < 0x80)
        return at[0] >= ' ' || at[0] == '\t' || at[0] == '\n' || at[0] == '\r' ? 1 : 0;
    size_t length = at[0] >= 0xf0 && at[0] < 0xf8 ? 4 : at[0] >= 0xe0 && at[0] < 0xf0 ? 3 : at[0] >= 0xc2 && at[0] < 0xe0 ? 2 : 0;
    uint32_t code = length == 0 ? 0 : at[0] & (0x7f >> length);
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3f);
    }
    bool allowed = length > 0 && code >= least[length] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) &&
        code != 0xfffe && code != 0xffff;
    return allowed ? length : 0;
}

static void escape(struct buf *out, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0';) {
        size_t length = valid_character(at);
        switch (*at) {
        case '&':  buf_puts(out, "&amp;");  break;
        case '<':  buf_puts(out, "&lt;");   break;
        case '>':  buf_puts(out, "&gt;");   break;
        case '"':  buf_puts(out, "&quot;"); break;
        case '\'': buf_puts(out, "&#39;");  break;
        case '\t': buf_puts(out, "&#9;");   break;
        case '\n': buf_puts(out, "&#10;");  break;
        case '\r': buf_puts(out, "&#13;");  break;
        default:
            if (length > 0)
                buf_append(out, at, length);
            else
                buf_putc(out, '?');
        }
        at += length > 0 ? length : 1;
    }
}

static void close_tag(struct xml_writer *w)
{
    if (w->in_tag)
        buf_putc(w->out, '>');
    w->in_tag = false;
}

void xml_begin(struct xml_writer *w, const char *name)
{
    assert(w->depth < XML_DEPTH);
    close_tag(w);
    buf_printf(w->out, "<%s", name);
    w->open[w->depth++] = name;
    w->in_tag = true;
}

void xml_end(struct xml_writer *w)
{
    assert(w->depth > 0);
    const char *name = w->open[--w->depth];
    if (w->in_tag)
        buf_puts(w->out, "/>");
    else
        buf_printf(w->out, "</%s>", name);
    w->in_tag = false;
    if (w->depth == 0)
        buf_putc(w->out, '\n');
}

void xml_attribute(struct xml_writer *w, const char *name, const char *value)
{
    assert(w->in_tag);
    if (value == NULL)
        return;
    buf_printf(w->out, " %s=\"", name);
    escape(w->out, value);
    buf_putc(w->out, '"');
}

void xml_attribute_int(struct xml_writer *w, const char *name, int64_t value)
{
    assert(w->in_tag);
    buf_printf(w->out, " %s=\"%" PRId64 "\"", name, value);
}

void xml_text(struct xml_writer *w, const char *text)
{
    close_tag(w);
    escape(w->out, text);
}

void xml_element(struct xml_writer *w, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    xml_begin(w, name);
    for (const char *attribute; (attribute = va_arg(args, const char *)) != NULL;)
        xml_attribute(w, attribute, va_arg(args, const char *));
    xml_end(w);
    va_end(args);
}

void xml_element_text(struct xml_writer *w, const char *name, const char *text)
{
    xml_begin(w, name);
    xml_text(w, text != NULL ? text : "");
    xml_end(w);
}

void xml_element_int(struct xml_writer *w, const char *name, int64_t value)
{
    xml_begin(w, name);
    close_tag(w);
    buf_printf(w->out, "%" PRId64, value);
    xml_end(w);
}
