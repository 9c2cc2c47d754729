/* SPDX-License-Identifier: Apache-2.0
 *
 * options/sample: the sample file of options.h, laid out as oslo-config-generator does.
 */
#include "oslo/options.h"

#include "base/map.h"

#include <string.h>

static const char *const type_words[] = {
    [OPTION_STR]   = "string value",
    [OPTION_INT]   = "integer value",
    [OPTION_FLOAT] = "floating point value",
    [OPTION_BOOL]  = "boolean value",
    [OPTION_LIST]  = "list value",
    [OPTION_DICT]  = "dict value",
    [OPTION_MULTI] = "multi valued",
    [OPTION_PORT]  = "port value",
    [OPTION_HOST]  = "host address value",
    [OPTION_IP]    = "ip address value",
    [OPTION_URI]   = "uri value",
};

static void sample_default(struct buf *out, const struct option *option)
{
    const char *text = option->def;

    if (text == NULL) {
        buf_printf(out, "#%s = <None>\n", option->name);
        return;
    }
    do {
        size_t length = option->type == OPTION_MULTI ? strcspn(text, "\n") : strlen(text);

        buf_printf(out, "#%s =%s%.*s\n", option->name, length > 0 ? " " : "", (int)length, text);
        text += length;
    } while (*text++ == '\n');
}

static void sample_limits(struct buf *out, const struct option *option)
{
    if (option->type == OPTION_PORT && option->min == 0 && option->max == 0)
        buf_puts(out, "# Minimum value: 0\n# Maximum value: 65535\n");
    if ((option->min != 0 || option->max != 0) && option->min != INT64_MIN)
        buf_printf(out, "# Minimum value: %lld\n", (long long)option->min);
    if ((option->min != 0 || option->max != 0) && option->max != INT64_MAX)
        buf_printf(out, "# Maximum value: %lld\n", (long long)option->max);
}

static void sample_option(struct buf *out, const struct option *option, const char *group)
{
    BUF_CLEANUP struct buf help = { 0 };

    buf_printf(&help, "%s%s(%s)", option->help == NULL ? "" : option->help, option->help == NULL ? "" : " ",
        type_words[option->type]);
    buf_comment(out, buf_text(&help), 79);
    if (option->choices != NULL) {
        buf_puts(out, "# Possible values:\n");
        for (const char *const *choice = option->choices; *choice != NULL; choice++)
            buf_printf(out, "# %s - <No description provided>\n", **choice == '\0' ? "''" : *choice);
    }
    sample_limits(out, option);
    for (const char *const *old = option->deprecated; old != NULL && *old != NULL; old++) {
        const char *slash = strchr(*old, '/');

        buf_printf(out, "# Deprecated group/name - [%.*s]/%s\n",
            slash == NULL ? (int)strlen(group) : (int)(slash - *old), slash == NULL ? group : *old,
            slash == NULL ? *old : slash + 1);
    }
    if (option->reloadable)
        buf_puts(out, "# Note: This option can be changed without restarting.\n");
    sample_default(out, option);
}

static const char *group_of(const struct option_table *table, size_t row)
{
    return table->group != NULL ? table->group : table->rows[row].group;
}

static void sample_group(struct buf *out, const struct option_table *const *tables, size_t table_count,
    const char *group)
{
    struct map done = { 0 };

    buf_printf(out, "%s[%s]\n", out->length > 0 ? "\n\n" : "", group);
    for (size_t t = 0; t < table_count; t++)
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct option *option = &tables[t]->rows[i];

            if (strcmp(group_of(tables[t], i), group) != 0 || map_has(&done, option->name))
                continue;
            map_set(&done, option->name, &done);
            buf_putc(out, '\n');
            sample_option(out, option, group);
        }
    map_release(&done);
}

void config_sample(struct buf *out, const struct option_table *const *tables, size_t table_count)
{
    struct map done = { 0 };

    map_set(&done, "DEFAULT", &done);
    sample_group(out, tables, table_count, "DEFAULT");
    for (size_t t = 0; t < table_count; t++)
        for (size_t i = 0; i < tables[t]->count; i++) {
            const char *group = group_of(tables[t], i);

            if (map_has(&done, group))
                continue;
            map_set(&done, group, &done);
            sample_group(out, tables, table_count, group);
        }
    map_release(&done);
}
