/* SPDX-License-Identifier: Apache-2.0
 * http: RFC 9112's request, the strict reading: no folded lines, no spaces before colons, no transfer codings. See http.h. */
#include "neutron/metadata/http.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
        (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* Where the head ends (behind its empty line), or 0. */
static size_t head_length(const char *data, size_t length)
{
    const char *end = memmem(data, length, "\r\n\r\n", 4), *bare = memmem(data, length, "\n\n", 2);
    if (end != NULL && (bare == NULL || end < bare))
        return (size_t)(end - data) + 4;
    return bare != NULL ? (size_t)(bare - data) + 2 : 0;
}

/* Ends the line at `at` with a NUL and returns the next line. The head's last byte is a newline, so there is one. */
static char *end_line(char *at)
{
    char *newline = strchr(at, '\n');
    *newline = '\0';
    if (newline > at && newline[-1] == '\r')
        newline[-1] = '\0';
    return newline + 1;
}

static int read_request_line(char *line, struct guest_request *ret)
{
    char *path = strchr(line, ' ');
    char *version = path != NULL ? strchr(path + 1, ' ') : NULL;
    if (path == NULL || version == NULL || path == line || path[1] != '/')
        return 400;
    *path++ = '\0';
    *version++ = '\0';
    for (const char *c = line; *c != '\0'; c++)
        if (!is_token(*c))
            return 400;
    for (const char *c = path; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~')
            return 400;
    if (strncmp(version, "HTTP/", 5) != 0)
        return 400;
    if (strcmp(version, "HTTP/1.0") != 0 && strcmp(version, "HTTP/1.1") != 0)
        return 505;
    ret->method = line;
    ret->path = path;
    return 200;
}

static int read_header(char *line, struct guest_request *ret)
{
    char *colon = line;
    while (is_token(*colon))
        colon++;
    if (colon == line || *colon != ':')
        return 400;
    if (ret->header_count == GUEST_HEADERS_MAX)
        return 431;
    *colon = '\0';
    char *value = colon + 1 + strspn(colon + 1, " \t"), *end = value + strlen(value);
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        *--end = '\0';
    for (const char *c = value; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' && *c != '\t')
            return 400;
    ret->headers[ret->header_count++] = (struct guest_header){ line, value };
    return 200;
}

const char *guest_header_value(const struct guest_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    return NULL;
}

static int read_body_length(const struct guest_request *request, size_t *ret)
{
    size_t given = 0;
    *ret = 0;
    if (guest_header_value(request, "Transfer-Encoding") != NULL)
        return 501;
    for (size_t i = 0; i < request->header_count; i++)
        given += strcasecmp(request->headers[i].name, "Content-Length") == 0;
    if (given > 1)
        return 400;
    const char *text = guest_header_value(request, "Content-Length");
    if (text == NULL)
        return strcmp(request->method, "POST") == 0 || strcmp(request->method, "PUT") == 0 ? 411 : 200;
    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
        return 400;
    if (strlen(text) > 9 || strtoul(text, NULL, 10) > GUEST_BODY_LIMIT)
        return 413;
    *ret = strtoul(text, NULL, 10);
    return 200;
}

/* The head is read out of a copy first: until the body is there the bytes must stay as they are. */
static int read_head(char *head, struct guest_request *ret, size_t *ret_body)
{
    *ret = (struct guest_request){ 0 };
    char *line = head, *next = end_line(line);
    int status = read_request_line(line, ret);
    while (status == 200 && *(line = next) != '\0' && *line != '\n' && strcmp(line, "\r\n") != 0) {
        next = end_line(line);
        status = read_header(line, ret);
    }
    return status == 200 ? read_body_length(ret, ret_body) : status;
}

int guest_request_read(char *data, size_t length, struct guest_request *ret)
{
    size_t head = head_length(data, length < GUEST_HEAD_LIMIT ? length : GUEST_HEAD_LIMIT), body = 0;
    if (head == 0)
        return length >= GUEST_HEAD_LIMIT ? 431 : 0;
    if (memchr(data, '\0', head) != NULL)
        return 400;
    char copy[GUEST_HEAD_LIMIT + 1];
    memcpy(copy, data, head);
    copy[head] = '\0';
    int status = read_head(copy, ret, &body);
    if (status != 200)
        return status;
    if (length - head < body)
        return 0;
    char first = data[head]; /* one byte behind `length` is the caller's NUL or the next request's */
    data[head] = '\0';
    status = read_head(data, ret, &body);
    data[head] = first;
    ret->body = data + head;
    ret->body_length = body;
    return status;
}

const char *guest_reason(int status)
{
    static const struct { int status; const char *reason; } reasons[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 204, "No Content" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 411, "Length Required" },
        { 413, "Content Too Large" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
        { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}
