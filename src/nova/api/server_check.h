/* SPDX-License-Identifier: Apache-2.0
 *
 * server_check: what the image and network services must know before a server is made, in nova's words.
 */
#ifndef NOVA_SERVER_CHECK_H
#define NOVA_SERVER_CHECK_H

#include "nova/api/api.h"
#include "nova/api/flavor.h"

/* The image is there, active, and fits the flavor. Gives glance's object. */
struct fault *server_check_image(struct request *rq, const char *image_ref, const struct flavor *flavor,
    const json_t **ret_image);

/* `networks` of the request: absent, "auto", "none" or a list. Gives what instance.requested_networks holds: "none" (with its
 * quotes) or a list in which an automatic choice has been made. */
struct fault *server_check_networks(struct request *rq, const json_t *networks, int64_t count, const char **ret);

/* A port that is to be attached: 404 when the caller sees none, 400 when it is of another project than the server, 409 when
 * something has it already. */
struct fault *server_check_attached_port(struct request *rq, const struct instance *instance, const char *id);

/* Names or ids that the project has. Gives instance.security_groups. */
struct fault *server_check_security_groups(struct request *rq, const json_t *groups, const char **ret);

/* The address as nova keeps accessIPv6: in its short form; anything else comes back as it is. */
const char *server_short_ipv6(struct arena *arena, const char *text);

#endif
