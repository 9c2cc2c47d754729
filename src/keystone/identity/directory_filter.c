/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/identity/directory_filter.h"

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
