// Package ingest takes webhooks, keeps them, and hands them to whoever handles them. It has no domain yet; package server
// answers its RPCs.
package ingest
