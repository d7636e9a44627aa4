package redis

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// settingsTimeout bounds the look at the settings: a service starts without it too.
const settingsTimeout = 3 * time.Second

// Durability is what a Redis does with what it was given.
type Durability struct {
	// AppendOnly is the setting appendonly, Fsync appendfsync, Eviction maxmemory-policy; MaxMemory is 0 for no bound.
	AppendOnly      bool
	Fsync, Eviction string
	MaxMemory       string
}

// Durability asks Redis for its settings. Some servers do not let clients ask.
func (b *Buffer) Durability(ctx context.Context) (Durability, error) {
	settings := map[string]string{}
	for _, name := range []string{"appendonly", "appendfsync", "maxmemory-policy", "maxmemory"} {
		found, err := b.takes.ConfigGet(ctx, name).Result()
		if err != nil {
			return Durability{}, fmt.Errorf("ask Redis for its settings: %w", err)
		}
		settings[name] = found[name]
	}
	return Durability{
		AppendOnly: settings["appendonly"] == "yes", Fsync: settings["appendfsync"], Eviction: settings["maxmemory-policy"],
		MaxMemory: settings["maxmemory"],
	}, nil
}

// Gaps says, one sentence each, what a sender that was told "accepted" cannot rely on.
func (d Durability) Gaps() []string {
	var gaps []string
	switch {
	case !d.AppendOnly:
		gaps = append(gaps, "appendonly is off: deliveries are lost when Redis ends; set appendonly yes")
	case d.Fsync == "no":
		gaps = append(gaps, "appendfsync is no: deliveries of many seconds may be lost when the machine ends; set everysec, or always")
	case d.Fsync == "everysec":
		gaps = append(gaps, "appendfsync is everysec: about the last second may be lost when the machine ends; set always for that")
	}
	if d.Eviction != "noeviction" && d.MaxMemory != "0" && d.MaxMemory != "" {
		gaps = append(gaps, fmt.Sprintf("maxmemory-policy is %s: a full Redis may drop deliveries; set noeviction", strings.TrimSpace(d.Eviction)))
	}
	return gaps
}

// Gaps is Durability in sentences.
func (b *Buffer) Gaps(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, settingsTimeout)
	defer cancel()
	d, err := b.Durability(ctx)
	if err != nil {
		return nil, err
	}
	gaps := d.Gaps()
	if err := b.puts.Info(ctx, "persistence").Err(); err != nil && d.AppendOnly {
		gaps = append(gaps, "the user at hand may not ask INFO: what a slow disk holds up may be lost when Redis is killed; give it +info")
	}
	return gaps, nil
}
