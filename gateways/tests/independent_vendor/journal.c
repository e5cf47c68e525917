#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "vendor.h"

_Thread_local const char *inside;

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static FILE *file;

void path_of(const char *name, char *path, size_t room) {
    const char *dir = getenv("INDEPENDENT_VENDOR");
    if (dir == NULL || (size_t)snprintf(path, room, "%s/%s", dir, name) >= room)
        abort();
}

void journal(const char *name, const char *format, ...) {
    char path[4096];
    va_list args;
    pthread_mutex_lock(&turn);
    if (file == NULL) {
        path_of("journal", path, sizeof path);
        file = fopen(path, "a");
        if (file == NULL)
            abort();
    }
    fprintf(file, "%s\t%s", name, inside == NULL ? "-" : inside);
    va_start(args, format);
    vfprintf(file, format, args);
    va_end(args);
    fputc('\n', file);
    fflush(file);
    pthread_mutex_unlock(&turn);
}

_Noreturn void broken(const char *what, const char *detail) {
    journal("broken", "\t%s\t%s", what, detail);
    abort();
}
