/* SPDX-License-Identifier: Apache-2.0
 *
 * bootstrap: what makes an empty state directory a cloud: passwords, configuration files, the first user, the service
 * users, the catalog, openrc and clouds.yaml. Safe to run at every start; it writes only what is not there.
 */
#ifndef NUBO_BOOTSTRAP_H
#define NUBO_BOOTSTRAP_H

#include "nubo/cloud.h"
#include "oslo/app.h"

/* Makes the directories and one configuration file a service. */
struct fault *bootstrap_files(struct arena *arena, const struct settings *settings);

/* The configuration file of one service. */
const struct config_source *bootstrap_config(struct arena *arena, const char *state_dir, const char *service);

/* Users, roles, projects, catalog; needs keystone's app to be created. Then openrc and clouds.yaml. */
struct fault *bootstrap_identity(struct arena *arena, struct cloud *cloud);

#endif
