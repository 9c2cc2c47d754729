/* SPDX-License-Identifier: Apache-2.0
 *
 * addresses: see addresses.h. */
#include "nova/addresses.h"

#include <string.h>

static void write_ip(struct json_writer *w, const json_t *ip, const json_t *vif, bool extended)
{
    const char *type = json_text_at(ip, "type");

    json_begin(w, NULL);
    json_int(w, "version", json_int_at(ip, "version", strchr(json_text_at(ip, "address"), ':') != NULL ? 6 : 4));
    json_text(w, "addr", json_text_at(ip, "address"));
    if (extended) {
        json_text(w, "OS-EXT-IPS:type", type != NULL ? type : "fixed");
        json_text(w, "OS-EXT-IPS-MAC:mac_addr", json_text_at(vif, "address"));
    }
    json_end(w);
}

static void write_vif(struct json_writer *w, const json_t *vif, bool extended)
{
    size_t s, i, f;
    json_t *subnet, *ip, *floating;

    json_array_foreach(json_at(vif, "network.subnets"), s, subnet)
        json_array_foreach(json_object_get(subnet, "ips"), i, ip)
        {
            if (json_text_at(ip, "address") == NULL)
                continue;
            write_ip(w, ip, vif, extended);
            json_array_foreach(json_object_get(ip, "floating_ips"), f, floating)
                if (json_text_at(floating, "address") != NULL)
                    write_ip(w, floating, vif, extended);
        }
}

bool addresses_write(struct json_writer *w, const json_t *network_info, bool extended, const char *label)
{
    size_t i, k;
    json_t *vif, *other;
    bool found = false;

    json_array_foreach((json_t *)network_info, i, vif)
    {
        const char *name = json_text_at(vif, "network.label");
        bool before = false;

        if (name == NULL || (label != NULL && strcmp(label, name) != 0))
            continue;
        for (k = 0; k < i && !before; k++) {
            const char *earlier = json_text_at(json_array_get(network_info, k), "network.label");
            before = earlier != NULL && strcmp(earlier, name) == 0;
        }
        if (before)
            continue;
        found = true;
        json_begin_array(w, name);
        json_array_foreach((json_t *)network_info, k, other)
        {
            const char *same = json_text_at(other, "network.label");
            if (same != NULL && strcmp(same, name) == 0)
                write_vif(w, other, extended);
        }
        json_end_array(w);
    }
    return found;
}

const char *addresses_text(struct arena *arena, const char *network_info)
{
    BUF_CLEANUP struct buf text = { 0 };
    struct json_writer w = { .out = &text };

    if (network_info == NULL)
        return NULL;
    json_begin(&w, NULL);
    addresses_write(&w, json_parse_own(arena, network_info), true, NULL);
    json_end(&w);
    return arena_strdup(arena, buf_text(&text));
}
