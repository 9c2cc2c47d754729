/* SPDX-License-Identifier: Apache-2.0
 * main: `nubo WORD [options]`. */
#include "nubo/client.h"
#include "nubo/commands.h"
#include "nubo/manage.h"
#include "nubo/programs.h"

#include "oslo/json.h"
#include "oslo/trace.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
    const char *name;
    const char *arguments;
    int words; /* most of those that are no options; -1: any number */
    const char *help;
    int (*run)(const struct arguments *arguments);
} commands[] = {
    { "up",     "",                     0,  "start the cloud in the background and boot a first server", command_up },
    { "down",   "",                     0,  "stop what up started; with --purge, remove all data too",    command_down },
    { "run",    "[ROLE...]",            0,  "run the cloud, or these roles of it, in the foreground",     command_run },
    { "status", "",                     0,  "say whether the cloud runs, and where its APIs are",         command_status },
    { "ssh",    "SERVER [COMMAND...]",  -1, "log in to a guest from wherever it is",                      command_ssh },
    { "trace",  "REQUEST-ID",           1,  "print the way of one request through all services",          command_trace },
    { "config", "sample SERVICE",       2,  "print the complete commented configuration file",            command_config },
    { "policy", "sample SERVICE",       2,  "print the complete commented policy file",                   command_policy },
    { "routes", "",                     0,  "print every route of every API with its policy",             command_routes },
    { "flows",  "",                     0,  "print every long operation with its steps",                  command_flows },
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

enum { OPT_STATE_DIR = 256, OPT_NO_SERVER, OPT_FAKE_COMPUTE, OPT_BIND, OPT_PORT_OFFSET, OPT_PROVIDER_INTERFACE,
    OPT_IMAGE, OPT_PURGE };

static const struct {
    struct option option;
    const char *value, *help;
} options[] = {
    { { "state-dir", required_argument, NULL, OPT_STATE_DIR }, "DIR", "where everything lives (NUBO_STATE_DIR; /var/lib/nubo)" },
    { { "no-server", no_argument, NULL, OPT_NO_SERVER }, NULL, "stop before the first server" },
    { { "fake-compute", required_argument, NULL, OPT_FAKE_COMPUTE }, "N", "N simulated compute hosts, no hypervisor, no switch" },
    { { "bind", required_argument, NULL, OPT_BIND }, "ADDR", "address that the APIs listen on (127.0.0.1)" },
    { { "port-offset", required_argument, NULL, OPT_PORT_OFFSET }, "N", "added to every port" },
    { { "provider-interface", required_argument, NULL, OPT_PROVIDER_INTERFACE }, "IF",
        "put the data plane on the host's network, with IF in the provider bridge" },
    { { "image", required_argument, NULL, OPT_IMAGE }, "FILE", "guest image that up uploads" },
    { { "purge", no_argument, NULL, OPT_PURGE }, NULL, "down: remove all data too" },
    { { "help", no_argument, NULL, 'h' }, NULL, "this text" },
};
enum { OPTIONS_COUNT = sizeof(options) / sizeof(options[0]) };

static void usage(FILE *out)
{
    fprintf(out, "usage: nubo COMMAND [options]\n\ncommands:\n");
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-8s%-22s%s\n", commands[i].name, commands[i].arguments, commands[i].help);
    fprintf(out, "\noptions:\n");
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        fprintf(out, "  --%-20s%-6s%s\n", options[i].option.name, options[i].value != NULL ? options[i].value : "",
            options[i].help);
}

/* A whole number within limits; ends the program with a reason otherwise. */
static int number(const char *name, const char *text, int min, int max)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < min || value > max) {
        fprintf(stderr, "nubo: --%s takes a number from %d to %d, not %s\n", name, min, max, text);
        exit(2);
    }
    return (int)value;
}

/* A name would be looked up by every service, each time it starts. */
static const char *address(const char *text)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, text, bytes) != 1 && inet_pton(AF_INET6, text, bytes) != 1) {
        fprintf(stderr, "nubo: --bind takes an address of this machine, such as 127.0.0.1, not %s\n", text);
        exit(2);
    }
    return text;
}

static bool take_option(struct arguments *a, const char **state_dir, int option, const char *value)
{
    switch (option) {
    case OPT_STATE_DIR:
        *state_dir = value;
        return true;
    case OPT_NO_SERVER:
        a->no_server = true;
        return true;
    case OPT_FAKE_COMPUTE:
        a->settings.fake_compute = number("fake-compute", value, 0, 20000);
        return true;
    case OPT_BIND:
        a->settings.bind = address(value);
        return true;
    case OPT_PORT_OFFSET:
        a->settings.port_offset = number("port-offset", value, 0, 50000);
        return true;
    case OPT_PROVIDER_INTERFACE:
        a->settings.provider_interface = value;
        return true;
    case OPT_IMAGE:
        a->image = value;
        return true;
    case OPT_PURGE:
        a->purge = true;
        return true;
    default:
        return false;
    }
}

/* With "+" options end at the first word that is none, so that `nubo ssh SERVER ls -l` keeps its -l. */
static void parse(struct arena *arena, const struct command *command, int argc, char **argv, struct arguments *a)
{
    struct option longs[OPTIONS_COUNT + 1];
    const char *state_dir = NULL;
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        longs[i] = options[i].option;
    longs[OPTIONS_COUNT] = (struct option){ 0 };
    *a = (struct arguments){ .settings = { .port_offset = -1, .fake_compute = -1 } };
    argv[0] = arena_printf(arena, "nubo %s", command->name); /* what getopt begins its complaints with */
    int option;
    while ((option = getopt_long(argc, argv, command->words < 0 ? "+h" : "h", longs, NULL)) != -1) {
        if (option == 'h') {
            usage(stdout);
            exit(0);
        }
        if (!take_option(a, &state_dir, option, optarg))
            exit(2); /* getopt has said why */
    }
    if (command->words >= 0 && argc - optind > command->words) {
        if (command->run == command_run)
            fprintf(stderr, "nubo run: there is no role %s; nubo run nova-api --help lists them\n", argv[optind]);
        else
            fprintf(stderr, "nubo %s: what is %s? usage: nubo %s %s\n", command->name, argv[optind + command->words], command->name,
                command->arguments[0] != '\0' ? command->arguments : "[options]");
        exit(2);
    }
    a->state_dir = state_directory(arena, state_dir);
    a->words = (const char *const *)argv + optind;
}

/* `nubo run nova-api ...`: a role among the arguments makes it a process of roles. */
static bool names_role(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (program_known(argv[i]))
            return true;
    return false;
}

int main(int argc, char **argv)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    int status;
    if (manage_run(argc, argv, &status))
        return status;
    const char *name = strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0];
    if (program_known(name))
        return program_main(name, false, argc, argv);
    if (argc > 2 && strcmp(argv[1], "run") == 0 && names_role(argc, argv))
        return program_main("nubo run", true, argc - 1, argv + 1);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        puts("nubo " NUBO_VERSION);
        return 0;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            struct arguments arguments;
            parse(arena, &commands[i], argc - 1, argv + 1, &arguments);
            return commands[i].run(&arguments);
        }
    if (program_known(argv[1]))
        fprintf(stderr, "nubo: %s is a role: nubo run %s\n", argv[1], argv[1]);
    else
        fprintf(stderr, "nubo: there is no command %s; nubo help lists them\n", argv[1]);
    return 2;
}

int command_run(const struct arguments *arguments)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct settings settings;
    struct fault *fault = settings_load(arena, arguments->state_dir, &arguments->settings, &settings);
    if (fault != NULL) {
        fprintf(stderr, "nubo: %s\n", fault_text(arena, fault));
        return 1;
    }
    return cloud_run(&settings);
}

/* What the APIs of the catalog know, each of its own host and of the hosts that it can ask. */
static void add_remote_spans(struct arena *arena, const char *state_dir, const char *request_id, json_t *spans)
{
    static const char *const types[] = { "identity", "image", "placement", "network", "compute" };
    struct client *client;
    struct fault *fault = getenv("OS_AUTH_URL") != NULL ? client_login_environment(arena, &client)
                                                        : client_login(arena, state_dir, &client);
    if (fault != NULL) {
        fprintf(stderr, "nubo: the APIs are not asked: %s\n", fault_text(arena, fault));
        return;
    }
    const char *path = arena_printf(arena, "/nubo/trace/%s", request_id);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        json_t *answer = NULL;
        fault = client_call(client, types[i], "GET", path, NULL, &answer);
        if (fault != NULL)
            fprintf(stderr, "nubo: what the %s service knows is missing: %s\n", types[i], fault_text(arena, fault));
        else
            json_array_extend(spans, json_object_get(answer, "spans"));
    }
}

int command_trace(const struct arguments *arguments)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    const char *request_id = arguments->words[0];
    if (request_id == NULL) {
        fprintf(stderr, "usage: nubo trace REQUEST-ID\n");
        return 2;
    }
    json_t *spans = json_keep(arena, trace_spans(arena_printf(arena, "%s/trace", arguments->state_dir), request_id));
    if (json_array_size(spans) == 0 || getenv("OS_AUTH_URL") != NULL)
        add_remote_spans(arena, arguments->state_dir, request_id, spans);
    if (trace_print(spans, stdout))
        return 0;
    fprintf(stderr, "nubo: nothing is known of %s: is it a request id (req-...), and not too old?\n", request_id);
    return 1;
}
