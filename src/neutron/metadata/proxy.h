/* SPDX-License-Identifier: Apache-2.0
 *
 * proxy: passes a guest's request on to nova's metadata API, signed with the secret that both services know.
 */
#ifndef NEUTRON_METADATA_PROXY_H
#define NEUTRON_METADATA_PROXY_H

#include "neutron/metadata/listener.h"
#include "oslo/http_client.h"

struct metadata_call {
    const char *url;                    /* of nova's metadata API, with the guest's path */
    const char *secret;                 /* metadata_proxy_shared_secret; "" when none is set */
    const char *peer_ip, *device_id, *project_id;
    const struct guest_request *http;
    struct http_tls tls;                /* of an https URL */
};

/* Fills the answer with nova's; 502 when nova does not answer. Waits at most 30 s. */
void metadata_proxy(struct context *cx, const struct metadata_call *call, struct listener_answer *answer);

#endif
