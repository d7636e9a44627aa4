#!/usr/bin/env bash
# Clients that others wrote, against a running server: Python gRPC with stubs generated from our protos, and an SSE client.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v python3 >/dev/null || { echo "test-clients needs python3" >&2; exit 1; }
cache="$PWD/.cache/clients"
mkdir -p "$cache"
if ! cmp -s test/clients/requirements.txt "$cache/requirements.txt"; then
  python3 -m venv "$cache/venv" || { echo "test-clients needs Python's venv module (Debian: python3-venv)" >&2; exit 1; }
  "$cache/venv/bin/pip" install --quiet --disable-pip-version-check -r test/clients/requirements.txt
  cp test/clients/requirements.txt "$cache/requirements.txt"
fi
rm -rf "$cache/stubs" && mkdir -p "$cache/stubs"
{ (cd proto && find witan -name '*.proto'); (cd proto/third_party && find buf protoc-gen-openapiv2 -name '*.proto'); } | LC_ALL=C sort |
  xargs "$cache/venv/bin/python" -m grpc_tools.protoc -Iproto/third_party -Iproto \
    --python_out="$cache/stubs" --grpc_python_out="$cache/stubs"
PYTHONPATH="$cache/stubs" "$cache/venv/bin/python" test/clients/client_test.py bin/witan
