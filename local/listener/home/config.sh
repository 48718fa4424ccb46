#!/bin/sh
# Stands where the runner's own config.sh does: registers this directory as a runner.
cd "$(dirname "$0")" || exit 1
exec ./bin/Runner.Listener configure "$@"
