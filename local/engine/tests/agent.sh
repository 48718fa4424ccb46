#!/bin/sh
# Stand-in for the agent: runs what the container's environment says.
exec /bin/sh -c "${SCRIPT:-exit 0}"
