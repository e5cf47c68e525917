#include "layout.h"

#include <stddef.h>

#define ENTRY(name, at, bytes) {#name, at, bytes},

/* A field beyond the end of its record does not compile. */
#define ASSERT_FITS_CTP(name, at, bytes) _Static_assert((at) + (bytes) <= DEPTH_BYTES_CTP, #name);
#define ASSERT_FITS_SOPT(name, at, bytes) _Static_assert((at) + (bytes) <= DEPTH_BYTES_SOPT, #name);
#define ASSERT_ALIGNED(name, at, bytes) _Static_assert((bytes) > 8 || (at) % (bytes) == 0, #name);
DEPTH_CTP(ASSERT_FITS_CTP)
DEPTH_SOPT(ASSERT_FITS_SOPT)
DEPTH_SHARED(ASSERT_ALIGNED)

/* The same record as a C structure: what the compiler makes of the declaration must agree with the numbers. */
struct level {
    double BidPrice;
    int32_t BidVolume;
    double AskPrice;
    int32_t AskVolume;
};
struct depth_ctp {
    char TradingDay[9], reserved_1[31], ExchangeID[9], reserved_2[31];
    double LastPrice, PreSettlementPrice, PreClosePrice, PreOpenInterest, OpenPrice, HighestPrice, LowestPrice;
    int32_t Volume;
    double Turnover, OpenInterest, ClosePrice, SettlementPrice, UpperLimitPrice, LowerLimitPrice, PreDelta, CurrDelta;
    char UpdateTime[9];
    int32_t UpdateMillisec;
    struct level levels[5];
    double AveragePrice;
    char ActionDay[9], InstrumentID[81], ExchangeInstID[81];
    double banding[2];
};
_Static_assert(sizeof(double) == 8 && sizeof(struct level) == 32, "a level");
_Static_assert(sizeof(struct depth_ctp) == DEPTH_BYTES_CTP, "a depth record");
#define ASSERT_AGREES(name, at) _Static_assert(offsetof(struct depth_ctp, name) == (at), #name)
ASSERT_AGREES(LastPrice, 80);
ASSERT_AGREES(Volume, 136);
ASSERT_AGREES(Turnover, 144);
ASSERT_AGREES(UpdateTime, 208);
ASSERT_AGREES(UpdateMillisec, 220);
ASSERT_AGREES(levels, 224);
ASSERT_AGREES(AveragePrice, 384);
ASSERT_AGREES(ActionDay, 392);
ASSERT_AGREES(InstrumentID, 401);
ASSERT_AGREES(ExchangeInstID, 482);
_Static_assert(REQUEST_BROKER + REQUEST_BROKER_BYTES == REQUEST_USER, "login request");
_Static_assert(REQUEST_USER + REQUEST_USER_BYTES == REQUEST_PASSWORD, "login request");
_Static_assert(INFO_ERROR_MSG + INFO_ERROR_MSG_BYTES <= INFO_BYTES, "response information");

static const struct field DEPTH_FIELDS_CTP[] = {DEPTH_CTP(ENTRY){NULL, 0, 0}};
static const struct field DEPTH_FIELDS_SOPT[] = {DEPTH_SOPT(ENTRY){NULL, 0, 0}};
static const struct field TRADING_DAY[] = {{"TradingDay", 0, 9}, {NULL, 0, 0}};
static const struct field INSTRUMENT_CTP[] = {{"InstrumentID", 31, ID_BYTES_CTP}, {NULL, 0, 0}};
static const struct field INSTRUMENT_SOPT[] = {{"InstrumentID", 0, ID_BYTES_SOPT}, {NULL, 0, 0}};
static const struct field NOTHING[] = {{NULL, 0, 0}};

const struct record DEPTH = {{DEPTH_BYTES_CTP, DEPTH_BYTES_SOPT}, {DEPTH_FIELDS_CTP, DEPTH_FIELDS_SOPT}};
const struct record LOGIN = {{LOGIN_BYTES_CTP, LOGIN_BYTES_SOPT}, {TRADING_DAY, TRADING_DAY}};
const struct record INSTRUMENT = {{INSTRUMENT_BYTES_CTP, INSTRUMENT_BYTES_SOPT}, {INSTRUMENT_CTP, INSTRUMENT_SOPT}};
const struct record QUOTE = {{QUOTE_BYTES_CTP, QUOTE_BYTES_SOPT}, {TRADING_DAY, TRADING_DAY}};
const struct record OPAQUE = {{OPAQUE_BYTES, OPAQUE_BYTES}, {NOTHING, NOTHING}};

const struct callback CALLBACKS[] = {
    {"OnFrontConnected", {0, 0}, PLAIN, NULL},
    {"OnFrontDisconnected", {1, 1}, NUMBER, NULL},
    {"OnHeartBeatWarning", {2, 2}, NUMBER, NULL},
    {"OnRspUserLogin", {3, 3}, RESPONSE, &LOGIN},
    {"OnRspUserLogout", {4, 4}, RESPONSE, &OPAQUE},
    {"OnRspQryMulticastInstrument", {5, -1}, RESPONSE, &OPAQUE},
    {"OnRspError", {6, 5}, ERROR, NULL},
    {"OnRspSubMarketData", {7, 6}, RESPONSE, &INSTRUMENT},
    {"OnRspUnSubMarketData", {8, 7}, RESPONSE, &INSTRUMENT},
    {"OnRspSubForQuoteRsp", {9, 8}, RESPONSE, &INSTRUMENT},
    {"OnRspUnSubForQuoteRsp", {10, 9}, RESPONSE, &INSTRUMENT},
    {"OnRtnDepthMarketData", {11, 10}, PUSH, &DEPTH},
    {"OnRtnForQuoteRsp", {12, 11}, PUSH, &QUOTE},
    {NULL, {-1, -1}, PLAIN, NULL},
};
