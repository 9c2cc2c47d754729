/* SPDX-License-Identifier: Apache-2.0
 *
 * directory_filter: search filters of LDAP (RFC 4515) from texts of strangers.
 */
#ifndef KEYSTONE_DIRECTORY_FILTER_H
#define KEYSTONE_DIRECTORY_FILTER_H

#include "base/buf.h"

/* Appends a value so that it stands for itself in a filter. */
void filter_value(struct buf *out, const char *value);

/* Appends "(attribute=value)". */
void filter_equals(struct buf *out, const char *attribute, const char *value);

#endif
