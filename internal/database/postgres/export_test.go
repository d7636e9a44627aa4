package postgres_test

import "time"

const (
	patience = 30 * time.Second
	tick     = 20 * time.Millisecond
)
