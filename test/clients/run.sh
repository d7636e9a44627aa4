#!/usr/bin/env bash
# Clients that others wrote, against running servers: Python gRPC with stubs generated from our protos, SSE clients of
# Python and npm, and Chromium with the page at /. Beside them Qdrant's own engine: it must rank what we wrote as what stands
# in for it does. Last, the simulated GitHub against GitHub's own schemas.
set -euo pipefail
cd "$(dirname "$0")/../.."

# need makes sure that one of some programs is there, as root on Debian by installing its package.
need() {
  local package="$1" program; shift
  for program in "$@"; do
    if command -v "$program" >/dev/null; then return; fi
  done
  if [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then
    echo "test-clients installs $package" >&2
    DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package" >/dev/null
    for program in "$@"; do
      if command -v "$program" >/dev/null; then return; fi
    done
  fi
  echo "test-clients needs $1; install it (Debian: apt-get install $package) and run make test-clients again" >&2
  exit 1
}
need python3 python3
need nodejs node
need npm npm
need chromium chromium chromium-browser google-chrome
node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' ||
  { echo "test-clients needs Node.js 20 or later, this is $(node --version)" >&2; exit 1; }

cache="$PWD/.cache/clients"
mkdir -p "$cache"
if ! cmp -s test/clients/requirements.txt "$cache/requirements.txt"; then
  python3 -m venv "$cache/venv" || { echo "test-clients needs Python's venv module (Debian: apt-get install python3-venv)" >&2; exit 1; }
  "$cache/venv/bin/pip" install --quiet --disable-pip-version-check -r test/clients/requirements.txt
  cp test/clients/requirements.txt "$cache/requirements.txt"
fi
rm -rf "$cache/stubs" && mkdir -p "$cache/stubs"
{ (cd proto && find witan -name '*.proto'); (cd proto/third_party && find buf protoc-gen-openapiv2 -name '*.proto'); } | LC_ALL=C sort |
  xargs "$cache/venv/bin/python" -m grpc_tools.protoc -Iproto/third_party -Iproto \
    --python_out="$cache/stubs" --grpc_python_out="$cache/stubs"
if [ "${ONLY:-}" != cuts ]; then
  PYTHONPATH="$cache/stubs" "$cache/venv/bin/python" test/clients/client_test.py bin/witan
  go build -o "$cache/testqdrant" ./tools/testqdrant
  "$cache/venv/bin/python" test/clients/ranking_test.py bin/witan "$cache/testqdrant"
fi

# packages installs what a folder's lock file names into a folder of the cache, without running any package's scripts.
packages() {
  mkdir -p "$2"
  if cmp -s "$1/package-lock.json" "$2/installed.json"; then return; fi
  cp "$1/package.json" "$1/package-lock.json" "$2/"
  npm ci --prefix "$2" --ignore-scripts --no-audit --no-fund --silent
  cp "$2/package-lock.json" "$2/installed.json"
}
node="$cache/node"
packages test/clients/browser "$node"
cp test/clients/browser/*.mjs "$node/" # beside node_modules, where imports are looked for
cp web/files/sse.js "$node/sse.mjs"
chromium="$(command -v chromium || command -v chromium-browser || command -v google-chrome)"
export WITAN="$PWD/bin/witan" CHROMIUM="$chromium"
# What a short run takes as a sample is what `make cuts` does at length.
cuts() {
  PYTHON="$cache/venv/bin/python" PYTHONPATH="$cache/stubs" CUTS_CLIENT="$PWD/test/clients/cuts_client.py" node "$node/cuts.mjs"
}
if [ "${ONLY:-}" = cuts ]; then cuts; exit; fi
go build -o "$cache/fakegithub" ./tools/fakegithub
export FAKEGITHUB="$cache/fakegithub"
node --test --test-reporter=spec "$node/sse.test.mjs" "$node/page.test.mjs"
cuts

packages test/clients/github "$cache/github"
cp test/clients/github/schema.test.mjs "$cache/github/"
rm -rf "$cache/requests" && mkdir -p "$cache/requests"
WITAN_TEST_GITHUB_REQUESTS="$cache/requests" go test -count=1 ./services/review/github >/dev/null
REQUESTS="$cache/requests" node --test --test-reporter=spec "$cache/github/schema.test.mjs"
