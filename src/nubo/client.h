/* SPDX-License-Identifier: Apache-2.0
 *
 * client: a small OpenStack client for nubo's own commands; it speaks HTTP as any other client does.
 */
#ifndef NUBO_CLIENT_H
#define NUBO_CLIENT_H

#include "base/arena.h"
#include "base/fault.h"

#include <jansson.h>
#include <sys/types.h>

struct client;

/* Logs in with what the state directory's openrc says and reads the catalog. The client lives in the arena. Fault: the cloud
 * does not run, or never did. */
struct fault *client_login(struct arena *arena, const char *state_dir, struct client **ret);
/* As OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and their like say. */
struct fault *client_login_environment(struct arena *arena, struct client **ret);

/* One call to a service's public endpoint: client_call(c, "compute", "POST", "/servers", body, &answer). A status >= 400 is
 * a fault with that status and the service's own words. `body` may be NULL; *ret (may be NULL) is NULL without a JSON answer. */
struct fault *client_call(struct client *client, const char *service, const char *method, const char *path,
    const json_t *body, json_t **ret);

/* PUTs a file; progress(NULL, done, total), in bytes, is called as it goes. */
struct fault *client_upload(struct client *client, const char *service, const char *path, const char *file,
    void (*progress)(void *owner, off_t done, off_t total));

struct arena *client_arena(const struct client *client);
#endif
