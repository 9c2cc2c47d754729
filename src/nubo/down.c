/* SPDX-License-Identifier: Apache-2.0
 * down: stops the cloud's process and its data plane; --purge removes the data too. Nothing that is not nubo's is touched:
 * processes are found by the cloud's own namespaces, files by the cloud's own state directory. */
#include "nubo/commands.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "neutron/ovs/daemon.h"
#include "nova/virt/libvirt/daemon.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DAEMON_GRACE_MS = 30000, DATA_PLANE_GRACE_MS = 8000, GUEST_GRACE_MS = 5000, NAMESPACES = 4096 };

/* "nubo" itself and "nubo.qdhcp-...": those of this cloud only. */
static size_t own_namespaces(struct arena *arena, const char *netns, const char **ret)
{
    size_t count = 0, length = strlen(netns);
    DIR *dir = opendir("/run/netns");
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL && count < NAMESPACES;)
        if (strncmp(entry->d_name, netns, length) == 0 && (entry->d_name[length] == '\0' || entry->d_name[length] == '.'))
            ret[count++] = arena_strdup(arena, entry->d_name);
    if (dir != NULL)
        closedir(dir);
    return count;
}

/* Signals everything in a namespace; returns how many processes there are. */
static int signal_namespace(struct arena *arena, const char *name, int signal_number)
{
    struct process_result result;
    if (process_run(arena, &(struct process){ .argv = ARGV("ip", "netns", "pids", name) }, &result) != NULL)
        return 0;
    int count = 0;
    for (char *at = result.output; *at != '\0';) {
        pid_t pid = (pid_t)strtol(at, &at, 10);
        at += strspn(at, "\n ");
        if (pid > 1 && pid != getpid() && process_alive(pid, NULL)) {
            count++;
            if (signal_number != 0)
                kill(pid, signal_number);
        }
    }
    return count;
}

static int signal_all(struct arena *arena, const char *const *names, size_t count, int signal_number)
{
    int processes = 0;
    for (size_t i = 0; i < count; i++)
        processes += signal_namespace(arena, names[i], signal_number);
    return processes;
}

static void stop_data_plane(struct arena *arena, const char *const *names, size_t count)
{
    int64_t end = clock_monotonic_us() + (int64_t)DATA_PLANE_GRACE_MS * 1000;
    int left = signal_all(arena, names, count, SIGTERM);
    while (left > 0 && clock_monotonic_us() < end) {
        clock_sleep_ms(50);
        left = signal_all(arena, names, count, 0);
    }
    if (left > 0)
        signal_all(arena, names, count, SIGKILL);
}

/* Guests, libvirtd and the switch are found by what they hold in the state directory, wherever their network is. */
static struct fault *stop_daemons(struct arena *arena, const char *state_dir)
{
    if (geteuid() != 0)
        return NULL; /* a cloud of simulated hosts has none */
    size_t guests;
    TRY(libvirt_daemon_end_guests(arena, state_dir, GUEST_GRACE_MS, &guests));
    TRY(libvirt_daemon_stop(arena, state_dir));
    return ovs_daemon_stop(arena, &(struct ovs_daemon){ .dir = arena_printf(arena, "%s/run/ovs", state_dir) });
}

static struct fault *remove_state(struct arena *arena, const char *state_dir)
{
    if (!file_exists(arena_printf(arena, "%s/cloud.json", state_dir)))
        return file_exists(state_dir) ? fault_new(arena, 500, NULL,
            "%s has no cloud.json: it is not a state directory of nubo, and is left alone.", state_dir) : NULL;
    return process_run(arena, &(struct process){ .argv = ARGV("rm", "-rf", "--one-file-system", "--", state_dir),
        .timeout_ms = 600000 }, NULL);
}

int command_down(const struct arguments *arguments)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    const char *state_dir = arguments->state_dir;
    if (!file_exists(state_dir)) {
        printf("There is no cloud in %s.\n", state_dir);
        return 0;
    }
    struct settings settings;
    struct fault *fault = settings_load(arena, state_dir, &arguments->settings, &settings);
    if (fault != NULL) {
        fprintf(stderr, "nubo: %s\n", fault_text(arena, fault));
        return 1;
    }
    int64_t begin = clock_monotonic_us();
    int pid = cloud_pid(arena, state_dir);
    if (pid != 0 && !process_end(pid, DAEMON_GRACE_MS)) {
        fprintf(stderr, "nubo: the process %d does not end\n", pid);
        return 1;
    }
    fault = stop_daemons(arena, state_dir);
    const char **names = ARENA_ARRAY(arena, const char *, NAMESPACES);
    size_t count = own_namespaces(arena, data_plane_namespace(arena, state_dir), names);
    stop_data_plane(arena, names, count);
    for (size_t i = 0; i < count; i++)
        process_run(arena, &(struct process){ .argv = ARGV("ip", "netns", "del", names[i]) }, NULL);
    if (fault == NULL && arguments->purge)
        fault = remove_state(arena, state_dir);
    if (fault != NULL) {
        fprintf(stderr, "nubo: %s\n", fault_text(arena, fault));
        return 1;
    }
    printf("nubo is down%s (%.1f s)\n", arguments->purge ? ", nothing is left of it" : ", its data is kept",
        (double)(clock_monotonic_us() - begin) / 1000000);
    return 0;
}
