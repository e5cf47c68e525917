/* Where the vendor's fields lie, in bytes, and in which order the vendor's virtual methods stand: measured in the
 * vendor's libraries, written down here a second time so that the worker's own table has something to fail against. */
#ifndef LAYOUT_H
#define LAYOUT_H

#include <stdint.h>

enum flavour { CTP, SOPT, FLAVOURS };

/* Sizes of records: CTP 6.7.7, SOPT 3.7. */
#define DEPTH_BYTES_CTP 584
#define DEPTH_BYTES_SOPT 440
#define LOGIN_BYTES_CTP 204
#define LOGIN_BYTES_SOPT 156
#define INSTRUMENT_BYTES_CTP 112
#define INSTRUMENT_BYTES_SOPT 31
#define QUOTE_BYTES_CTP 169
#define QUOTE_BYTES_SOPT 88
#define INFO_BYTES 88
/* A record whose inside the worker has no business with. */
#define OPAQUE_BYTES 27

/* ReqUserLogin, the same in both flavours. */
#define REQUEST_BYTES 264
#define REQUEST_BROKER 9
#define REQUEST_BROKER_BYTES 11
#define REQUEST_USER 20
#define REQUEST_USER_BYTES 16
#define REQUEST_PASSWORD 36
#define REQUEST_PASSWORD_BYTES 41

/* RspInfo, the same in both flavours. */
#define INFO_ERROR_ID 0
#define INFO_ERROR_MSG 4
#define INFO_ERROR_MSG_BYTES 81

/* Longest InstrumentID, with its terminating zero. */
#define ID_BYTES_CTP 81
#define ID_BYTES_SOPT 31

/* The depth record's fields up to 400 are the same in both flavours: F(name, offset, bytes). */
#define DEPTH_LEVEL(F, n) \
    F(BidPrice##n, 224 + 32 * (n - 1), 8) \
    F(BidVolume##n, 232 + 32 * (n - 1), 4) \
    F(AskPrice##n, 240 + 32 * (n - 1), 8) \
    F(AskVolume##n, 248 + 32 * (n - 1), 4)

#define DEPTH_SHARED(F) \
    F(TradingDay, 0, 9) \
    F(ExchangeID, 40, 9) \
    F(LastPrice, 80, 8) \
    F(PreSettlementPrice, 88, 8) \
    F(PreClosePrice, 96, 8) \
    F(PreOpenInterest, 104, 8) \
    F(OpenPrice, 112, 8) \
    F(HighestPrice, 120, 8) \
    F(LowestPrice, 128, 8) \
    F(Volume, 136, 4) \
    F(Turnover, 144, 8) \
    F(OpenInterest, 152, 8) \
    F(ClosePrice, 160, 8) \
    F(SettlementPrice, 168, 8) \
    F(UpperLimitPrice, 176, 8) \
    F(LowerLimitPrice, 184, 8) \
    F(PreDelta, 192, 8) \
    F(CurrDelta, 200, 8) \
    F(UpdateTime, 208, 9) \
    F(UpdateMillisec, 220, 4) \
    DEPTH_LEVEL(F, 1) \
    DEPTH_LEVEL(F, 2) \
    DEPTH_LEVEL(F, 3) \
    DEPTH_LEVEL(F, 4) \
    DEPTH_LEVEL(F, 5) \
    F(AveragePrice, 384, 8) \
    F(ActionDay, 392, 9)

#define DEPTH_CTP(F) DEPTH_SHARED(F) F(InstrumentID, 401, 81) F(ExchangeInstID, 482, 81)
#define DEPTH_SOPT(F) F(InstrumentID, 9, 31) F(ExchangeInstID, 49, 31) DEPTH_SHARED(F)

/* One named field; a table of them ends with a name of NULL. */
struct field {
    const char *name;
    uint16_t at, bytes;
};

/* One kind of record, in each flavour. */
struct record {
    uint16_t bytes[FLAVOURS];
    const struct field *fields[FLAVOURS];
};

extern const struct record DEPTH, LOGIN, INSTRUMENT, QUOTE, OPAQUE;

/* The arguments that a callback takes. */
enum shape { PLAIN, NUMBER, RESPONSE, ERROR, PUSH };

/* One callback; it has no slot (-1) in a flavour that lacks it. */
struct callback {
    const char *name;
    int slot[FLAVOURS];
    enum shape shape;
    const struct record *record;
};

extern const struct callback CALLBACKS[]; /* ends with a name of NULL */

#endif
