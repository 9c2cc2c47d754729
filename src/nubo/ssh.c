/* SPDX-License-Identifier: Apache-2.0
 * ssh: `nubo ssh SERVER [COMMAND...]`: into the guest, from the namespace of its network's DHCP server. */
#include "nubo/commands.h"

#include "base/file.h"
#include "nubo/client.h"
#include "oslo/json.h"
#include "oslo/rest.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WORDS = 128 };

struct place {
    const char *network_id, *address;
};

static struct fault *find_server(struct client *client, const char *name, json_t **ret)
{
    struct arena *arena = client_arena(client);
    json_t *answer;
    if (client_call(client, "compute", "GET", arena_printf(arena, "/servers/%s", rest_escape(arena, name)), NULL, &answer) ==
        NULL) {
        *ret = json_object_get(answer, "server");
        return NULL;
    }
    TRY(client_call(client, "compute", "GET", arena_printf(arena, "/servers/detail?name=%s", rest_escape(arena, name)), NULL,
        &answer));
    size_t i;
    json_t *server;
    json_array_foreach(json_object_get(answer, "servers"), i, server) /* the filter is a pattern: take the exact name */
        if (strcmp(json_text_at(server, "name"), name) == 0) {
            *ret = server;
            return NULL;
        }
    return fault_new(arena, 404, NULL, "No server is called %s.", name);
}

static struct fault *find_place(struct client *client, const json_t *server, struct place *ret)
{
    struct arena *arena = client_arena(client);
    json_t *answer;
    TRY(client_call(client, "network", "GET", arena_printf(arena, "/v2.0/ports?device_id=%s", json_text_at(server, "id")), NULL,
        &answer));
    json_t *port = json_array_get(json_object_get(answer, "ports"), 0);
    const char *address = json_text_at(json_array_get(json_object_get(port, "fixed_ips"), 0), "ip_address");
    if (address == NULL)
        return fault_new(arena, 404, NULL, "The server %s has no address.", json_text_at(server, "name"));
    *ret = (struct place){ json_text_at(port, "network_id"), address };
    return NULL;
}

static struct fault *prepare(struct arena *arena, const struct arguments *arguments, const char **argv)
{
    struct client *client;
    json_t *server;
    struct place place;
    TRY(client_login(arena, arguments->state_dir, &client));
    TRY(find_server(client, arguments->words[0], &server));
    TRY(find_place(client, server, &place));
    const char *netns = arena_printf(arena, "%s.qdhcp-%s", data_plane_namespace(arena, arguments->state_dir), place.network_id);
    if (!file_exists(arena_printf(arena, "/run/netns/%s", netns)))
        return fault_new(arena, 404, NULL, "The server's network has no DHCP server on this host to go through (%s).", netns);
    const char *const begin[] = { "ip", "netns", "exec", netns, "ssh", "-i",
        arena_printf(arena, "%s/ssh/id_ed25519", arguments->state_dir), "-o", "IdentitiesOnly=yes", "-o",
        arena_printf(arena, "UserKnownHostsFile=%s/ssh/known_hosts", arguments->state_dir), "-o",
        "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=20", "-o",
        arena_printf(arena, "HostKeyAlias=%s", json_text_at(server, "id")), arena_printf(arena, "nubo@%s", place.address) };
    size_t n = sizeof(begin) / sizeof(begin[0]);
    memcpy(argv, begin, sizeof(begin));
    for (const char *const *word = arguments->words + 1; *word != NULL && n < WORDS - 1; word++)
        argv[n++] = *word;
    argv[n] = NULL;
    return NULL;
}

int command_ssh(const struct arguments *arguments)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    const char *argv[WORDS];
    if (arguments->words[0] == NULL) {
        fprintf(stderr, "usage: nubo ssh SERVER [COMMAND...]\n");
        return 2;
    }
    struct fault *fault = prepare(arena, arguments, argv);
    if (fault != NULL) {
        fprintf(stderr, "nubo: %s\n", fault_text(arena, fault));
        return 1;
    }
    execvp(argv[0], (char *const *)argv);
    perror("nubo: ip");
    return 1;
}
