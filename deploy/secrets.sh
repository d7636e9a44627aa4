#!/usr/bin/env bash
# Makes the secrets of the compose file where they are missing: the database's password and URL, the token with which the
# processes call each other, the secret of webhooks (deploy/secrets/webhook), and one token for a first user, which is
# printed once.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
if [ ! -e secrets/database_password ]; then
  random > secrets/database_password
  printf 'postgres://witan:%s@postgres:5432/witan?sslmode=disable\n' "$(cat secrets/database_password)" > secrets/database
fi
[ -e secrets/webhook ] || random > secrets/webhook
[ -e secrets/service_token ] || random > secrets/service_token
if [ ! -e secrets/tokens ]; then
  token="witan_$(random)"
  printf '%s %s\n' "${1:-admin}" "$(printf %s "$token" | sha256sum | cut -d' ' -f1)" > secrets/tokens
  printf 'token of %s, shown this once: %s\n' "${1:-admin}" "$token"
fi
# Containers run as another user than the one who made these files.
chmod 644 secrets/*
