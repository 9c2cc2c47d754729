/* SPDX-License-Identifier: Apache-2.0
 * file: whole files with a limit, and what replaces them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct arena *arena;
static char root[] = "/tmp/nubo-file-XXXXXX";

static int begin(void **state)
{
    (void)state;
    arena = arena_create();
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    bool gone = folder_remove(arena, root) == NULL && !file_exists(root);
    arena_destroy(arena);
    return gone ? 0 : -1;
}

static const char *in_root(const char *name)
{
    return arena_printf(arena, "%s/%s", root, name);
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static void a_file_is_read_whole_or_not_at_all(void **state)
{
    (void)state;
    const char *path = in_root("ten"), *text;
    size_t length;
    assert_null(file_write(arena, path, "0123\0" "56789", 10, 0600, FILE_NO_SYNC));
    assert_memory_equal(file_read(arena, path, 10, &length), "0123\0" "56789", 11);
    assert_int_equal(length, 10);
    assert_null(file_read(arena, path, 9, NULL));
    assert_int_equal(errno, EFBIG);
    assert_null(file_read(arena, in_root("none"), 10, NULL));
    assert_int_equal(errno, ENOENT);
    assert_null(file_read(arena, root, 10, NULL));
    assert_int_equal(errno, EISDIR);
    assert_null(file_load(arena, in_root("none"), 10, &text));
    assert_null(text);
    struct fault *fault = file_load(arena, path, 9, &text);
    assert_non_null(fault);
    assert_string_equal(fault->message, arena_printf(arena, "Cannot read %s: File too large.", path));
}

/* Their size is 0 until they are read. */
static void files_of_the_kernel_are_read(void **state)
{
    (void)state;
    size_t length;
    assert_non_null(strstr(file_read(arena, "/proc/self/status", 1 << 16, &length), "Pid:"));
    assert_true(length > 100);
}

static void the_end_and_the_beginning_alone(void **state)
{
    (void)state;
    const char *path = in_root("lines");
    char few[5], *tail;
    size_t length;
    assert_null(file_write(arena, path, "one\ntwo\n", 8, 0600, FILE_NO_SYNC));
    assert_true(file_tail(arena, path, 4, &tail, &length));
    assert_string_equal(tail, "two\n");
    assert_true(file_tail(arena, path, 100, &tail, &length));
    assert_int_equal(length, 8);
    assert_false(file_tail(arena, in_root("none"), 4, &tail, &length));
    assert_int_equal(file_peek(path, few, sizeof(few)), 4);
    assert_string_equal(few, "one\n");
    assert_int_equal(file_peek(in_root("none"), few, sizeof(few)), -1);
}

static void a_file_is_replaced_with_its_mode(void **state)
{
    (void)state;
    const char *path = in_root("secret");
    mode_t before = umask(0077);
    assert_null(file_write(arena, path, "old", 3, 0644, FILE_SYNC));
    assert_int_equal(mode_of(path), 0644);
    assert_null(file_write(arena, path, "", 0, 0400, FILE_SYNC));
    assert_int_equal(mode_of(path), 0400);
    assert_string_equal(file_read(arena, path, 10, NULL), "");
    umask(before);
    struct fault *fault = file_write(arena, in_root("none/file"), "x", 1, 0600, FILE_NO_SYNC);
    assert_string_equal(fault->message, arena_printf(arena, "Cannot write %s/none/file: No such file or directory.", root));
}

static void what_cannot_be_put_in_place_leaves_nothing(void **state)
{
    (void)state;
    const char *folder = in_root("here");
    assert_null(folder_make(arena, arena_printf(arena, "%s/below/x", folder), 0711, 0700));
    assert_non_null(file_write(arena, arena_printf(arena, "%s/below", folder), "x", 1, 0600, FILE_NO_SYNC));
    assert_int_equal(rmdir(arena_printf(arena, "%s/below/x", folder)), 0);
    assert_int_equal(rmdir(arena_printf(arena, "%s/below", folder)), 0);
    assert_int_equal(rmdir(folder), 0); /* no part is left in it */
}

static void folders_are_made_and_removed_with_what_is_in_them(void **state)
{
    (void)state;
    const char *below = in_root("a/b/c"), *outside = in_root("outside");
    mode_t before = umask(0077);
    assert_null(folder_make(arena, below, 0711, 0755));
    umask(before);
    assert_int_equal(mode_of(below), 0755);
    assert_int_equal(mode_of(in_root("a")), 0700);
    assert_null(folder_make(arena, below, 0711, 0700));
    assert_int_equal(mode_of(below), 0755);
    assert_null(file_write(arena, outside, "x", 1, 0600, FILE_NO_SYNC));
    assert_int_equal(symlink(outside, in_root("a/b/link")), 0);
    assert_non_null(folder_make(arena, in_root("outside/d"), 0711, 0700));
    assert_null(folder_remove(arena, in_root("a")));
    assert_null(folder_remove(arena, in_root("a")));
    assert_false(file_exists(in_root("a")));
    assert_true(file_exists(outside));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_whole_or_not_at_all),
        cmocka_unit_test(files_of_the_kernel_are_read),
        cmocka_unit_test(the_end_and_the_beginning_alone),
        cmocka_unit_test(a_file_is_replaced_with_its_mode),
        cmocka_unit_test(what_cannot_be_put_in_place_leaves_nothing),
        cmocka_unit_test(folders_are_made_and_removed_with_what_is_in_them),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
