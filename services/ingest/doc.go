// Package ingest takes webhooks, keeps them, and hands each of them over to the review service once. An Acceptor verifies
// and stores what comes in; Route says what a stored delivery means; package worker hands over. Its subfolders hold the
// adapters: the buffer between the two (Redis, or the table of deliveries), the table itself, and the review service.
package ingest
