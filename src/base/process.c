/* SPDX-License-Identifier: Apache-2.0
 * process: fork, exec and a poll loop over three pipes. See process.h.
 *
 * vfork-like speed matters less than safety here: the child calls only async-signal-safe functions. */
#include "base/process.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { DEFAULT_TIMEOUT_MS = 30000, DEFAULT_OUTPUT = 1024 * 1024, EXEC_FAILED = 127 };

struct child {
    pid_t pid;
    int in, out, err; /* our ends; -1: closed */
};

/* PATH look-up is done before the fork: execvp is not async-signal-safe. */
static const char *find_program(struct arena *arena, const char *name)
{
    if (strchr(name, '/') != NULL)
        return name;
    const char *path = getenv("PATH");
    for (const char *at = path != NULL ? path : "/usr/sbin:/usr/bin:/sbin:/bin"; *at != '\0';) {
        size_t n = strcspn(at, ":");
        const char *candidate = arena_printf(arena, "%.*s/%s", (int)n, at, name);
        if (n > 0 && access(candidate, X_OK) == 0)
            return candidate;
        at += n + (at[n] == ':');
    }
    for (size_t i = 0; i < 2; i++) { /* a user's PATH often lacks the system's programs */
        const char *candidate = arena_printf(arena, "%s/%s", i == 0 ? "/usr/sbin" : "/sbin", name);
        if (access(candidate, X_OK) == 0)
            return candidate;
    }
    return NULL;
}

bool process_installed(struct arena *arena, const char *name)
{
    return find_program(arena, name) != NULL;
}

static char **merged_environment(struct arena *arena, const char *const *added)
{
    size_t count = 0, more = 0;
    while (environ[count] != NULL)
        count++;
    while (added != NULL && added[more] != NULL)
        more++;
    char **merged = ARENA_ARRAY(arena, char *, count + more + 1);
    size_t to = 0;
    for (size_t i = 0; i < count; i++) {
        bool replaced = false;
        for (size_t j = 0; j < more; j++) {
            size_t name = strcspn(added[j], "=") + 1;
            replaced |= strncmp(environ[i], added[j], name) == 0;
        }
        if (!replaced)
            merged[to++] = environ[i];
    }
    for (size_t j = 0; j < more; j++)
        merged[to++] = arena_strdup(arena, added[j]);
    return merged;
}

static int open_netns(struct arena *arena, const char *name)
{
    return open(arena_printf(arena, "/run/netns/%s", name), O_RDONLY | O_CLOEXEC);
}

static void become_program(const char *program, const struct process *process, char **env, const int fds[3], int netns)
{
    if (netns >= 0 && setns(netns, CLONE_NEWNET) != 0)
        _exit(EXEC_FAILED);
    for (int i = 0; i < 3; i++)
        if (dup2(fds[i], i) < 0)
            _exit(EXEC_FAILED);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    execve(program, (char *const *)process->argv, env);
    static const char text[] = "cannot execute\n";
    if (write(2, text, sizeof(text) - 1) < 0)
        _exit(EXEC_FAILED);
    _exit(EXEC_FAILED);
}

static struct fault *prepare(struct arena *arena, const struct process *process, const char **ret_program,
    int *ret_netns)
{
    *ret_program = find_program(arena, process->argv[0]);
    if (*ret_program == NULL)
        return fault_new(arena, 500, NULL, "The program %s is not installed.", process->argv[0]);
    *ret_netns = -1;
    if (process->netns != NULL && (*ret_netns = open_netns(arena, process->netns)) < 0)
        return fault_new(arena, 500, NULL, "Network namespace %s cannot be opened: %s.", process->netns, strerror(errno));
    return NULL;
}

static struct fault *start(struct arena *arena, const struct process *process, struct child *child)
{
    const char *program;
    int netns;
    TRY(prepare(arena, process, &program, &netns));
    int in[2], out[2], err[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
        return fault_new(arena, 500, NULL, "No pipe for %s: %s.", process->argv[0], strerror(errno));
    char **env = merged_environment(arena, process->env);
    const int fds[3] = { in[0], out[1], err[1] };
    child->pid = fork();
    if (child->pid == 0) {
        setpgid(0, 0);
        become_program(program, process, env, fds, netns);
    }
    int why = errno;
    close(in[0]);
    close(out[1]);
    close(err[1]);
    if (netns >= 0)
        close(netns);
    child->in = in[1];
    child->out = out[0];
    child->err = err[0];
    if (child->pid < 0)
        return fault_new(arena, 500, NULL, "%s cannot be started: %s.", process->argv[0], strerror(why));
    setpgid(child->pid, child->pid); /* whoever comes first */
    fcntl(child->in, F_SETFL, O_NONBLOCK);
    return NULL;
}

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Reads once; what is over the limit is read and dropped, so that the program does not block. */
static void drain(int *fd, struct buf *to, size_t limit)
{
    char chunk[16384];
    ssize_t n = read(*fd, chunk, sizeof(chunk));
    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0) {
        close_end(fd);
        return;
    }
    size_t room = limit > to->length ? limit - to->length : 0;
    buf_append(to, chunk, (size_t)n < room ? (size_t)n : room);
}

static void feed(struct child *child, const struct process *process, size_t *sent)
{
    ssize_t n = write(child->in, process->input + *sent, process->input_length - *sent);
    if (n > 0)
        *sent += (size_t)n;
    if (*sent == process->input_length || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_end(&child->in);
}

/* True when everything was read before the deadline. */
static bool converse(struct child *child, const struct process *process, struct buf *out, struct buf *err)
{
    size_t limit = process->output_limit != 0 ? process->output_limit : DEFAULT_OUTPUT;
    int64_t end = clock_monotonic_us() + 1000 * (int64_t)(process->timeout_ms != 0 ? process->timeout_ms : DEFAULT_TIMEOUT_MS);
    size_t sent = 0;
    if (process->input == NULL)
        close_end(&child->in);
    while (child->out >= 0 || child->err >= 0) {
        int64_t left_ms = (end - clock_monotonic_us()) / 1000;
        if (left_ms <= 0)
            return false;
        struct pollfd polls[3] = { { child->in, POLLOUT, 0 }, { child->out, POLLIN, 0 }, { child->err, POLLIN, 0 } };
        if (poll(polls, 3, (int)left_ms) < 0 && errno != EINTR)
            return false;
        if (polls[0].revents != 0)
            feed(child, process, &sent);
        if (polls[1].revents != 0)
            drain(&child->out, out, limit);
        if (polls[2].revents != 0)
            drain(&child->err, err, limit);
    }
    return true;
}

static const char *last_line(struct arena *arena, const char *text)
{
    size_t end = strlen(text);
    while (end > 0 && (text[end - 1] == '\n' || text[end - 1] == ' '))
        end--;
    size_t begin = end;
    while (begin > 0 && text[begin - 1] != '\n')
        begin--;
    return arena_strndup(arena, text + begin, end - begin);
}

static struct fault *judge(struct arena *arena, const struct process *process, bool in_time, const struct process_result *result)
{
    if (!in_time)
        return fault_new(arena, 500, NULL, "%s did not finish in %d ms.", process->argv[0],
            process->timeout_ms != 0 ? process->timeout_ms : DEFAULT_TIMEOUT_MS);
    if (result->exit_status != 0 && !process->any_exit)
        return fault_new(arena, 500, NULL, "%s failed with status %d: %s", process->argv[0], result->exit_status,
            last_line(arena, result->errors));
    return NULL;
}

struct fault *process_run(struct arena *arena, const struct process *process, struct process_result *ret)
{
    struct child child = { 0 };
    TRY(start(arena, process, &child));
    BUF_CLEANUP struct buf out = { 0 };
    BUF_CLEANUP struct buf err = { 0 };
    bool in_time = converse(&child, process, &out, &err);
    if (!in_time)
        kill(-child.pid, SIGKILL);
    close_end(&child.in);
    close_end(&child.out);
    close_end(&child.err);
    int status = 0;
    while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
    }
    struct process_result result = {
        .exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
        .output = arena_strndup(arena, buf_text(&out), out.length),
        .output_length = out.length,
        .errors = arena_strndup(arena, buf_text(&err), err.length),
    };
    if (ret != NULL)
        *ret = result;
    return judge(arena, process, in_time, &result);
}

struct fault *process_spawn(struct arena *arena, const struct process *process, const char *log_path, pid_t *ret_pid)
{
    const char *program;
    int netns;
    TRY(prepare(arena, process, &program, &netns));
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log = log_path == NULL ? null : open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    char **env = merged_environment(arena, process->env);
    const int fds[3] = { null, log, log };
    pid_t pid = null < 0 || log < 0 ? -1 : fork();
    int why = errno;
    if (pid == 0) {
        setsid();
        become_program(program, process, env, fds, netns);
    }
    if (log != null && log >= 0)
        close(log);
    if (null >= 0)
        close(null);
    if (netns >= 0)
        close(netns);
    if (pid < 0)
        return fault_new(arena, 500, NULL, "%s cannot be started: %s.", process->argv[0], strerror(why));
    *ret_pid = pid;
    return NULL;
}

bool process_alive(pid_t pid, const char *word)
{
    char path[64], text[4096];
    if (pid <= 0)
        return false;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (file_peek(path, text, sizeof(text)) < 0)
        return false;
    const char *state = strrchr(text, ')');
    if (state == NULL || state[1] == '\0' || state[2] == 'Z' || state[2] == 'X')
        return false;
    if (word == NULL)
        return true;
    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    ssize_t length = file_peek(path, text, sizeof(text));
    return length >= 0 && memmem(text, (size_t)length, word, strlen(word)) != NULL;
}

bool process_end(pid_t pid, int grace_ms)
{
    if (pid <= 1)
        return false;
    kill(pid, SIGTERM);
    int64_t end = clock_monotonic_us() + (int64_t)grace_ms * 1000;
    while (process_alive(pid, NULL) && clock_monotonic_us() < end) {
        waitpid(pid, NULL, WNOHANG); /* when it is our child, it must not stay a zombie */
        clock_sleep_ms(5);
    }
    if (process_alive(pid, NULL)) {
        kill(pid, SIGKILL);
        for (int i = 0; i < 200 && process_alive(pid, NULL); i++)
            clock_sleep_ms(5);
    }
    waitpid(pid, NULL, WNOHANG);
    return !process_alive(pid, NULL);
}

bool process_asked_to_end(void)
{
    sigset_t set;
    return sigpending(&set) == 0 && (sigismember(&set, SIGTERM) == 1 || sigismember(&set, SIGINT) == 1);
}

pid_t process_read_pid(const char *path)
{
    char text[64];
    return file_peek(path, text, sizeof(text)) >= 0 ? (pid_t)atol(text) : 0;
}
