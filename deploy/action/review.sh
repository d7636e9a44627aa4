#!/usr/bin/env bash
# The step of the action that reviews: builds Witan, reviews the pull request, keeps the SARIF file, and writes the step's
# summary. It ends with 0 whatever the review's exit code is, which is an output; the last step ends with that.
set -euo pipefail

folder="${RUNNER_TEMP:?}/witan"
mkdir -p "$folder"
program="${WITAN_PROGRAM:-}"
if [ -z "$program" ]; then
  program="$folder/witan"
  # What is compiled must not depend on the folder, which bears the name of the ref: the workflow keeps it for later runs.
  (
    export GOCACHE="$folder/go/build" GOMODCACHE="$folder/go/mod"
    cd "${GITHUB_ACTION_PATH:?}/../.." && go build -buildvcs=false -trimpath -o "$program" ./cmd/witan
  )
fi

# Inputs become the program's own variables here; all others that begin with WITAN_ would be taken for misspelled keys.
pull="$WITAN_PULL_REQUEST" fail_on="$WITAN_FAIL_ON" publish="$WITAN_PUBLISH" config="$WITAN_ACTION_CONFIG"
council="$WITAN_ACTION_COUNCIL" reports="$WITAN_ACTION_REPORTS" token="$WITAN_ACTION_TOKEN" user="$WITAN_ACTION_USER" server="$WITAN_SERVER_URL"
unset WITAN_PULL_REQUEST WITAN_FAIL_ON WITAN_PUBLISH WITAN_ACTION_CONFIG WITAN_ACTION_COUNCIL WITAN_ACTION_REPORTS WITAN_ACTION_TOKEN WITAN_ACTION_USER WITAN_SERVER_URL WITAN_PROGRAM
export WITAN_GITHUB_TOKEN="$token" WITAN_GITHUB_USER="$user"
export WITAN_REVIEWS_PATIENCE="${WITAN_REVIEWS_PATIENCE:-10m}" # for a GitHub that does not answer: the runner is paid for meanwhile
if [ "$server" != "https://github.com" ]; then export WITAN_GITHUB_BASE_URL="$server"; fi
if [ -n "$config" ]; then export WITAN_CONFIG="$config"; fi

arguments=(review --pr "$pull" --fail-on "$fail_on" --data "$folder/data")
if [ "$publish" = true ]; then arguments+=(--publish); fi
if [ -n "$council" ]; then arguments+=("--council=$council"); fi
while IFS=$' \t' read -r report; do # blanks are taken off both ends
  if [ -n "$report" ]; then arguments+=("--report=$report"); fi
done <<<"${reports//$'\r'/}"

summary="${GITHUB_STEP_SUMMARY:-/dev/null}" log="$folder/log"
code=0
{ "$program" "${arguments[@]}" --format sarif 2>&1 >"$folder/witan.sarif" | tee "$log" >&2; } || code=$?
case $code in
  0 | 1 | 5) # reviewed: nothing to fail for, findings, in part or declined
    job="$(grep -om1 'jobs/[a-z0-9]*' "$log")"
    "$program" attach "$job" --data "$folder/data" --format markdown >>"$summary" 2>"$folder/log.attach" || true
    # What the program says last of all is where the comments stand, or why there are none.
    sed -n 's/^shown at /\nShown at /p; s/^shown in /\nShown in /p; s/^not shown: /\nNot shown: /p; s/^witan: not reviewed: /\nNot reviewed: /p' "$log" >>"$summary"
    echo "sarif=$folder/witan.sarif" >>"${GITHUB_OUTPUT:?}"
    ;;
  *) # why stands indented, as text: it may hold what others wrote
    {
      printf 'The review did not finish: witan exited %s.\n\n' "$code"
      sed -n '/^witan: /,$s/^/    /p' "$log"
    } >>"$summary"
    ;;
esac
echo "exit-code=$code" >>"${GITHUB_OUTPUT:?}"
