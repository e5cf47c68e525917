#!/bin/sh
# A gateway process that behaves as ACT says, for the tests of the gateway manager.
case $ACT in
obey) exec sleep 600 ;;
stubborn)
    trap '' TERM
    echo "info deaf" >&2
    while :; do sleep 600; done
    ;;
family)
    sleep 600 &
    (sleep 600 & sleep 600) &
    echo "info family" >&2
    wait
    ;;
widow)
    sleep 600 &
    echo "error last words" >&2
    exit 7
    ;;
talk)
    i=0
    while [ $i -lt 60 ]; do
        echo "info line $i" >&2
        i=$((i + 1))
    done
    exit 9
    ;;
noise)
    head -c 200000 /dev/urandom >&3
    exec sleep 600
    ;;
*)
    echo "error ACT is '$ACT'" >&2
    exit 64
    ;;
esac
