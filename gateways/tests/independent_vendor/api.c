/* The factories under the vendor's names, and the object that they make: methods that note how they are called. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vendor.h"

#define EXPORTED __attribute__((visibility("default")))

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static bool is_connected;
static char accepted[REQUEST_PASSWORD_BYTES];
static char odd_call[64];
static int odd_code;

void set_connected(bool connected) {
    pthread_mutex_lock(&turn);
    is_connected = connected;
    pthread_mutex_unlock(&turn);
}

void set_password(struct bytes password) {
    if (password.count >= sizeof accepted)
        broken("password", "too long");
    memset(accepted, 0, sizeof accepted);
    memcpy(accepted, password.data, password.count);
}

void set_return(const char *name, int code) {
    pthread_mutex_lock(&turn);
    snprintf(odd_call, sizeof odd_call, "%s", name);
    odd_code = code;
    pthread_mutex_unlock(&turn);
}

/* What a request returns: -1 without a connection, and once whatever the script wants. */
static int outcome(const char *name) {
    pthread_mutex_lock(&turn);
    int code = is_connected ? 0 : -1;
    if (strcmp(name, odd_call) == 0) {
        code = odd_code;
        odd_call[0] = 0;
    }
    pthread_mutex_unlock(&turn);
    return code;
}

static void Release(struct api *self) { journal("Release", "\t%d", self->flavour); }

static void Init(struct api *self) {
    journal("Init", "\t%s", self->spi == NULL ? "without an SPI" : "with an SPI");
    script_begin(self);
}

static int Join(struct api *self) {
    journal("Join", "\t%d", self->flavour);
    return 0;
}

static const char *GetTradingDay(struct api *self) {
    journal("GetTradingDay", "\t%d", self->flavour);
    return "";
}

static void RegisterFront(struct api *self, char *address) {
    (void)self;
    journal("RegisterFront", "\t%s", address);
}

static void RegisterNameServer(struct api *self, char *address) {
    (void)self;
    journal("RegisterNameServer", "\t%s", address);
}

static void RegisterFensUserInfo(struct api *self, void *info) {
    (void)self, (void)info;
    journal("RegisterFensUserInfo", "%s", "");
}

static void RegisterSpi(struct api *self, void *spi) {
    self->spi = spi;
    journal("RegisterSpi", "\t%s", spi == NULL ? "null" : *(void **)spi == NULL ? "without a table" : "with a table");
}

/* A list of instruments: how many, what is returned, and each name. */
static int listed(const struct api *self, const char *name, char **ids, int count) {
    const size_t room = self->flavour == CTP ? ID_BYTES_CTP : ID_BYTES_SOPT;
    const int code = outcome(name);
    char *line = malloc((size_t)(count > 0 ? count : 0) * (room + 1) + 1), *end = line;
    if (line == NULL)
        broken(name, "memory");
    for (int i = 0; i < count; i++) {
        const size_t length = strnlen(ids[i], room);
        if (length == room)
            broken(name, "an instrument without an end");
        *end++ = '\t';
        memcpy(end, ids[i], length);
        end += length;
    }
    *end = 0;
    journal(name, "\t%d\t%d%s", code, count, line);
    free(line);
    return code;
}

static int SubscribeMarketData(struct api *self, char **ids, int count) {
    return listed(self, "SubscribeMarketData", ids, count);
}

static int UnSubscribeMarketData(struct api *self, char **ids, int count) {
    return listed(self, "UnSubscribeMarketData", ids, count);
}

static int SubscribeForQuoteRsp(struct api *self, char **ids, int count) {
    return listed(self, "SubscribeForQuoteRsp", ids, count);
}

static int UnSubscribeForQuoteRsp(struct api *self, char **ids, int count) {
    return listed(self, "UnSubscribeForQuoteRsp", ids, count);
}

/* Copies a text field of a request; an unterminated one is a fault of the caller. */
static void text(const unsigned char *field, size_t room, char *out) {
    if (memchr(field, 0, room) == NULL)
        broken("ReqUserLogin", "a text without an end");
    strcpy(out, (const char *)field);
}

static int ReqUserLogin(struct api *self, const unsigned char *request, int request_id) {
    (void)self;
    char broker[REQUEST_BROKER_BYTES], user[REQUEST_USER_BYTES], password[REQUEST_PASSWORD_BYTES];
    text(request + REQUEST_BROKER, sizeof broker, broker);
    text(request + REQUEST_USER, sizeof user, user);
    text(request + REQUEST_PASSWORD, sizeof password, password);
    int others = 0; /* bytes that are set outside these three texts */
    for (int i = 0; i < REQUEST_BYTES; i++)
        others += request[i] != 0 && (i < REQUEST_BROKER || i >= REQUEST_PASSWORD + REQUEST_PASSWORD_BYTES);
    const bool is_right = strcmp(password, accepted) == 0;
    const int code = outcome("ReqUserLogin");
    journal("ReqUserLogin", "\t%d\t%s\t%s\t%zu\t%s\t%d\t%d", code, broker, user, strlen(password),
            is_right ? "right" : "wrong", others, request_id);
    memset(password, 0, sizeof password);
    return code;
}

static int ReqUserLogout(struct api *self, void *request, int request_id) {
    (void)self, (void)request;
    journal("ReqUserLogout", "\t%d", request_id);
    return outcome("ReqUserLogout");
}

static int ReqQryMulticastInstrument(struct api *self, void *request, int request_id) {
    (void)self, (void)request;
    journal("ReqQryMulticastInstrument", "\t%d", request_id);
    return outcome("ReqQryMulticastInstrument");
}

static void beyond(void) { broken("vtable", "a slot beyond the last one was called"); }

/* A virtual table as C++ lays it out: objects point past the first two words. */
struct vtable {
    ptrdiff_t offset_to_top;
    const void *rtti;
    method methods[16];
};
_Static_assert(offsetof(struct vtable, methods) == 2 * sizeof(void *), "methods follow two words");
_Static_assert(offsetof(struct api, methods) == 0, "an object's first word points to its methods");

#define METHODS_OF_BOTH \
    (method)Release, (method)Init, (method)Join, (method)GetTradingDay, (method)RegisterFront, \
        (method)RegisterNameServer, (method)RegisterFensUserInfo, (method)RegisterSpi, (method)SubscribeMarketData, \
        (method)UnSubscribeMarketData, (method)SubscribeForQuoteRsp, (method)UnSubscribeForQuoteRsp, \
        (method)ReqUserLogin, (method)ReqUserLogout

static const struct vtable TABLES[FLAVOURS] = {
    [CTP] = {0, NULL, {METHODS_OF_BOTH, (method)ReqQryMulticastInstrument, beyond}},
    [SOPT] = {0, NULL, {METHODS_OF_BOTH, beyond, beyond}},
};

/* As the vendor's does, the library writes files whose names begin with the flow path. */
static const char *write_flow(const char *prefix) {
    char path[4096];
    if (prefix == NULL || (size_t)snprintf(path, sizeof path, "%sDialogRsp.con", prefix) >= sizeof path)
        return "no path";
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return "can not open CFlow file";
    fclose(file);
    return "written";
}

static struct api *create(enum flavour flavour, const char *flow_path, bool is_udp, bool is_multicast) {
    struct api *api = calloc(1, sizeof *api);
    if (api == NULL)
        return NULL;
    api->methods = TABLES[flavour].methods;
    api->flavour = flavour;
    journal("Create", "\t%s\t%s\t%s\tis_udp=%d\tis_multicast=%d", flavour == CTP ? "ctp" : "sopt",
            flow_path == NULL ? "null" : flow_path, write_flow(flow_path), is_udp, is_multicast);
    return api;
}

EXPORTED struct api *_ZN15CThostFtdcMdApi15CreateFtdcMdApiEPKcbb(const char *flow, bool is_udp, bool is_multicast) {
    return create(CTP, flow, is_udp, is_multicast);
}

EXPORTED struct api *_ZN8ctp_sopt15CThostFtdcMdApi15CreateFtdcMdApiEPKcbb(const char *flow, bool is_udp, bool is_multicast) {
    return create(SOPT, flow, is_udp, is_multicast);
}

EXPORTED const char *_ZN15CThostFtdcMdApi13GetApiVersionEv(void) { return "independent ctp"; }

EXPORTED const char *_ZN8ctp_sopt15CThostFtdcMdApi13GetApiVersionEv(void) { return "independent sopt"; }
