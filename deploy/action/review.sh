#!/usr/bin/env bash
# The step of the action that reviews: builds Witan, reviews the pull request, keeps the SARIF file, and writes the step's
# summary. It ends with 0 whenever there is a result, whose exit code is an output; the last step ends with that.
set -euo pipefail

folder="${RUNNER_TEMP:?}/witan"
mkdir -p "$folder"
program="${WITAN_PROGRAM:-}"
if [ -z "$program" ]; then
  program="$folder/witan"
  (cd "${GITHUB_ACTION_PATH:?}/../.." && go build -buildvcs=false -o "$program" ./cmd/witan)
fi

# Inputs become the program's own variables here; all others that begin with WITAN_ would be taken for misspelled keys.
pull="$WITAN_PULL_REQUEST" fail_on="$WITAN_FAIL_ON" publish="$WITAN_PUBLISH" config="$WITAN_ACTION_CONFIG"
token="$WITAN_ACTION_TOKEN" user="$WITAN_ACTION_USER" server="$WITAN_SERVER_URL"
unset WITAN_PULL_REQUEST WITAN_FAIL_ON WITAN_PUBLISH WITAN_ACTION_CONFIG WITAN_ACTION_TOKEN WITAN_ACTION_USER WITAN_SERVER_URL WITAN_PROGRAM
export WITAN_GITHUB_TOKEN="$token" WITAN_GITHUB_USER="$user"
if [ "$server" != "https://github.com" ]; then export WITAN_GITHUB_BASE_URL="$server"; fi
if [ -n "$config" ]; then export WITAN_CONFIG="$config"; fi

arguments=(review --pr "$pull" --fail-on "$fail_on" --data "$folder/data")
if [ "$publish" = true ]; then arguments+=(--publish); fi

code=0
"$program" "${arguments[@]}" --format sarif >"$folder/witan.sarif" || code=$?
case $code in
  0 | 1 | 5) # reviewed: nothing to fail for, findings, in part
    job="$("$program" jobs list --kind review --data "$folder/data" | grep -om1 'jobs/[a-z0-9]*')"
    "$program" attach "$job" --data "$folder/data" --format markdown >>"${GITHUB_STEP_SUMMARY:-/dev/null}" || true
    echo "sarif=$folder/witan.sarif" >>"${GITHUB_OUTPUT:?}"
    ;;
  *)
    printf 'The review did not finish: witan exited %s.\n' "$code" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
    ;;
esac
echo "exit-code=$code" >>"${GITHUB_OUTPUT:?}"
