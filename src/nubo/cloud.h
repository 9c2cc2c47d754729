/* SPDX-License-Identifier: Apache-2.0
 *
 * cloud: the whole cloud in this process: state directory, configuration, apps, pools, listening sockets.
 *
 * The state directory holds everything:
 *     openrc, clouds.yaml   how to log in (0600)
 *     cloud.json            the settings of the first start; later starts read them
 *     etc/SERVICE.conf      one file a service, with the passwords of the service users (0600)
 *     db/ keys/ images/ instances/ ...   what the services keep
 *     run/                  pid file, sockets; log/nubo.log; trace (the ring of spans)
 */
#ifndef NUBO_CLOUD_H
#define NUBO_CLOUD_H

#include "base/arena.h"
#include "base/fault.h"

#include <stdbool.h>

enum { STATE_FILE_LIMIT = 1 << 20 }; /* bytes of a file of ours in the state directory */

struct settings {
    const char *state_dir;
    const char *bind;
    int port_offset;
    int fake_compute;
    const char *provider_interface; /* NULL: a network namespace of its own */
};

/* Reads cloud.json over the defaults; `given` wins where it is set (NULL, -1: not set). */
struct fault *settings_load(struct arena *arena, const char *state_dir, const struct settings *given,
    struct settings *ret);
struct fault *settings_save(struct arena *arena, const struct settings *settings);

/* The state directory: --state-dir, else NUBO_STATE_DIR, else /var/lib/nubo; absolute. */
const char *state_directory(struct arena *arena, const char *given);

/* The network namespace of this cloud's data plane: "nubo" for the default state directory, else with a part of the
 * directory's digest, so that clouds stand side by side. */
const char *data_plane_namespace(struct arena *arena, const char *state_dir);

/* What the log says of a start that failed, before the reason. */
#define CLOUD_DID_NOT_START "the cloud did not start: "

/* Runs the cloud until SIGTERM or SIGINT. Returns the exit status; failures are told on standard error. */
int cloud_run(const struct settings *settings);

/* The parts of a run, for programs: signals, limits and the host's name; the data plane's namespace, made when it is not
 * there; the pools; apps that are created are started and listen; SIGHUP reloads until SIGTERM or SIGINT; the end. */
struct cloud;
void cloud_prepare(struct arena *arena, struct cloud *cloud);
struct fault *cloud_namespace(struct arena *arena, struct cloud *cloud, const char *name);
void cloud_pools(struct cloud *cloud);
struct fault *cloud_start(struct arena *arena, struct cloud *cloud);
void cloud_wait(struct arena *arena, struct cloud *cloud);
void cloud_stop(struct cloud *cloud);

/* The running cloud's pid, or 0. */
int cloud_pid(struct arena *arena, const char *state_dir);

#endif
