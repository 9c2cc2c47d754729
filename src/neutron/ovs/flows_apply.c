/* SPDX-License-Identifier: Apache-2.0
 * flows_apply: the difference between the switch's flows and the wanted ones, by ovs-ofctl. See flows.h.
 *
 * `ovs-ofctl replace-flows` would do it in one run, but it also deletes what br-tun's learn() action made (every remote
 * host would be flooded to again), and does not say whether anything changed. So: `diff-flows`, and only when something
 * is left over a second run with one bundle of additions and strict deletions. */
#include "base/process.h"
#include "neutron/ovs/flows_private.h"

#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 60000, OUTPUT_LIMIT = 256 * 1024 * 1024 };

static const char *const *environment(struct arena *arena, const char *rundir)
{
    const char **env = ARENA_ARRAY(arena, const char *, 2);
    env[0] = arena_printf(arena, "OVS_RUNDIR=%s", rundir);
    return env;
}

/* The number behind `word` in a flow, or -1. */
static long number_after(const char *flow, const char *word)
{
    const char *at = strstr(flow, word);
    return at != NULL ? strtol(at + strlen(word), NULL, 0) : -1;
}

/* A flow that learn() made, as its hard timeout tells (none of ours has one), of a network and a tunnel that are still
 * wanted: of any other it would send a new network's packets into an old one, since local VLANs are used again. */
static bool is_learned(struct arena *arena, const char *flow, const struct buf *wanted)
{
    if (strstr(flow, "hard_timeout=") == NULL || strstr(flow, "learn(") != NULL)
        return false;
    long vlan = number_after(flow, "vlan_tci="), output = number_after(flow, "output:");
    long tunnel = number_after(flow, ",load:"); /* the second load: the first has no comma before it */
    if (vlan < 0 || tunnel < 0 || output < 0)
        return false;
    const char *network = arena_printf(arena, "\ntable=%d,priority=1,tun_id=0x%lx,actions=push_vlan:0x8100,set_field:%ld->",
        VXLAN_TUN_TO_LV, tunnel, 4096 + vlan);
    const char *port = arena_printf(arena, "\ntable=0,priority=1,in_port=%ld,", output);
    return strstr(buf_text(wanted), network) != NULL && strstr(buf_text(wanted), port) != NULL;
}

/* From " actions=" on nothing is part of a deletion. */
static void put_deletion(struct buf *bundle, const char *flow)
{
    const char *actions = strstr(flow, " actions=");
    buf_printf(bundle, "delete_strict %.*s\n", actions != NULL ? (int)(actions - flow) : (int)strlen(flow), flow);
}

/* From the lines "-flow" (only in the switch) and "+flow" (only wanted). A changed flow has both: deletions go first
 * within the one bundle. */
static size_t write_bundle(struct arena *arena, const char *difference, const struct buf *wanted, struct buf *bundle)
{
    BUF_CLEANUP struct buf additions = { 0 };
    size_t changed = 0;
    for (const char *line = difference; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        const char *flow = length > 1 ? arena_strndup(arena, line + 1, length - 1) : "";
        if (line[0] == '-' && !is_learned(arena, flow, wanted)) {
            put_deletion(bundle, flow);
            changed++;
        } else if (line[0] == '+') {
            buf_printf(&additions, "add %s\n", flow);
            changed++;
        }
        line += length + (line[length] == '\n');
    }
    buf_append(bundle, buf_text(&additions), additions.length);
    return changed;
}

struct fault *flows_apply(struct arena *arena, const char *rundir, const char *bridge, const struct buf *text,
    size_t *ret_changed)
{
    struct process_result result;
    struct process compare = { .argv = ARGV("ovs-ofctl", "-O", "OpenFlow13", "--no-names", "diff-flows", bridge, "/dev/stdin"),
        .env = environment(arena, rundir), .input = buf_text(text), .input_length = text->length, .timeout_ms = TIMEOUT_MS,
        .output_limit = OUTPUT_LIMIT, .any_exit = true };
    TRY(process_run(arena, &compare, &result));
    if (ret_changed != NULL)
        *ret_changed = 0;
    if (result.exit_status == 0)
        return NULL;
    if (result.exit_status != 2) /* 2: they differ */
        return fault_detail(arena, fault_new(arena, 500, NULL, "The flows of %s cannot be compared.", bridge), "%s",
            result.errors);
    BUF_CLEANUP struct buf bundle = { 0 };
    size_t changed = write_bundle(arena, result.output, text, &bundle);
    if (changed == 0)
        return NULL;
    TRY(process_run(arena, &(struct process){
        .argv = ARGV("ovs-ofctl", "-O", "OpenFlow13", "--no-names", "--bundle", "add-flows", bridge, "-"),
        .env = compare.env, .input = buf_text(&bundle), .input_length = bundle.length, .timeout_ms = TIMEOUT_MS }, NULL));
    if (ret_changed != NULL)
        *ret_changed = changed;
    return NULL;
}
