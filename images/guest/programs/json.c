// SPDX-License-Identifier: Apache-2.0
/* json: look values up in a JSON file, for the guest's shell scripts.
 *
 *   json FILE PATH             each value that PATH matches, one a line
 *   json FILE PATH FIELD...    one line for each object that PATH matches: its FIELDs, tab separated, "-" if absent
 *
 * PATH and FIELD are member names and array indexes joined by dots; "*" matches every member or element.
 * Exit status: 0 something matched, 1 nothing did, 2 the file is not JSON.
 *
 * The guest has no interpreter that knows JSON, and awk takes half a second of emulated CPU for what this
 * does in a millisecond. Nothing is freed: the process ends at once. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 64, SIZE_MAX_BYTES = 16 << 20 };

struct node {
    char *name;         /* in its object; NULL in an array */
    char *text;         /* a scalar's text; NULL for an object or an array */
    struct node *child; /* the first */
    struct node *next;
};

static const char *at; /* the next byte to read; the text ends with a NUL */

static struct node *parse_value(int depth);

static void fail(const char *why)
{
    fprintf(stderr, "json: %s\n", why);
    exit(2);
}

static void *must_alloc(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory)
        fail("out of memory");
    return memory;
}

static void skip_space(void)
{
    at += strspn(at, " \t\r\n");
}

static bool take(char c)
{
    skip_space();
    if (*at != c)
        return false;
    at++;
    return true;
}

static unsigned parse_hex4(void)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++, at++) {
        const char *digits = "0123456789abcdef0123456789ABCDEF";
        const char *digit = *at ? strchr(digits, *at) : NULL;
        if (!digit)
            fail("bad \\u escape");
        value = value << 4 | (unsigned)(digit - digits) % 16;
    }
    return value;
}

static char *put_utf8(char *out, unsigned code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    *out++ = (char)((0xff00 >> (more + 1)) | code >> (6 * more));
    while (more--)
        *out++ = (char)(0x80 | (code >> (6 * more) & 0x3f));
    return out;
}

static char *put_escape(char *out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char c = *at++;
    const char *name = c ? strchr(names, c) : NULL;
    if (name) {
        *out++ = values[name - names];
        return out;
    }
    if (c != 'u')
        fail("bad escape");
    unsigned code = parse_hex4();
    if (code >> 10 == 0x36 && at[0] == '\\' && at[1] == 'u') { /* a surrogate pair */
        at += 2;
        code = 0x10000 + ((code & 0x3ff) << 10) + (parse_hex4() & 0x3ff);
    }
    return code ? put_utf8(out, code) : out; /* a shell variable cannot hold NUL */
}

static char *parse_string(void)
{
    if (!take('"'))
        fail("expected a string");
    /* decoded, a string is never longer than it was in the file */
    const char *end = at;
    while (*end && *end != '"')
        end += *end == '\\' && end[1] ? 2 : 1;
    if (!*end)
        fail("unfinished string");
    char *text = must_alloc((size_t)(end - at) + 1), *out = text;
    while (at < end) {
        if (*at != '\\')
            *out++ = *at++;
        else {
            at++;
            out = put_escape(out);
        }
    }
    at = end + 1;
    return text;
}

static struct node *parse_members(int depth, char close, bool named)
{
    struct node *first = NULL, **link = &first;
    if (take(close))
        return NULL;
    do {
        char *name = NULL;
        if (named) {
            name = parse_string();
            if (!take(':'))
                fail("expected ':'");
        }
        *link = parse_value(depth + 1);
        (*link)->name = name;
        link = &(*link)->next;
    } while (take(','));
    if (!take(close))
        fail("expected ',' or the end of an object or array");
    return first;
}

static struct node *parse_value(int depth)
{
    if (depth > DEPTH_MAX)
        fail("nested too deep");
    struct node *node = must_alloc(sizeof *node);
    skip_space();
    if (*at == '{' || *at == '[') {
        bool named = *at++ == '{';
        node->child = parse_members(depth, named ? '}' : ']', named);
    } else if (*at == '"') {
        node->text = parse_string();
    } else {
        size_t length = strcspn(at, ",]} \t\r\n");
        if (!length || !strchr("-0123456789tfn", *at))
            fail("expected a value");
        bool null = length == 4 && !memcmp(at, "null", 4); /* to a script, null is as good as absent */
        if (!null)
            node->text = memcpy(must_alloc(length + 1), at, length);
        at += length;
    }
    return node;
}

typedef bool visit_function(const struct node *node, char **fields);

/* Calls visit for each node that path leads to; true if one of the calls was. */
static bool match(const struct node *node, const char *path, visit_function *visit, char **fields)
{
    if (!*path)
        return visit(node, fields);
    size_t length = strcspn(path, ".");
    const char *rest = path + length + (path[length] == '.');
    bool any = length == 1 && *path == '*', found = false;
    long index = 0;
    for (const struct node *child = node->child; child; child = child->next, index++) {
        char number[24];
        snprintf(number, sizeof number, "%ld", index);
        const char *name = child->name ? child->name : number;
        if (any || (strlen(name) == length && !memcmp(name, path, length)))
            found |= match(child, rest, visit, fields);
    }
    return found;
}

static bool print_value(const struct node *node, char **fields)
{
    (void)fields;
    if (node->text)
        puts(node->text);
    return node->text != NULL;
}

static bool print_cell(const struct node *node, char **fields)
{
    (void)fields;
    if (!node->text || !*node->text)
        return false;
    for (const char *c = node->text; *c; c++)
        putchar(strchr("\t\r\n", *c) ? ' ' : *c);
    return true;
}

static bool print_row(const struct node *node, char **fields)
{
    for (char **field = fields; *field; field++) {
        if (!match(node, *field, print_cell, NULL))
            putchar('-');
        putchar(field[1] ? '\t' : '\n');
    }
    return true;
}

static char *read_whole(const char *name)
{
    FILE *file = fopen(name, "r");
    if (!file) {
        perror(name);
        exit(2);
    }
    size_t used = 0, room = 64 << 10, got;
    char *text = must_alloc(room);
    while ((got = fread(text + used, 1, room - used - 1, file)) > 0) {
        used += got;
        if (used + 1 < room)
            continue;
        if (room >= SIZE_MAX_BYTES)
            fail("larger than 16 MiB");
        char *larger = must_alloc(room *= 2);
        text = memcpy(larger, text, used);
    }
    fclose(file);
    return text;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        fail("usage: json FILE PATH [FIELD...]");
    at = read_whole(argv[1]);
    const struct node *root = parse_value(0);
    skip_space();
    if (*at)
        fail("something follows the value");
    return match(root, argv[2], argc > 3 ? print_row : print_value, argv + 3) ? 0 : 1;
}
