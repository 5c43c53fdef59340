#!/bin/sh
# What a container runs (Dockerfile): `subactors`, after its control group has been made ready, if it is to use one.
#
# A group whose processes are to be limited in groups below it may have none of its own. So all that runs here goes to
# a group beside those of the tasks. Nothing of it happens unless SUBACTORS_CGROUP is set.
set -eu

group=${SUBACTORS_CGROUP:-}
if [ -n "$group" ]; then
    if mkdir -p "$group/host" 2>/dev/null && [ -w "$group/host/cgroup.procs" ]; then
        while read -r process; do
            echo "$process" >"$group/host/cgroup.procs" || true # it may have ended meanwhile
        done <"$group/cgroup.procs"
    else
        echo "SUBACTORS_CGROUP is $group, which cannot be written to here: limits are held without it." >&2
        unset SUBACTORS_CGROUP
    fi
fi
exec subactors "$@"
