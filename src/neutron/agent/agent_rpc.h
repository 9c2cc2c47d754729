/* SPDX-License-Identifier: Apache-2.0
 *
 * agent_rpc: the server's side of the agents' messages.
 */
#ifndef NEUTRON_AGENT_RPC_H
#define NEUTRON_AGENT_RPC_H

#include "neutron/private.h"

/* Serves the topic q-plugin. */
struct fault *plugin_start(struct context *cx);
void plugin_stop(struct app *app);

/* get_active_networks_info {"host"}: {"networks": [...]} that this host's DHCP agent serves, each with subnets, ports and
 * `own_port`, the id of the DHCP port that is made on demand. */
struct fault *dhcp_networks_info(struct context *cx, void *owner, const json_t *arguments, json_t **ret_result);

#endif
