/* SPDX-License-Identifier: Apache-2.0
 *
 * agent: what the agents share: questions to the server, reports, wake-ups. Each agent is a role: it computes the wanted
 * state from the server's answers, reads the present one and applies the difference (the drivers in ovs/, dhcp/, metadata/).
 */
#ifndef NEUTRON_AGENT_H
#define NEUTRON_AGENT_H

#include "neutron/dhcp/dnsmasq.h"
#include "neutron/ovs/daemon.h"
#include "neutron/private.h"
#include "oslo/periodic.h"

/* Asks the server (topic q-plugin). *ret_result lives in the context's arena; NULL: not wanted. `arguments` is taken over. */
struct fault *agent_ask(struct context *cx, const char *method, json_t *arguments, json_t **ret_result);

/* report_state. `configurations` is taken over. */
struct fault *agent_state_report(struct context *cx, const char *type, const char *binary, json_t *configurations, bool started);

/* This cloud's switch: STATE_DIR/run/ovs, in the data plane's namespace. */
struct ovs_daemon agent_switch(struct arena *arena, const struct app *app);

/* Where DHCP servers' files and namespaces are. */
struct dhcp_config agent_dhcp_config(struct arena *arena, const struct app *app);

/* Serves the notifications of one agent: every message calls wake(owner). `name` is unique in the process. */
struct agent_waker {
    struct periodic *periodic;
};
struct fault *agent_listen(struct context *cx, const char *name, struct agent_waker *waker);
void agent_unlisten(struct app *app, const char *name);

struct fault *ovs_agent_start(struct context *cx);
void ovs_agent_stop(struct app *app);
struct fault *dhcp_agent_start(struct context *cx);
void dhcp_agent_stop(struct app *app);
struct fault *metadata_agent_start(struct context *cx);
void metadata_agent_stop(struct app *app);
/* Namespaces came or went. */
void metadata_agent_wake(void);

#endif
