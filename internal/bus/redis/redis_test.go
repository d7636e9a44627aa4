package redis_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/bus"
	"witan.dev/internal/bus/bustest"
	"witan.dev/internal/bus/redis"
	"witan.dev/internal/secret"
	"witan.dev/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// process is one process's bus, ended with the test.
func process(t *testing.T, url, prefix string) *redis.Bus {
	t.Helper()
	b := prepared(t, url, prefix, slog.DiscardHandler)
	require.NoError(t, b.Start(t.Context()))
	return b
}

// connected is a process whose bus has reached Redis: until then a subscription is woken once more than it was told.
func connected(t *testing.T, url, prefix string) *redis.Bus {
	t.Helper()
	b := process(t, url, prefix)
	s := subscribe(t, b, "connected")
	other := client(t, url)
	awaken(t, s, func() { require.NoError(t, other.Publish(t.Context(), prefix+"connected", "other 1").Err()) })
	s.Close()
	return b
}

func client(t *testing.T, url string) *goredis.Client {
	t.Helper()
	options, err := goredis.ParseURL(url)
	require.NoError(t, err)
	c := goredis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func prepared(t *testing.T, url, prefix string, log slog.Handler) *redis.Bus {
	t.Helper()
	b, err := redis.New(redis.Config{URL: secret.New(url), Prefix: prefix}, slog.New(log))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, b.Stop(context.WithoutCancel(t.Context())))
		require.NoError(t, b.Stop(context.WithoutCancel(t.Context())))
	})
	return b
}

func subscribe(t *testing.T, b bus.Bus, topic string) bus.Subscription {
	t.Helper()
	s, err := b.Subscribe(t.Context(), topic)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// awaken waits for a wake-up, and publishes now and then until it comes.
func awaken(t *testing.T, s bus.Subscription, publish func()) {
	t.Helper()
	deadline := time.After(patience)
	for {
		publish()
		select {
		case <-s.Wake():
			return
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			require.FailNow(t, "nobody woke the subscriber")
		}
	}
}

func nothing() {}

func TestConformance(t *testing.T) {
	t.Parallel()
	url := testserver.Redis(t)
	bustest.Run(t, func(t *testing.T) bus.Bus { return connected(t, url, rand.Text()) })
}

// across is two processes: what one publishes, the other's subscribers hear.
type across struct{ publisher, listener bus.Bus }

func (a across) Publish(ctx context.Context, topic string, value int64) {
	a.publisher.Publish(ctx, topic, value)
}

func (a across) Subscribe(ctx context.Context, topic string) (bus.Subscription, error) {
	return a.listener.Subscribe(ctx, topic)
}

func TestConformanceBetweenProcesses(t *testing.T) {
	t.Parallel()
	url := testserver.Redis(t)
	bustest.Run(t, func(t *testing.T) bus.Bus {
		prefix := rand.Text()
		return across{connected(t, url, prefix), connected(t, url, prefix)}
	})
}

// TestAHintAfterSubscribeIsHeard holds a healthy bus to delivering the first hint, without repeating it.
func TestAHintAfterSubscribeIsHeard(t *testing.T) {
	t.Parallel()
	url, prefix := testserver.Redis(t), rand.Text()
	to, other := connected(t, url, prefix), client(t, url)
	for i := range 50 {
		topic := fmt.Sprint(i)
		s := subscribe(t, to, topic)
		require.NoError(t, other.Publish(t.Context(), prefix+topic, fmt.Sprint("other ", i+1)).Err())
		awaken(t, s, nothing)
		require.Equal(t, int64(i+1), s.Value())
	}
}

// recorder counts what Redis is told on channels with a prefix.
func recorder(t *testing.T, url, prefix string) *goredis.PubSub {
	t.Helper()
	listener := client(t, url).PSubscribe(t.Context(), prefix+"*")
	_, err := listener.Receive(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	return listener
}

func TestManyPublicationsAreFewMessages(t *testing.T) {
	t.Parallel()
	url, prefix := testserver.Redis(t), rand.Text()
	b, told := process(t, url, prefix), recorder(t, url, prefix)
	here := subscribe(t, b, "a")
	start := time.Now()
	for i := range int64(100_000) {
		b.Publish(t.Context(), "a", i)
	}
	took := time.Since(start)
	require.Equal(t, int64(99_999), here.Value(), "subscribers of the process do not wait for Redis")
	messages := 0
	for {
		m, err := told.ReceiveMessage(t.Context())
		require.NoError(t, err)
		messages++
		if bytes.HasSuffix([]byte(m.Payload), []byte(" 99999")) {
			break
		}
	}
	require.LessOrEqual(t, messages, int(took/(5*time.Millisecond))+2, "in %s", took)
}

func TestHintsFlowAgainWhenRedisIsBack(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	var said buffer
	from := prepared(t, server.URL, "", slog.NewTextHandler(&said, nil))
	require.NoError(t, from.Start(t.Context()))
	to := process(t, server.URL, "")
	s := subscribe(t, to, "a")
	awaken(t, s, func() { from.Publish(t.Context(), "a", 1) })

	for round := int64(2); round < 4; round++ {
		require.NoError(t, server.Kill())
		here := subscribe(t, from, "a")
		from.Publish(t.Context(), "a", 10*round) // lost to the other process
		awaken(t, here, nothing)
		require.Equal(t, 10*round, here.Value())
		later := subscribe(t, to, fmt.Sprint("new ", round))
		require.NoError(t, server.Start(t.Context()))
		drain(s)
		awaken(t, s, nothing) // once, because something may have been lost
		awaken(t, later, nothing)
		require.Zero(t, later.Value())
		awaken(t, s, func() { from.Publish(t.Context(), "a", 10*round+1) })
		require.Eventually(t, func() bool {
			from.Publish(t.Context(), "a", 10*round+1)
			return s.Value() == 10*round+1
		}, patience, 10*time.Millisecond)
	}
	require.Contains(t, said.String(), "level=WARN")
}

func drain(s bus.Subscription) {
	select {
	case <-s.Wake():
	default:
	}
}

// TestWithoutRedisOnlyOtherProcessesAreDeaf is about a Redis that never answers: nothing listens there, or something that
// takes connections and says nothing.
func TestWithoutRedisOnlyOtherProcessesAreDeaf(t *testing.T) {
	t.Parallel()
	var listen net.ListenConfig
	silent, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, silent.Close()) })
	closed, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	for name, address := range map[string]string{"nobody listens": closed.Addr().String(), "silence": silent.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := process(t, "redis://"+address, "")
			s := subscribe(t, b, "a")
			start := time.Now()
			for i := range int64(20_000) {
				b.Publish(t.Context(), fmt.Sprint("topic ", i), i) // more topics than are kept
			}
			require.Less(t, time.Since(start), patience, "one of them waited")
			b.Publish(t.Context(), "a", 7)
			awaken(t, s, nothing)
			require.Equal(t, int64(7), s.Value())
		})
	}
}

func TestAFrozenRedisBlocksNobody(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	from, to := process(t, server.URL, ""), process(t, server.URL, "")
	s := subscribe(t, to, "a")
	awaken(t, s, func() { from.Publish(t.Context(), "a", 1) })
	require.NoError(t, server.Signal(syscall.SIGSTOP))
	late := subscribe(t, to, "b")
	for i := range int64(1000) {
		from.Publish(t.Context(), "b", i)
	}
	require.NoError(t, server.Signal(syscall.SIGCONT))
	awaken(t, late, nothing) // Redis confirms late, so what was before may be lost
	require.Eventually(t, func() bool {
		from.Publish(t.Context(), "b", 2000)
		return late.Value() == 2000
	}, patience, 10*time.Millisecond)
}

func TestForeignMessagesAreLeftAlone(t *testing.T) {
	t.Parallel()
	url, prefix := testserver.Redis(t), rand.Text()
	b := connected(t, url, prefix)
	s := subscribe(t, b, "a")
	other := client(t, url)
	for _, payload := range []string{"", "x", "x y", "x 99999999999999999999", " ", "x 1 2"} {
		require.NoError(t, other.Publish(t.Context(), prefix+"a", payload).Err())
	}
	awaken(t, s, func() { require.NoError(t, other.Publish(t.Context(), prefix+"a", "x 5").Err()) })
	require.Equal(t, int64(5), s.Value())
}

func TestItStartsOnceAndStopsAnyTime(t *testing.T) {
	t.Parallel()
	b := prepared(t, testserver.Redis(t), rand.Text(), slog.DiscardHandler) // stopped twice, never started
	s := subscribe(t, b, "a")
	b.Publish(t.Context(), "a", 1)
	awaken(t, s, nothing)
	b = process(t, testserver.Redis(t), rand.Text())
	require.Error(t, b.Start(t.Context()))
	s = subscribe(t, b, "a")
	require.NoError(t, b.Stop(t.Context()))
	b.Publish(t.Context(), "a", 1)
	awaken(t, s, nothing)
	require.Error(t, b.Start(t.Context()))
}

func TestAURLThatCannotBeOneIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "redis", "http://ada:sesame@x", "redis://ada:sesame@%zz", "redis://ada:sesame@x/y"} {
		_, err := redis.New(redis.Config{URL: secret.New(url)}, slog.New(slog.DiscardHandler))
		require.Error(t, err, url)
		require.NotContains(t, err.Error(), "sesame")
	}
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
