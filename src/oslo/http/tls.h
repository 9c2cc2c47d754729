/* SPDX-License-Identifier: Apache-2.0
 *
 * http/tls: what a libmicrohttpd listener needs to speak TLS: that of every API (http/server.c) and that of the message hub.
 *
 * With a ca_file every client must show a certificate that those authorities signed, as in oslo.service's sslutils and nova's
 * wsgi: who has none is refused in the handshake, before a byte of his request is read.
 */
#ifndef OSLO_HTTP_TLS_H
#define OSLO_HTTP_TLS_H

#include "base/fault.h"

#include <microhttpd.h>

enum { TLS_ITEMS = 5 };

/* Options for MHD_OPTION_ARRAY, ended; the daemon also needs MHD_USE_TLS. They stay valid as long as the arena. `ca_file` NULL:
 * certificates of clients are not asked for. Faults 500: a file is not named, cannot be read, or the key is not the
 * certificate's. */
struct fault *tls_items(struct arena *arena, const char *cert_file, const char *key_file, const char *ca_file,
    struct MHD_OptionItem items[static TLS_ITEMS]);

#endif
