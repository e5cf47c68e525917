/* What the library does is what the test writes, line by line, into the file "script" while it runs:
 *
 *   CALLBACK [NUMBER]                        OnFrontConnected, OnFrontDisconnected 4097
 *   CALLBACK RECORD [INFO REQUEST_ID LAST]   OnRspUserLogin TradingDay=3230 0: 1 1
 *   flood INSTRUMENT FIRST COUNT             that many ticks as fast as can be
 *   storm THREADS COUNT                      from so many threads at once
 *   password HEX                             what the front accepts
 *   return METHOD CODE                       what its next call returns
 *
 * RECORD is NAME=HEX,..., or "rubbish" for one without any value, INFO is CODE:HEX, and either may be "null"; HEX are
 * the bytes as they lie in memory. A line that was obeyed is followed by "done N" in the journal. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vendor.h"

#define WORDS_MAX 6
#define VALUES_MAX 64
#define LINE_MAX_BYTES 16384

static int digit(char c) {
    const char *digits = "0123456789abcdef", *found = strchr(digits, c);
    if (c == 0 || found == NULL)
        broken("hex", (char[]){c, 0});
    return (int)(found - digits);
}

/* Decodes hex in place. */
static struct bytes hex(char *text) {
    unsigned char *out = (unsigned char *)text;
    size_t count = 0;
    for (const char *c = text; *c != 0; c += 2)
        out[count++] = (unsigned char)(digit(c[0]) * 16 + digit(c[1]));
    return (struct bytes){out, count};
}

static struct given record_of(char *text, struct value *values) {
    struct given given = {strcmp(text, "null") == 0, values, 0};
    char *rest = NULL;
    const bool is_empty = given.is_null || strcmp(text, "rubbish") == 0;
    for (char *part = is_empty ? NULL : strtok_r(text, ",", &rest); part != NULL; part = strtok_r(NULL, ",", &rest)) {
        char *equals = strchr(part, '=');
        if (equals == NULL || given.count == VALUES_MAX)
            broken("record", part);
        *equals = 0;
        values[given.count].name = part;
        values[given.count++].is = hex(equals + 1);
    }
    return given;
}

static struct info info_of(char *text) {
    if (strcmp(text, "null") == 0)
        return (struct info){true, 0, {NULL, 0}};
    char *message = NULL;
    const int code = (int)strtol(text, &message, 10);
    if (*message != ':')
        broken("info", text);
    return (struct info){false, code, hex(message + 1)};
}

static void call(const struct api *api, const struct callback *callback, char **words, int count) {
    struct value values[VALUES_MAX];
    journal(callback->name, "%s", "");
    switch (callback->shape) {
    case PLAIN:
    case NUMBER:
        if (callback->slot[api->flavour] < 2)
            set_connected(callback->shape == PLAIN);
        call_plain(api, callback, count > 1 ? atoi(words[1]) : 0);
        break;
    case RESPONSE:
    case ERROR:
        if (count != 5)
            broken(callback->name, "RECORD INFO REQUEST_ID LAST");
        call_response(api, callback, record_of(words[1], values), info_of(words[2]), atoi(words[3]), atoi(words[4]));
        break;
    case PUSH:
        if (count != 2)
            broken(callback->name, "RECORD");
        call_push(api, callback, record_of(words[1], values));
        break;
    }
}

static void obey(const struct api *api, char *line) {
    char *words[WORDS_MAX], *rest = NULL;
    int count = 0;
    for (char *word = strtok_r(line, " ", &rest); word != NULL && count < WORDS_MAX; word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    if (count == 0)
        broken("script", "an empty line");
    for (const struct callback *callback = CALLBACKS; callback->name != NULL; callback++) {
        if (strcmp(words[0], callback->name) == 0) {
            call(api, callback, words, count);
            return;
        }
    }
    if (strcmp(words[0], "flood") == 0 && count == 4)
        flood(api, words[1], atoi(words[2]), atoi(words[3]));
    else if (strcmp(words[0], "storm") == 0 && count == 3)
        storm(api, atoi(words[1]), atoi(words[2]));
    else if (strcmp(words[0], "password") == 0 && count == 2)
        set_password(hex(words[1]));
    else if (strcmp(words[0], "return") == 0 && count == 3)
        set_return(words[1], atoi(words[2]));
    else
        broken("script", words[0]);
}

static void *run(void *argument) {
    static char line[LINE_MAX_BYTES];
    const struct timespec pause = {0, 500 * 1000};
    char path[4096];
    path_of("script", path, sizeof path);
    FILE *script = fopen(path, "r");
    if (script == NULL)
        broken("script", path);
    size_t length = 0;
    for (int number = 0;;) {
        const int c = getc(script);
        if (c == EOF) {
            clearerr(script);
            nanosleep(&pause, NULL);
        } else if (c != '\n') {
            if (length + 1 == sizeof line)
                broken("script", "a line too long");
            line[length++] = (char)c;
        } else {
            line[length] = 0;
            length = 0;
            obey(argument, line);
            journal("done", "\t%d", ++number);
        }
    }
    return NULL;
}

void script_begin(struct api *api) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, api) != 0 || pthread_detach(thread) != 0)
        broken("Init", "no thread");
}
