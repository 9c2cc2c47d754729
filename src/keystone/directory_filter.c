/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/directory_filter.h"

#include <stdbool.h>
#include <string.h>

void filter_value(struct buf *out, const char *value)
{
    for (const unsigned char *c = (const unsigned char *)value; *c != '\0'; c++) {
        if (strchr("*()\\", *c) != NULL || *c < 0x20 || *c == 0x7f)
            buf_printf(out, "\\%02x", *c);
        else
            buf_putc(out, (char)*c);
    }
}

void filter_equals(struct buf *out, const char *attribute, const char *value)
{
    buf_printf(out, "(%s=", attribute);
    filter_value(out, value);
    buf_putc(out, ')');
}

void dn_value(struct buf *out, const char *value)
{
    size_t length = strlen(value);

    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)value[i];
        bool edge = (i == 0 && (c == ' ' || c == '#')) || (i + 1 == length && c == ' ');
        if (c < 0x20 || c == 0x7f)
            buf_printf(out, "\\%02X", c);
        else if (edge || strchr(",+\"\\<>;=", c) != NULL)
            buf_printf(out, "\\%c", c);
        else
            buf_putc(out, (char)c);
    }
}
