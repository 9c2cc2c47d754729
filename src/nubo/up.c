/* SPDX-License-Identifier: Apache-2.0
 * up: from an empty directory to a running cloud with a first server, as a table of steps, each of which finds what is
 * there and makes only what is not. It uses the cloud as any client does: through the APIs. */
#include "nubo/commands.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "nubo/client.h"
#include "oslo/json.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_TIMEOUT_S = 120, BOOT_TIMEOUT_S = 300, POLL_MS = 100, CONSOLE_LINES = 12, LOG_LIMIT = 64 << 10 };

static const char server_name[] = "first", image_name[] = "nubo-guest", flavor_name[] = "nubo.tiny",
                  network_name[] = "private", key_name[] = "nubo";
/* 198.18.0.0/15 is set aside for tests (RFC 2544): it is nobody's real network. */
static const char subnet_cidr[] = "198.18.0.0/24";

struct up {
    struct arena *arena;
    const struct arguments *arguments;
    struct settings settings;
    struct client *client;
    const char *image_id, *network_id, *server_id;
    const char *console; /* tail, once the guest is there */
    const char *before;  /* what its console ended with when we started it; NULL: nothing */
};

struct up_step {
    const char *title;
    struct fault *(*run)(struct up *up);
    bool server_only;  /* left out by --no-server */
    bool guest_only;   /* left out with simulated hosts */
    const char *hint;  /* what to do when it fails */
};

static bool on_terminal(void)
{
    return isatty(STDOUT_FILENO);
}

/* A detail beside the running step; on a terminal it is overwritten. */
static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *format, ...)
{
    if (!on_terminal())
        return;
    va_list args;
    va_start(args, format);
    printf("\033[K");
    vprintf(format, args);
    printf("\r\033[42C");
    fflush(stdout);
    va_end(args);
}

/* ---- the machine and the process ---- */

static struct fault *check_machine(struct up *up)
{
    static const char *const programs[] = { "ip", "ovs-vswitchd", "ovsdb-server", "ovs-ofctl", "libvirtd", "qemu-img",
        "qemu-system-x86_64", "dnsmasq", "ssh-keygen", "genisoimage" };
    if (up->settings.fake_compute > 0)
        return NULL;
    if (geteuid() != 0)
        return fault_new(up->arena, 500, NULL, "A hypervisor and a switch need root (with --fake-compute N they do not).");
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        if (!process_installed(up->arena, programs[i]))
            return fault_new(up->arena, 500, NULL, "The program %s is not installed.", programs[i]);
    }
    return NULL;
}

static struct fault *make_state(struct up *up)
{
    const char *state = up->settings.state_dir;
    TRY(folder_make(up->arena, arena_printf(up->arena, "%s/log", state), 0755, 0750));
    return folder_make(up->arena, arena_printf(up->arena, "%s/run", state), 0755, 0755);
}

static off_t size_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? status.st_size : 0;
}

static const char *last_lines(const char *text, int lines)
{
    const char *at = text + strlen(text);
    while (at > text && lines > 0)
        if (*--at == '\n')
            lines--;
    return lines == 0 ? at + 1 : at;
}

/* Why a start failed: what it said of it, else what its log ends with. `begin`: where in the log it began. */
static struct fault *why_not_started(struct arena *arena, const char *log, off_t begin)
{
    char *text = "";
    size_t length = (size_t)(size_of(log) - begin);
    if (length == 0 || !file_tail(arena, log, length < LOG_LIMIT ? length : LOG_LIMIT, &text, &length))
        return fault_new(arena, 500, NULL, "The cloud did not start, and %s does not say why.", log);
    const char *reason = strstr(text, CLOUD_DID_NOT_START);
    if (reason != NULL)
        return fault_new(arena, 500, NULL, "T%.*s (log: %s)", (int)strcspn(reason, "\n") - 1, reason + 1, log);
    return fault_new(arena, 500, NULL, "The cloud did not start. %s ends with:\n%s", log, last_lines(text, 4));
}

static bool same(const char *one, const char *other)
{
    return one == NULL || other == NULL ? one == other : strcmp(one, other) == 0;
}

/* What a running cloud was told holds until its end. */
static struct fault *check_unchanged(struct up *up)
{
    struct settings now, *wanted = &up->settings;
    TRY(settings_load(up->arena, wanted->state_dir, &(struct settings){ .port_offset = -1, .fake_compute = -1 }, &now));
    if (same(now.bind, wanted->bind) && same(now.provider_interface, wanted->provider_interface) &&
        now.port_offset == wanted->port_offset && now.fake_compute == wanted->fake_compute)
        return NULL;
    return fault_new(up->arena, 409, NULL, "The cloud runs already, with other settings: nubo down, then nubo up with these.");
}

static struct fault *start_cloud(struct up *up)
{
    struct arena *arena = up->arena;
    const char *state = up->settings.state_dir;
    if (cloud_pid(arena, state) != 0 && file_exists(arena_printf(arena, "%s/run/ready", state)))
        return check_unchanged(up);
    TRY(settings_save(arena, &up->settings));
    const char *log = arena_printf(arena, "%s/log/nubo.log", state);
    const char *ready = arena_printf(arena, "%s/run/ready", state);
    unlink(ready);
    char program[PATH_MAX] = "";
    if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
        return fault_new(arena, 500, NULL, "/proc is not mounted.");
    pid_t pid;
    off_t begin = size_of(log);
    TRY(process_spawn(arena, &(struct process){ .argv = ARGV(program, "run", "--state-dir", state) }, log, &pid));
    for (int64_t end = clock_monotonic_us() + (int64_t)START_TIMEOUT_S * 1000000; !file_exists(ready); clock_sleep_ms(5)) {
        if (waitpid(pid, NULL, WNOHANG) == pid || clock_monotonic_us() > end)
            return why_not_started(arena, log, begin);
    }
    return NULL;
}

static struct fault *log_in(struct up *up)
{
    return client_login(up->arena, up->settings.state_dir, &up->client);
}

/* A hypervisor that is asked for the first time tells what it can do after some seconds. */
static struct fault *wait_compute(struct up *up)
{
    int64_t end = clock_monotonic_us() + (int64_t)START_TIMEOUT_S * 1000000;
    for (;;) {
        json_t *answer, *host;
        size_t i;
        TRY(client_call(up->client, "compute", "GET", "/os-hypervisors", NULL, &answer));
        json_array_foreach(json_object_get(answer, "hypervisors"), i, host)
            if (strcmp(json_text_at(host, "state"), "up") == 0)
                return NULL;
        if (clock_monotonic_us() > end)
            return fault_new(up->arena, 500, NULL, "No compute host reported in %d s.", START_TIMEOUT_S);
        clock_sleep_ms(POLL_MS);
    }
}

/* ---- what the first server needs ---- */

static json_t *json_format(struct up *up, json_t *value)
{
    if (value == NULL)
        abort(); /* a format string of ours is wrong */
    return json_keep(up->arena, value);
}

/* The first of a list with this name, or NULL. */
static struct fault *find(struct up *up, const char *service, const char *path, const char *list, const char *name, json_t **ret)
{
    json_t *answer, *member;
    size_t i;
    *ret = NULL;
    TRY(client_call(up->client, service, "GET", path, NULL, &answer));
    json_array_foreach(json_object_get(answer, list), i, member) {
        const char *its = json_text_at(member, "name");
        if (its == NULL)
            its = json_text_at(member, "keypair.name");
        if (its != NULL && strcmp(its, name) == 0 && *ret == NULL)
            *ret = member;
    }
    return NULL;
}

static void upload_progress(void *owner, off_t done, off_t total)
{
    tell("%lld %% of %lld MiB", (long long)(done * 100 / total), (long long)(total >> 20));
}

/* A simulated host never reads it: an image of a few bytes is enough there. */
static struct fault *image_file(struct up *up, const char **ret)
{
    *ret = up->arguments->image;
    if (*ret == NULL && up->settings.fake_compute > 0) {
        *ret = arena_printf(up->arena, "%s/run/empty.raw", up->settings.state_dir);
        char *text = arena_alloc(up->arena, 513);
        memset(text, ' ', 512);
        return file_write(up->arena, *ret, text, strlen(text), 0644, FILE_NO_SYNC);
    }
    if (*ret == NULL)
        *ret = arena_printf(up->arena, "%s/guest/nubo-guest.qcow2", up->settings.state_dir);
    if (!file_exists(*ret))
        return fault_new(up->arena, 500, NULL, "There is no guest image at %s; images/build makes it.", *ret);
    return NULL;
}

static struct fault *make_image(struct up *up)
{
    json_t *image;
    const char *file;
    TRY(find(up, "image", arena_printf(up->arena, "/v2/images?name=%s", image_name), "images", image_name, &image));
    if (image == NULL) {
        json_t *body = json_format(up, json_pack("{s:s, s:s, s:s, s:s, s:i}", "name", image_name, "disk_format",
            up->settings.fake_compute > 0 ? "raw" : "qcow2", "container_format", "bare", "visibility", "public", "min_ram", 80));
        TRY(client_call(up->client, "image", "POST", "/v2/images", body, &image));
    }
    up->image_id = json_text_at(image, "id");
    if (strcmp(json_text_at(image, "status"), "active") == 0)
        return NULL;
    TRY(image_file(up, &file));
    return client_upload(up->client, "image", arena_printf(up->arena, "/v2/images/%s/file", up->image_id), file, upload_progress);
}

static struct fault *make_flavor(struct up *up)
{
    json_t *flavor;
    TRY(find(up, "compute", "/flavors", "flavors", flavor_name, &flavor));
    if (flavor != NULL)
        return NULL;
    json_t *body = json_format(up, json_pack("{s:{s:s, s:s, s:i, s:i, s:i}}", "flavor", "name", flavor_name, "id", "1", "ram", 128,
        "vcpus", 1, "disk", 1));
    return client_call(up->client, "compute", "POST", "/flavors", body, NULL);
}

static struct fault *make_network(struct up *up)
{
    json_t *network, *answer;
    TRY(find(up, "network", arena_printf(up->arena, "/v2.0/networks?name=%s", network_name), "networks", network_name, &network));
    if (network == NULL) {
        json_t *body = json_format(up, json_pack("{s:{s:s}}", "network", "name", network_name));
        TRY(client_call(up->client, "network", "POST", "/v2.0/networks", body, &answer));
        network = json_object_get(answer, "network");
    }
    up->network_id = json_text_at(network, "id");
    if (json_array_size(json_object_get(network, "subnets")) > 0)
        return NULL;
    json_t *body = json_format(up, json_pack("{s:{s:s, s:s, s:i, s:s, s:n}}", "subnet", "name", network_name, "network_id",
        up->network_id, "ip_version", 4, "cidr", subnet_cidr, "gateway_ip"));
    return client_call(up->client, "network", "POST", "/v2.0/subnets", body, NULL);
}

static struct fault *allow(struct up *up, const char *group, const char *protocol, int port)
{
    json_t *rule = json_format(up, json_pack("{s:{s:s, s:s, s:s, s:s}}", "security_group_rule", "security_group_id", group,
        "direction", "ingress", "ethertype", "IPv4", "protocol", protocol));
    if (port > 0) {
        json_object_set_new(json_object_get(rule, "security_group_rule"), "port_range_min", json_integer(port));
        json_object_set_new(json_object_get(rule, "security_group_rule"), "port_range_max", json_integer(port));
    }
    struct fault *fault = client_call(up->client, "network", "POST", "/v2.0/security-group-rules", rule, NULL);
    return fault != NULL && fault->status == 409 ? NULL : fault; /* it is there already */
}

/* The admin project's own default group: the list of an admin shows everybody's. */
static struct fault *open_ports(struct up *up)
{
    json_t *answer, *project;
    TRY(find(up, "identity", "/projects?name=admin", "projects", "admin", &project));
    TRY(client_call(up->client, "network", "GET", arena_printf(up->arena, "/v2.0/security-groups?name=default&project_id=%s",
        project != NULL ? json_text_at(project, "id") : ""), NULL, &answer));
    const char *group = json_text_at(json_array_get(json_object_get(answer, "security_groups"), 0), "id");
    if (group == NULL)
        return fault_new(up->arena, 500, NULL, "The project admin has no default security group.");
    TRY(allow(up, group, "icmp", 0));
    return allow(up, group, "tcp", 22);
}

static struct fault *make_key(struct up *up)
{
    struct arena *arena = up->arena;
    const char *file = arena_printf(arena, "%s/ssh/id_ed25519", up->settings.state_dir);
    const char *text;
    json_t *key;
    if (!file_exists(file)) {
        TRY(folder_make(arena, arena_printf(arena, "%s/ssh", up->settings.state_dir), 0755, 0700));
        TRY(process_run(arena, &(struct process){
            .argv = ARGV("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "nubo", "-f", file) }, NULL));
    }
    TRY(file_load(arena, arena_printf(arena, "%s.pub", file), STATE_FILE_LIMIT, &text));
    if (text == NULL)
        return fault_new(arena, 500, NULL, "%s.pub is gone: remove %s too, and nubo up makes a new pair.", file, file);
    TRY(find(up, "compute", "/os-keypairs", "keypairs", key_name, &key));
    if (key != NULL)
        return NULL;
    json_t *body = json_format(up, json_pack("{s:{s:s, s:s}}", "keypair", "name", key_name, "public_key",
        arena_strndup(arena, text, strcspn(text, "\n"))));
    return client_call(up->client, "compute", "POST", "/os-keypairs", body, NULL);
}

/* ---- the first server ---- */

/* How far the build says that it is: the details of the event under way; NULL: it says nothing. */
static const char *build_progress(struct up *up)
{
    json_t *answer;
    const char *path = arena_printf(up->arena, "/servers/%s/os-instance-actions", up->server_id);
    if (client_call(up->client, "compute", "GET", path, NULL, &answer) != NULL)
        return NULL;
    const char *request_id = json_text_at(json_array_get(json_object_get(answer, "instanceActions"), 0), "request_id");
    if (request_id == NULL ||
        client_call(up->client, "compute", "GET", arena_printf(up->arena, "%s/%s", path, request_id), NULL, &answer) != NULL)
        return NULL;
    return json_text_at(json_array_get(json_at(answer, "instanceAction.events"), 0), "details");
}

static struct fault *wait_active(struct up *up)
{
    int64_t end = clock_monotonic_us() + (int64_t)BOOT_TIMEOUT_S * 1000000;
    for (;;) {
        json_t *answer;
        TRY(client_call(up->client, "compute", "GET", arena_printf(up->arena, "/servers/%s", up->server_id), NULL, &answer));
        const char *status = json_text_at(answer, "server.status");
        const char *task = json_text_at(json_object_get(answer, "server"), "OS-EXT-STS:task_state");
        const char *progress = task != NULL ? build_progress(up) : NULL;
        tell("%s%s%s%s%s", status, task != NULL ? ", " : "", task != NULL ? task : "", progress != NULL ? ", " : "",
            progress != NULL ? progress : "");
        if (strcmp(status, "ACTIVE") == 0)
            return NULL;
        const char *why = json_text_at(answer, "server.fault.message");
        if (strcmp(status, "ERROR") == 0)
            return fault_new(up->arena, 500, NULL, "The server %s is in ERROR: %s", up->server_id, why != NULL ? why : "no reason");
        if (clock_monotonic_us() > end)
            return fault_new(up->arena, 500, NULL, "The server %s is still in %s after %d s.", up->server_id, status,
                BOOT_TIMEOUT_S);
        clock_sleep_ms(POLL_MS);
    }
}

static struct fault *read_console(struct up *up, const char **ret)
{
    json_t *answer, *body = json_format(up, json_pack("{s:{}}", "os-getConsoleOutput"));
    TRY(client_call(up->client, "compute", "POST", arena_printf(up->arena, "/servers/%s/action", up->server_id), body, &answer));
    const char *output = json_text_at(answer, "output");
    *ret = output != NULL ? output : "";
    return NULL;
}

/* The console's log goes on over a stop: what an earlier boot wrote is no sign of this one. */
static struct fault *start_if_stopped(struct up *up, const json_t *server)
{
    const char *status = json_text_at(server, "status");
    if (status == NULL || strcmp(status, "SHUTOFF") != 0)
        return NULL;
    if (up->settings.fake_compute == 0) {
        TRY(read_console(up, &up->before));
        up->before = last_lines(up->before, CONSOLE_LINES);
    }
    return client_call(up->client, "compute", "POST", arena_printf(up->arena, "/servers/%s/action", up->server_id),
        json_format(up, json_pack("{s:n}", "os-start")), NULL);
}

static struct fault *make_server(struct up *up)
{
    json_t *server, *answer;
    TRY(find(up, "compute", "/servers/detail", "servers", server_name, &server));
    if (server == NULL) {
        json_t *body = json_format(up, json_pack("{s:{s:s, s:s, s:s, s:s, s:[{s:s}]}}", "server", "name", server_name, "imageRef",
            up->image_id, "flavorRef", "1", "key_name", key_name, "networks", "uuid", up->network_id));
        TRY(client_call(up->client, "compute", "POST", "/servers", body, &answer));
        server = json_object_get(answer, "server");
    }
    up->server_id = json_text_at(server, "id");
    TRY(start_if_stopped(up, server));
    return wait_active(up);
}

/* What the guest has written since it was started. */
static const char *since(const char *output, const char *before)
{
    for (const char *at = output; before != NULL && *before != '\0' && (at = strstr(at, before)) != NULL;)
        output = at += strlen(before);
    return output;
}

static struct fault *wait_login(struct up *up)
{
    int64_t end = clock_monotonic_us() + (int64_t)BOOT_TIMEOUT_S * 1000000;
    for (;;) {
        const char *output;
        TRY(read_console(up, &output));
        up->console = last_lines(since(output, up->before), CONSOLE_LINES);
        if (strstr(up->console, "nubo-guest: ready") != NULL || strstr(up->console, "login:") != NULL)
            return NULL;
        const char *line = last_lines(up->console, 1);
        tell("%.*s", (int)(strcspn(line, "\r\n") < 60 ? strcspn(line, "\r\n") : 60), line);
        if (clock_monotonic_us() > end)
            return fault_new(up->arena, 500, NULL, "The guest did not come to its login in %d s. Its console ends with:\n%s",
                BOOT_TIMEOUT_S, up->console);
        clock_sleep_ms(POLL_MS * 3);
    }
}

/* ---- what is shown at the end ---- */

static const char *addresses_of(struct up *up, const json_t *server)
{
    const char *name;
    json_t *list, *address;
    size_t i;
    BUF_CLEANUP struct buf text = { 0 };
    json_object_foreach(json_object_get(server, "addresses"), name, list)
        json_array_foreach(list, i, address)
            buf_printf(&text, "%s%s=%s", text.length > 0 ? ", " : "", name, json_text_at(address, "addr"));
    return arena_strdup(up->arena, buf_text(&text));
}

static void print_rule(size_t first, size_t second)
{
    putchar('+');
    for (size_t i = 0; i < first + 2; i++)
        putchar('-');
    putchar('+');
    for (size_t i = 0; i < second + 2; i++)
        putchar('-');
    puts("+");
}

static void print_table(const char *const rows[][2], size_t count)
{
    size_t first = strlen("Field"), second = strlen("Value");
    for (size_t i = 0; i < count; i++) {
        first = strlen(rows[i][0]) > first ? strlen(rows[i][0]) : first;
        second = strlen(rows[i][1]) > second ? strlen(rows[i][1]) : second;
    }
    print_rule(first, second);
    printf("| %-*s | %-*s |\n", (int)first, "Field", (int)second, "Value");
    print_rule(first, second);
    for (size_t i = 0; i < count; i++)
        printf("| %-*s | %-*s |\n", (int)first, rows[i][0], (int)second, rows[i][1]);
    print_rule(first, second);
}

static const char *or_none(const char *text)
{
    return text != NULL ? text : "None";
}

static struct fault *show_server(struct up *up)
{
    json_t *answer;
    TRY(client_call(up->client, "compute", "GET", arena_printf(up->arena, "/servers/%s", up->server_id), NULL, &answer));
    const json_t *server = json_object_get(answer, "server");
    const char *const rows[][2] = {
        { "id", up->server_id },
        { "name", or_none(json_text_at(server, "name")) },
        { "status", or_none(json_text_at(server, "status")) },
        { "addresses", addresses_of(up, server) },
        { "flavor", flavor_name },
        { "image", image_name },
        { "key_name", or_none(json_text_at(server, "key_name")) },
        { "host", or_none(json_string_value(json_object_get(server, "OS-EXT-SRV-ATTR:host"))) },
    };
    putchar('\n');
    print_table(rows, sizeof(rows) / sizeof(rows[0]));
    if (up->console != NULL && *up->console != '\0')
        printf("\nThe end of its console log:\n%s\n", up->console);
    return NULL;
}

static void show_lines(const struct up *up, bool server)
{
    const char *state = up->settings.state_dir;
    bool default_dir = strcmp(state, "/var/lib/nubo") == 0;
    printf("\nTo use the cloud:       . %s/openrc && openstack server list\n", state);
    if (server)
        printf("To log in to the guest: nubo ssh %s%s%s\n", default_dir ? "" : "--state-dir ", default_dir ? "" : state,
            arena_printf(up->arena, "%s%s", default_dir ? "" : " ", server_name));
}

/* ---- the table ---- */

static const struct up_step up_steps[] = {
    { "check the machine",         check_machine, .hint = "install what is missing, or let ./up do it" },
    { "make its folder",           make_state,    .hint = "choose another with --state-dir DIR" },
    { "start the services",        start_cloud,   .hint = "mend what it names; a port in use? try --port-offset 10000" },
    { "log in",                    log_in,        .hint = "nubo down, then nubo up again" },
    { "wait for a compute host",   wait_compute,  .hint = "the log says what libvirt or the switch did" },
    { "upload the guest image",    make_image,    .server_only = true, .hint = "give another image with --image FILE" },
    { "make a flavor",             make_flavor,   .server_only = true },
    { "make a network",            make_network,  .server_only = true },
    { "allow ssh and ping",        open_ports,    .server_only = true },
    { "make an ssh key",           make_key,      .server_only = true },
    { "create the first server",   make_server,   .server_only = true, .hint = "openstack server show first; nubo trace REQUEST-ID" },
    { "wait for its login",        wait_login,    .server_only = true, .guest_only = true,
        .hint = "openstack console log show first" },
};
enum { UP_STEPS = sizeof(up_steps) / sizeof(up_steps[0]) };

static bool left_out(const struct up *up, const struct up_step *step)
{
    return (step->server_only && up->arguments->no_server) || (step->guest_only && up->settings.fake_compute > 0);
}

static int run_steps(struct up *up)
{
    int count = 0, number = 0;
    for (size_t i = 0; i < UP_STEPS; i++)
        count += !left_out(up, &up_steps[i]);
    for (size_t i = 0; i < UP_STEPS; i++) {
        const struct up_step *step = &up_steps[i];
        if (left_out(up, step))
            continue;
        int64_t begin = clock_monotonic_us();
        printf("%2d/%d  %-30s ", ++number, count, step->title);
        fflush(stdout);
        tell("%s", "");
        struct fault *fault = step->run(up);
        double seconds = (double)(clock_monotonic_us() - begin) / 1000000;
        if (fault != NULL) {
            printf("%sfailed after %.2f s\n", on_terminal() ? "\033[K" : "", seconds);
            fflush(stdout); /* before what is said on the other stream */
            fprintf(stderr, "nubo: %s\n", fault_text(up->arena, fault));
            if (step->hint != NULL)
                fprintf(stderr, "nubo: what to do: %s\n", step->hint);
            return 1;
        }
        printf("%s%8.2f s\n", on_terminal() ? "\033[K" : "", seconds);
    }
    return 0;
}

int command_up(const struct arguments *arguments)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct up up = { .arena = arena, .arguments = arguments };
    struct fault *fault = settings_load(arena, arguments->state_dir, &arguments->settings, &up.settings);
    if (fault == NULL && run_steps(&up) != 0)
        return 1;
    if (fault == NULL && !arguments->no_server)
        fault = show_server(&up);
    if (fault != NULL) {
        fprintf(stderr, "nubo: %s\n", fault_text(arena, fault));
        return 1;
    }
    show_lines(&up, !arguments->no_server && up.settings.fake_compute == 0);
    return 0;
}

int command_status(const struct arguments *arguments)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct settings settings;
    struct fault *fault = settings_load(arena, arguments->state_dir, &arguments->settings, &settings);
    if (fault != NULL) {
        fprintf(stderr, "nubo: %s\n", fault_text(arena, fault));
        return 4; /* as init scripts say "unknown" */
    }
    int pid = cloud_pid(arena, arguments->state_dir);
    bool ready = pid != 0 && file_exists(arena_printf(arena, "%s/run/ready", arguments->state_dir));
    if (pid == 0) {
        printf(file_exists(arguments->state_dir) ? "The cloud in %s does not run.\n" : "There is no cloud in %s.\n",
            arguments->state_dir);
        return 3; /* as init scripts say "not running" */
    }
    printf("The cloud in %s %s (process %d); identity: http://%s:%d/v3\n", arguments->state_dir,
        ready ? "is up" : "is starting", pid, settings.bind, 5000 + settings.port_offset);
    return 0;
}
