/* SPDX-License-Identifier: Apache-2.0
 *
 * policy/sample: the sample file of policy.h, laid out as oslopolicy-sample-generator does.
 */
#include "oslo/policy.h"

static void sample_scopes(struct buf *out, unsigned scopes)
{
    static const char *const names[] = { "system", "domain", "project" };
    const char *separator = "";

    if (scopes == 0)
        return;
    buf_puts(out, "# Intended scope(s): ");
    for (unsigned i = 0; i < 3; i++)
        if (scopes & (1u << i)) {
            buf_printf(out, "%s%s", separator, names[i]);
            separator = ", ";
        }
    buf_putc(out, '\n');
}

static void put_quoted(struct buf *out, const char *text)
{
    buf_putc(out, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            buf_putc(out, '\\');
        buf_putc(out, *text);
    }
    buf_putc(out, '"');
}

static void sample_deprecated(struct buf *out, const struct policy_rule *rule)
{
    const struct policy_deprecated *old = rule->deprecated;
    BUF_CLEANUP struct buf text = { 0 };

    buf_printf(&text, "\"%s\":\"%s\" has been deprecated since %s in favor of \"%s\":\"%s\".",
        old->name != NULL ? old->name : rule->name, old->check, old->since != NULL ? old->since : "this release",
        rule->name, rule->check);
    buf_puts(out, "# DEPRECATED\n");
    buf_comment(out, buf_text(&text), 70);
    if (old->reason != NULL)
        buf_comment(out, old->reason, 70);
}

void policy_sample(struct buf *out, const struct policy_table *const *tables, size_t table_count)
{
    for (size_t t = 0; t < table_count; t++)
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct policy_rule *rule = &tables[t]->rows[i];

            if (rule->description != NULL)
                buf_comment(out, rule->description, 70);
            for (const struct policy_operation *at = rule->operations; at != NULL && at->method != NULL; at++)
                buf_printf(out, "# %s  %s\n", at->method, at->path);
            sample_scopes(out, rule->scopes);
            buf_putc(out, '#');
            put_quoted(out, rule->name);
            buf_puts(out, ": ");
            put_quoted(out, rule->check);
            buf_puts(out, "\n\n");
            if (rule->deprecated != NULL) {
                sample_deprecated(out, rule);
                buf_putc(out, '\n');
            }
        }
}
