package redis

import (
	"context"
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"witan.dev/internal/secret"
)

// Ping says whether a Redis answers at a URL, without showing the URL.
func Ping(ctx context.Context, url secret.Text) error {
	options, err := goredis.ParseURL(url.Reveal())
	if err != nil {
		return errors.New("the URL of Redis cannot be read")
	}
	client := goredis.NewClient(options)
	defer func() { _ = client.Close() }()
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redis does not answer: %w", err)
	}
	return nil
}
