/* SPDX-License-Identifier: Apache-2.0
 * daemon: see daemon.h.
 *
 * Between fork and exec only system calls are made: this process has threads, and one of them may have held any lock. All
 * paths are made before. */
#include "nova/virt/libvirt/daemon.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/random.h"
#include "nova/virt/driver.h"
#include "nova/virt/host_facts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READY_MS = 30000, LAUNCH_GRACE_MS = 2000, STOP_MS = 10000, MOUNTS_MAX = 64, DEPTH_MAX = 64 };

struct bind {
    const char *source, *target;
    bool read_only;
};

/* All that the child needs, as plain texts and numbers. */
struct plan {
    struct bind binds[MOUNTS_MAX];
    size_t bind_count;
    const char *cover;              /* a folder that the guests' user may not pass, or NULL */
    const char *below[DEPTH_MAX];   /* folders to make anew under it, the last one is the instances' */
    size_t below_count;
    int netns;                      /* or -1 */
    int log;
    int report;                     /* write end: a step that failed */
    const char *const *argv;
};

static const char *daemon_path(struct arena *arena, const char *state_dir, const char *below)
{
    return arena_printf(arena, "%s/libvirt/%s", state_dir, below);
}

pid_t libvirt_daemon_pid(struct arena *arena, const char *state_dir)
{
    int fd = open(daemon_path(arena, state_dir, "run/libvirt/libvirtd.pid"), O_RDWR | O_CLOEXEC);
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
    if (fd < 0)
        return 0;
    bool held = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    close(fd);
    return held && lock.l_pid > 0 ? lock.l_pid : 0;
}

static struct fault *socket_address(struct arena *arena, const char *state_dir, struct sockaddr_un *ret)
{
    const char *path = daemon_path(arena, state_dir, "run/libvirt/libvirt-sock");
    *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(ret->sun_path))
        return fault_new(arena, 500, NULL, "The state directory %s is too long for libvirt's socket (%zu characters).", state_dir,
            sizeof(ret->sun_path) - 1);
    memcpy(ret->sun_path, path, strlen(path));
    return NULL;
}

static bool takes_connections(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
    if (fd >= 0)
        close(fd);
    return connected;
}

/* The user that Debian's libvirt runs guests as; root where there is none. */
static const char *guest_user(void)
{
    return getpwnam("libvirt-qemu") != NULL ? "libvirt-qemu" : "root";
}

static struct fault *write_configuration(struct arena *arena, const char *state_dir)
{
    const char *uuid_path = daemon_path(arena, state_dir, "host_uuid");
    const char *there = file_read(arena, uuid_path, UUID_TEXT, NULL);
    const char *uuid = there != NULL ? arena_strndup(arena, there, strcspn(there, "\n")) : "";
    if (!uuid_valid(uuid)) { /* stays the same for ever: it is the host's identity in migrations */
        uuid = uuid_new(arena);
        TRY(file_write(arena, uuid_path, uuid, strlen(uuid), 0600, FILE_SYNC));
    }
    BUF_CLEANUP struct buf text = { 0 };
    buf_printf(&text, "listen_tls = 0\nlisten_tcp = 0\nauth_unix_rw = \"none\"\nauth_unix_ro = \"none\"\n"
                      "unix_sock_group = \"root\"\nunix_sock_ro_perms = \"0700\"\nunix_sock_rw_perms = \"0700\"\n"
                      "host_uuid = \"%s\"\nlog_outputs = \"3:file:/var/log/libvirt/libvirtd.log\"\n", uuid);
    TRY(file_write(arena, daemon_path(arena, state_dir, "etc/libvirtd.conf"), text.data, text.length, 0600, FILE_NO_SYNC));
    buf_clear(&text);
    /* No cgroups: two libvirtds on one machine would use the same names for their guests' groups. */
    buf_printf(&text, "user = \"%s\"\ngroup = \"%s\"\nsecurity_driver = \"none\"\ndynamic_ownership = 1\nremember_owner = 0\n"
                      "namespaces = []\nstdio_handler = \"file\"\ncgroup_controllers = []\n",
        guest_user(), guest_user());
    return file_write(arena, daemon_path(arena, state_dir, "etc/qemu.conf"), text.data, text.length, 0600, FILE_NO_SYNC);
}

static struct fault *make_folders(struct arena *arena, const char *state_dir)
{
    static const char *const folders[] = { "etc/qemu", "lib", "log", "cache", "run/libvirt" };
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        TRY(folder_make(arena, daemon_path(arena, state_dir, folders[i]), 0711, 0711));
    TRY(folder_make(arena, virt_instances(arena, state_dir), 0711, 0711));
    return file_write(arena, daemon_path(arena, state_dir, "empty"), "", 0, 0400, FILE_NO_SYNC);
}

static void add_bind(struct plan *plan, const char *source, const char *target, bool read_only)
{
    if (plan->bind_count < MOUNTS_MAX)
        plan->binds[plan->bind_count++] = (struct bind){ source, target, read_only };
}

/* An empty file that nobody may write covers what libvirt shall not find: the probe asks for R_OK|W_OK or X_OK, and a file
 * system that is read-only denies that even to root. */
static void plan_covers(struct arena *arena, const struct libvirt_daemon *daemon, struct plan *plan)
{
    const char *empty = daemon_path(arena, daemon->state_dir, "empty");
    const char *native = arena_printf(arena, "/usr/bin/qemu-system-%s", host_arch(arena));
    glob_t found = { 0 };
    if (!daemon->kvm && file_exists("/dev/kvm"))
        add_bind(plan, empty, "/dev/kvm", true);
    if (glob("/usr/bin/qemu-system-*", 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            struct stat status;
            if (strcmp(found.gl_pathv[i], native) != 0 && lstat(found.gl_pathv[i], &status) == 0 && S_ISREG(status.st_mode))
                add_bind(plan, empty, arena_strdup(arena, found.gl_pathv[i]), true);
        }
    globfree(&found);
}

/* The first folder on the way to the instances that other users may not pass (a state directory in /root). In the mount
 * namespace it is covered by an empty one that holds nothing but the way to the instances, so that paths stay the same. */
static void plan_way(struct arena *arena, const char *instances, struct plan *plan)
{
    struct stat status;
    for (const char *slash = strchr(instances + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        const char *folder = arena_strndup(arena, instances, (size_t)(slash - instances));
        if (plan->cover == NULL && stat(folder, &status) == 0 && (status.st_mode & S_IXOTH) == 0)
            plan->cover = folder;
        else if (plan->cover != NULL && plan->below_count < DEPTH_MAX - 1)
            plan->below[plan->below_count++] = folder;
    }
    plan->below[plan->below_count++] = instances;
}

static struct fault *make_plan(struct arena *arena, const struct libvirt_daemon *daemon, struct plan *plan)
{
    static const struct {
        const char *below, *target;
    } folders[] = {
        { "etc",   "/etc/libvirt" },
        { "lib",   "/var/lib/libvirt" },
        { "log",   "/var/log/libvirt" },
        { "cache", "/var/cache/libvirt" },
        { "run",   "/run" },
    };
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        if (!file_exists(folders[i].target))
            return fault_new(arena, 500, NULL, "%s is missing: is libvirt-daemon-system installed?", folders[i].target);
        add_bind(plan, daemon_path(arena, daemon->state_dir, folders[i].below), folders[i].target, false);
    }
    plan_covers(arena, daemon, plan);
    plan_way(arena, virt_instances(arena, daemon->state_dir), plan);
    plan->argv = ARGV("/usr/sbin/libvirtd", "--pid-file", "/run/libvirt/libvirtd.pid");
    plan->argv = arena_memdup(arena, plan->argv, 4 * sizeof(char *));
    plan->log = open(daemon_path(arena, daemon->state_dir, "log/libvirtd.out"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (daemon->netns != NULL)
        plan->netns = open(arena_printf(arena, "/run/netns/%s", daemon->netns), O_RDONLY | O_CLOEXEC);
    if (plan->log < 0 || (daemon->netns != NULL && plan->netns < 0))
        return fault_new(arena, 500, NULL, "libvirtd cannot be prepared below %s%s%s: %s.", daemon->state_dir,
            daemon->netns != NULL ? " and namespace " : "", daemon->netns != NULL ? daemon->netns : "", strerror(errno));
    return NULL;
}

/* From here to run_reaper: in the child, system calls only. */
static const char *make_way(const struct plan *plan)
{
    char source[32] = "/proc/self/fd/";
    size_t length = strlen(source);
    char digits[12];
    int count = 0;
    if (plan->cover == NULL)
        return NULL;
    /* Opened in this mount namespace: a descriptor from the one before cannot be mounted from. */
    int instances = open(plan->below[plan->below_count - 1], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (instances < 0)
        return "open the instances";
    for (int n = instances; n > 0 || count == 0; n /= 10)
        digits[count++] = (char)('0' + n % 10);
    while (count > 0)
        source[length++] = digits[--count];
    if (mount("nubo", plan->cover, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0711,size=64k") != 0)
        return "cover the way to the instances";
    for (size_t i = 0; i < plan->below_count; i++)
        if (mkdir(plan->below[i], 0711) != 0)
            return "make the way to the instances";
    return mount(source, plan->below[plan->below_count - 1], NULL, MS_BIND, NULL) == 0 ? NULL : "mount the instances";
}

static const char *enter_namespaces(const struct plan *plan)
{
    if (plan->netns >= 0 && setns(plan->netns, CLONE_NEWNET) != 0)
        return "enter the network namespace";
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return "make a mount namespace (root is needed)";
    if (plan->netns >= 0) /* this namespace's devices; where it is refused, libvirt only sees more than it needs */
        (void)mount("sysfs", "/sys", "sysfs", 0, NULL);
    for (size_t i = 0; i < plan->bind_count; i++) {
        const struct bind *bind = &plan->binds[i];
        if (mount(bind->source, bind->target, NULL, MS_BIND, NULL) != 0 ||
            (bind->read_only && mount(NULL, bind->target, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) != 0))
            return bind->target;
    }
    return make_way(plan);
}

static void report_and_exit(const struct plan *plan, const char *step)
{
    int why = errno;
    if (write(plan->report, &why, sizeof(why)) == sizeof(why) && write(plan->report, step, strlen(step)) < 0)
        _exit(2);
    _exit(1);
}

static void run_libvirtd(const struct plan *plan)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    execv(plan->argv[0], (char *const *)plan->argv);
    report_and_exit(plan, "start /usr/sbin/libvirtd");
}

static void run_reaper(const struct plan *plan)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    setsid();
    if (null < 0 || dup2(null, 0) < 0 || dup2(plan->log, 1) < 0 || dup2(plan->log, 2) < 0 || chdir("/") != 0)
        report_and_exit(plan, "open its log");
    const char *failed = enter_namespaces(plan);
    if (failed != NULL)
        report_and_exit(plan, failed);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    prctl(PR_SET_NAME, "guest-reaper", 0, 0, 0);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    pid_t libvirtd = fork();
    if (libvirtd == 0) {
        signal(SIGHUP, SIG_DFL);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        run_libvirtd(plan);
    }
    if (libvirtd < 0)
        report_and_exit(plan, "start libvirtd");
    close_range(3, ~0U, 0);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
    _exit(0); /* libvirtd and the last guest are gone */
}

static struct fault *launch(struct arena *arena, struct plan *plan)
{
    int report[2];
    struct {
        int error;
        char step[256];
    } failure = { 0 };
    if (pipe2(report, O_CLOEXEC) != 0)
        return fault_new(arena, 500, NULL, "No pipe for libvirtd: %s.", strerror(errno));
    plan->report = report[1];
    pid_t child = fork();
    if (child == 0) { /* twice, so that the reaper is not a child of ours that we would have to collect */
        if (fork() == 0)
            run_reaper(plan);
        _exit(0);
    }
    close(report[1]);
    if (child > 0)
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
        }
    size_t length = 0;
    for (ssize_t n = 1; child > 0 && n > 0 && length < sizeof(failure) - 1; length += n > 0 ? (size_t)n : 0)
        n = read(report[0], (char *)&failure + length, sizeof(failure) - 1 - length);
    close(report[0]);
    if (child > 0 && length == 0)
        return NULL;
    return fault_new(arena, 500, NULL, "libvirtd cannot be started: %s: %s.", child < 0 ? "fork" : failure.step,
        strerror(child < 0 ? errno : failure.error));
}

static void close_plan(const struct plan *plan)
{
    if (plan->log >= 0)
        close(plan->log);
    if (plan->netns >= 0)
        close(plan->netns);
}

/* A daemon that was just launched gets `grace_ms` before its lock on the pid file is looked for. */
static struct fault *wait_until_ready(struct arena *arena, const char *state_dir, const struct sockaddr_un *address, int grace_ms)
{
    int64_t begin = clock_monotonic_us();
    while (!takes_connections(address)) {
        int64_t waited_ms = (clock_monotonic_us() - begin) / 1000;
        if (waited_ms > READY_MS || (waited_ms >= grace_ms && libvirt_daemon_pid(arena, state_dir) == 0))
            return fault_new(arena, 500, NULL, "libvirtd does not take connections; see %s.",
                daemon_path(arena, state_dir, "log/libvirtd.log"));
        clock_sleep_ms(5);
    }
    return NULL;
}

static struct fault *start_locked(struct arena *arena, const struct libvirt_daemon *daemon, const struct sockaddr_un *address)
{
    struct plan plan = { .netns = -1, .log = -1 };
    if (libvirt_daemon_pid(arena, daemon->state_dir) != 0 && wait_until_ready(arena, daemon->state_dir, address, 0) == NULL)
        return NULL;
    TRY(write_configuration(arena, daemon->state_dir)); /* there is none, or it was just ending */
    struct fault *fault = make_plan(arena, daemon, &plan);
    if (fault == NULL)
        fault = launch(arena, &plan);
    close_plan(&plan);
    TRY(fault);
    return wait_until_ready(arena, daemon->state_dir, address, LAUNCH_GRACE_MS);
}

struct fault *libvirt_daemon_start(struct arena *arena, const struct libvirt_daemon *daemon, const char **ret_uri)
{
    struct sockaddr_un address;
    TRY(socket_address(arena, daemon->state_dir, &address));
    TRY(make_folders(arena, daemon->state_dir));
    int lock = open(daemon_path(arena, daemon->state_dir, "lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        struct fault *fault = fault_new(arena, 500, NULL, "Cannot lock %s: %s.", daemon_path(arena, daemon->state_dir, "lock"),
            strerror(errno));
        if (lock >= 0)
            close(lock);
        return fault;
    }
    struct fault *fault = start_locked(arena, daemon, &address);
    close(lock);
    TRY(fault);
    *ret_uri = arena_printf(arena, "qemu+unix:///system?socket=%s", address.sun_path);
    return NULL;
}

struct fault *libvirt_daemon_stop(struct arena *arena, const char *state_dir)
{
    pid_t pid = libvirt_daemon_pid(arena, state_dir);
    if (pid != 0 && !process_end(pid, STOP_MS))
        return fault_new(arena, 500, NULL, "libvirtd (process %d) does not end.", (int)pid);
    return NULL;
}

struct fault *libvirt_daemon_end_guests(struct arena *arena, const char *state_dir, int grace_ms, size_t *ret_ended)
{
    const char *folder = daemon_path(arena, state_dir, "run/libvirt/qemu");
    DIR *entries = opendir(folder);
    pid_t pids[4096];
    size_t count = 0, left = 0;
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL && count < 4096;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot == NULL || strcmp(dot, ".pid") != 0)
            continue;
        pid_t pid = process_read_pid(arena_printf(arena, "%s/%s", folder, entry->d_name));
        const char *mark = arena_printf(arena, "guest=%.*s,", (int)(dot - entry->d_name), entry->d_name);
        if (process_alive(pid, mark)) /* else the number belongs to somebody else by now */
            pids[count++] = pid;
    }
    if (entries != NULL)
        closedir(entries);
    for (size_t i = 0; i < count; i++)
        kill(pids[i], SIGTERM);
    for (size_t i = 0; i < count; i++)
        left += !process_end(pids[i], grace_ms);
    *ret_ended = count - left;
    return left == 0 ? NULL : fault_new(arena, 500, NULL, "%zu guests do not end.", left);
}
