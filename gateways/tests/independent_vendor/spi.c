/* Calls the application through its own virtual table. Each record lies at the very end of a page, with nothing mapped
 * behind it, so that a reader who takes it for longer than it is dies; afterwards it is overwritten, so that a reader
 * who kept the pointer reads rubbish. */
#include <string.h>
#include <sys/mman.h>

#include "vendor.h"

#define PAGE 4096
#define RUBBISH 0xa5
#define STALE 0xee

enum place { FIELD, INFO, PLACES };

/* The last `bytes` bytes of this thread's page for that place. */
static unsigned char *at_the_edge(enum place place, size_t bytes) {
    static _Thread_local unsigned char *pages[PLACES];
    if (pages[place] == NULL) {
        unsigned char *two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (two == MAP_FAILED || mprotect(two + PAGE, PAGE, PROT_NONE) != 0)
            broken("page", "not mapped");
        pages[place] = two;
    }
    unsigned char *record = pages[place] + PAGE - bytes;
    memset(record, RUBBISH, bytes);
    return record;
}

/* A value shorter than its field is a text: it gets its zero, and rubbish stays behind that. */
static void put(unsigned char *record, const struct field *field, struct bytes value) {
    if (value.count > field->bytes)
        broken(field->name, "more bytes than the field has");
    memcpy(record + field->at, value.data, value.count);
    if (value.count < field->bytes)
        record[field->at + value.count] = 0;
}

static void *make(const struct api *api, const struct record *kind, struct given given) {
    if (given.is_null)
        return NULL;
    unsigned char *record = at_the_edge(FIELD, kind->bytes[api->flavour]);
    for (size_t i = 0; i < given.count; i++) {
        const struct field *field = kind->fields[api->flavour];
        while (field->name != NULL && strcmp(field->name, given.values[i].name) != 0)
            field++;
        if (field->name == NULL)
            broken(given.values[i].name, "no such field");
        put(record, field, given.values[i].is);
    }
    return record;
}

static void *make_info(struct info info) {
    static const struct field message = {"ErrorMsg", INFO_ERROR_MSG, INFO_ERROR_MSG_BYTES};
    if (info.is_null)
        return NULL;
    unsigned char *record = at_the_edge(INFO, INFO_BYTES);
    const int32_t code = info.code;
    memcpy(record + INFO_ERROR_ID, &code, sizeof code);
    put(record, &message, info.message);
    return record;
}

static method slot(const struct api *api, const struct callback *callback) {
    const int number = callback->slot[api->flavour];
    if (number < 0)
        broken(callback->name, "not in this flavour");
    const method *methods = *(const method *const *)api->spi;
    inside = callback->name;
    return methods[number];
}

static void leave(void *record, size_t bytes) {
    if (record != NULL)
        memset(record, STALE, bytes);
    inside = NULL;
}

void call_plain(const struct api *api, const struct callback *callback, int number) {
    const method to = slot(api, callback);
    if (callback->shape == PLAIN)
        ((void (*)(void *))to)(api->spi);
    else
        ((void (*)(void *, int))to)(api->spi, number);
    leave(NULL, 0);
}

void call_response(const struct api *api, const struct callback *callback, struct given given, struct info info,
                   int request_id, bool is_last) {
    const bool is_error = callback->shape == ERROR;
    void *field = is_error ? NULL : make(api, callback->record, given), *information = make_info(info);
    const method to = slot(api, callback);
    if (is_error)
        ((void (*)(void *, void *, int, bool))to)(api->spi, information, request_id, is_last);
    else
        ((void (*)(void *, void *, void *, int, bool))to)(api->spi, field, information, request_id, is_last);
    leave(field, is_error ? 0 : callback->record->bytes[api->flavour]);
    leave(information, INFO_BYTES);
}

void call_push(const struct api *api, const struct callback *callback, struct given given) {
    void *field = make(api, callback->record, given);
    const method to = slot(api, callback);
    ((void (*)(void *, void *))to)(api->spi, field);
    leave(field, callback->record->bytes[api->flavour]);
}
