/* SPDX-License-Identifier: Apache-2.0
 *
 * text: small things that are done to texts everywhere: trimming, hexadecimal digits, percent-encoding. ASCII only, whatever the
 * locale is.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>

/* Takes white space off both ends of a text that is pointer and length. */
void text_trim(const char **text, size_t *length);

/* Bytes as hexadecimal digits, lower case: in the arena, or into `to`, which has room for 2 * length + 1. */
const char *text_hex(struct arena *arena, const void *bytes, size_t length);
void text_hex_write(char *to, const void *bytes, size_t length);

/* Percent-encoding (RFC 3986): letters, digits and the bytes named in `plain` stay, all others become %XX. */
#define TEXT_UNRESERVED "-._~"
const char *text_escape(struct arena *arena, const char *text, const char *plain);

/* The way back. An escape that is none stays as it is, as Python's unquote does; with TEXT_STRICT it is refused. With TEXT_PLUS '+'
 * is a blank, as in queries and forms. NULL: refused, or a NUL would come out. */
enum text_unescape_flags { TEXT_PLUS = 1 << 0, TEXT_STRICT = 1 << 1 };
char *text_unescape(struct arena *arena, const char *text, size_t length, unsigned flags);

#endif
