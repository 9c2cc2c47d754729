/* SPDX-License-Identifier: Apache-2.0
 *
 * roles: what nova's service table takes from the conductor, the scheduler, the compute hosts and the metadata service,
 * beyond their start functions in nova.h.
 */
#ifndef NOVA_ROLES_H
#define NOVA_ROLES_H

#include "oslo/app.h"
#include "oslo/flow.h"
#include "oslo/rest.h"

extern const struct option_table nova_target_options, nova_service_user_options;
extern const struct rest_target nova_targets[];
extern const struct option_table nova_scheduler_options, nova_compute_options, nova_metadata_options,
    nova_known_options;

/* Every flow of nova, NULL-terminated; for service->flows. */
extern const struct flow_type *const nova_flows[];

extern const struct flow_type nova_build_instances_flow;     /* conductor */
extern const struct flow_type nova_build_and_run_flow;       /* compute */
extern const struct flow_type nova_terminate_flow;           /* compute */

void nova_conductor_stop(struct app *app);
void nova_scheduler_stop(struct app *app);

/* role.ready: what was under way when the process ended goes on. */
struct fault *nova_conductor_ready(struct context *cx);
struct fault *nova_compute_ready(struct context *cx);

#endif
