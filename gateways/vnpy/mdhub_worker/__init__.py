"""mdhub's gateway worker in Python: it runs a gateway class of vnpy, and hands its ticks to the hub.

| module | holds |
|---|---|
| `main` | what is done in which order, from the descriptors to the last word |
| `main_loop` | the main thread: news in, decisions made, reports out |
| `sources` | what every gateway class is to the main loop; `vendor` (CTP, SOPT) and `converted` (any other) are one each |
| `session` | which subscriptions are asked, answered, due: a pure state |
| `watchdog` | when to give up: a pure state |
| `pace` | when a login may be sent: a pure state |
| `record` | a vendor's record, or vnpy's TickData, as the bytes that the hub reads |
| `frames` | the protocol between hub and worker |
| `ticks` | the bounded queue between the vendor's thread and the tick pipe |
| `reports`, `commands`, `log`, `words` | reports out, commands in, text, all fit to be read |
| `fronts` | which of an account's fronts is used |
| `process` | descriptors, the tie to the parent, TERM |

The native worker (gateways/src/worker) does the same around the vendor's library itself; both obey the same protocol, the same
limits, and leave with the same exit codes.
"""
