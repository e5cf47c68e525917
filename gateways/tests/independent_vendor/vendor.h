/* A market-data library of our own, in plain C: what its parts say to each other. */
#ifndef VENDOR_H
#define VENDOR_H

#include <stdbool.h>
#include <stddef.h>

#include "layout.h"

/* A virtual method, before it is known which. */
typedef void (*method)(void);

/* One API object. Its first word points to the first method, past the table's two leading words. */
struct api {
    const method *methods;
    enum flavour flavour;
    void *spi;
};

/* Bytes for a field or a message; NULL and 0 for none. */
struct bytes {
    const unsigned char *data;
    size_t count;
};

/* One field's name and value. */
struct value {
    const char *name;
    struct bytes is;
};

/* The record that a callback is given; is_null for a null pointer. */
struct given {
    bool is_null;
    const struct value *values;
    size_t count;
};

/* The RspInfo that a callback is given. */
struct info {
    bool is_null;
    int code;
    struct bytes message;
};

/* journal.c: appends "NAME <tab> callback that this thread is in <tab> ..." to the journal, in the order of the calls. */
void journal(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Path of a file in the directory that the test names. */
void path_of(const char *file, char *path, size_t room);
/* Ends the process with a last line: the test itself is wrong. */
_Noreturn void broken(const char *what, const char *detail);
/* The callback that this thread is in; NULL outside. */
extern _Thread_local const char *inside;

/* api.c: whether calls find a connection, the password that the front accepts, and the next call's own return code. */
void set_connected(bool connected);
void set_password(struct bytes password);
void set_return(const char *name, int code);

/* spi.c: calls one callback through the application's table. */
void call_plain(const struct api *api, const struct callback *callback, int number);
void call_response(const struct api *api, const struct callback *callback, struct given given, struct info info,
                   int request_id, bool is_last);
void call_push(const struct api *api, const struct callback *callback, struct given given);

/* script.c: obeys the lines of the file "script" for as long as the process lives, on a thread of the library. */
void script_begin(struct api *api);

/* storm.c: many ticks, from one thread or several at once. */
void flood(const struct api *api, const char *instrument, int first, int count);
void storm(const struct api *api, int threads, int count);

#endif
