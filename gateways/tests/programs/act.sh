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
escape)
    # Out of its group, with all that it inherited.
    setsid sleep "$MARK" &
    echo "info escaped" >&2
    wait
    ;;
orphan)
    # Out of its group, without a parent, and without a descriptor: only its environment tells.
    setsid sh -c 'sleep "$MARK" 0<&- 1>&- 2>&- 3>&- 4>&- &'
    exec sleep 600
    ;;
stranger)
    # As above, and with another environment. Its parent lives for a while.
    setsid env -i sh -c "sleep $MARK 0<&- 1>&- 2>&- 3>&- 4>&- & sleep 7.5" 0<&- 1>&- 2>&- 3>&- 4>&- &
    exec sleep 600
    ;;
heir)
    # The one that leaves gives its lock to one that nobody else knows of.
    env -i setsid sleep "$MARK" 0<&- 1>&- 2>&- 3>&- &
    exit 7
    ;;
bomb)
    # Two hundred processes in a hundred groups, which go on making others for a while.
    i=0
    while [ $i -lt 100 ]; do
        setsid sh -c 'n=0; while [ $n -lt 50 ]; do sleep "0.6$MARK"; n=$((n + 1)); done' &
        i=$((i + 1))
    done
    echo "info a hundred" >&2
    wait
    ;;
comet)
    # Always another process in another group, never one for long; a few thousand of them.
    LEFT=$((${LEFT:-3000} - 1)) && export LEFT
    [ $LEFT -gt 0 ] && setsid "$0" &
    exit 7
    ;;
prove)
    # As long as anything of this process lives, it has a lock of its own: a second process for the account finds it
    # taken. Its child leaves the group, and both are deaf.
    trap '' TERM
    # A process that ends closes its descriptors in their order: the proof, which stands where reports would, before the
    # account's lock.
    exec 3>>"$PROOF/$4.proof"
    if flock -n 3; then echo "$5 $6" >>"$PROOF/started"; else echo "$4 $6" >>"$PROOF/doubled"; fi
    setsid sleep "$MARK" &
    exec sleep "$MARK"
    ;;
flood)
    seq -f 'info %.0f' 30000 >&2
    head -c 30000000 /dev/zero | tr '\0' x >&2
    printf '\n\033[31mred\007\n' >&2
    exec sleep 600
    ;;
tickless)
    exec sleep 600 1>&-
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
