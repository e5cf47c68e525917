/* Many ticks: as fast as one thread can call, or several at once. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "vendor.h"

#define THREADS_MAX 16
#define WARN_EVERY 64

static const struct callback *named(const char *name) {
    const struct callback *callback = CALLBACKS;
    while (strcmp(callback->name, name) != 0)
        callback++;
    return callback;
}

static void tick(const struct api *api, const struct callback *depth, const char *instrument, int volume) {
    const struct value values[] = {
        {"InstrumentID", {(const unsigned char *)instrument, strlen(instrument)}},
        {"Volume", {(const unsigned char *)&volume, sizeof volume}},
    };
    call_push(api, depth, (struct given){false, values, 2});
}

/* Ticks of one instrument that are numbered in Volume. */
void flood(const struct api *api, const char *instrument, int first, int count) {
    const struct callback *depth = named("OnRtnDepthMarketData");
    for (int i = 0; i < count; i++)
        tick(api, depth, instrument, first + i);
}

struct part {
    const struct api *api;
    pthread_barrier_t *barrier;
    int number, count;
};

static void *blow(void *argument) {
    const struct part *part = argument;
    const struct callback *depth = named("OnRtnDepthMarketData"), *warning = named("OnHeartBeatWarning");
    char instrument[16];
    snprintf(instrument, sizeof instrument, "storm%d", part->number);
    pthread_barrier_wait(part->barrier);
    for (int i = 0; i < part->count; i++) {
        tick(part->api, depth, instrument, i);
        if (i % WARN_EVERY == 0)
            call_plain(part->api, warning, part->number);
    }
    return NULL;
}

/* Each thread has an instrument of its own, storm0 and so on, and calls other callbacks in between. */
void storm(const struct api *api, int threads, int count) {
    pthread_t made[THREADS_MAX];
    struct part parts[THREADS_MAX];
    pthread_barrier_t barrier;
    if (threads > THREADS_MAX || pthread_barrier_init(&barrier, NULL, (unsigned)threads) != 0)
        broken("storm", "threads");
    for (int i = 0; i < threads; i++) {
        parts[i] = (struct part){api, &barrier, i, count};
        if (pthread_create(&made[i], NULL, blow, &parts[i]) != 0)
            broken("storm", "no thread");
    }
    for (int i = 0; i < threads; i++)
        pthread_join(made[i], NULL);
    pthread_barrier_destroy(&barrier);
}
