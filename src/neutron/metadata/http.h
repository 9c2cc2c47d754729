/* SPDX-License-Identifier: Apache-2.0
 *
 * http: reads one HTTP/1.x request of a guest. Takes any bytes, keeps nothing but pointers into them, never needs more
 * than the limits below.
 */
#ifndef NEUTRON_METADATA_HTTP_H
#define NEUTRON_METADATA_HTTP_H

#include <stddef.h>

enum {
    GUEST_HEAD_LIMIT = 16 * 1024,  /* request line and headers */
    GUEST_BODY_LIMIT = 256 * 1024, /* a guest posts its password: a few hundred bytes */
    GUEST_HEADERS_MAX = 64,
};

struct guest_header {
    const char *name, *value; /* as sent; the value without surrounding blanks */
};

struct guest_request {
    const char *method, *path; /* the path with its query: "/openstack/latest/meta_data.json?x=1" */
    struct guest_header headers[GUEST_HEADERS_MAX];
    size_t header_count;
    const char *body;
    size_t body_length;
};

/* Looks at `length` bytes in `data` (writable: NULs are set into it once the request is whole). Returns 0 while the
 * request is not complete, 200 when it is, else the status to refuse it with: 400, 411, 413, 431, 501, 505. */
int guest_request_read(char *data, size_t length, struct guest_request *ret);

/* The value of a header (any case), or NULL. */
const char *guest_header_value(const struct guest_request *request, const char *name);

/* "Not Found" of 404. */
const char *guest_reason(int status);

#endif
