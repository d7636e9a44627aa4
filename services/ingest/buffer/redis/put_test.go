package redis_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/secret"
	"witan.dev/internal/testserver"
	"witan.dev/services/ingest"
	"witan.dev/services/ingest/buffer/redis"
)

// scripted is a Redis that takes deliveries and says of its log what it is told to.
type scripted struct {
	listener net.Listener
	work     sync.WaitGroup
	// log answers the nth question after it, from 0: the process, and sizes; an error is what Redis answers instead.
	log   func(n int64) (run string, base, written, held int, err error)
	asked atomic.Int64
	added atomic.Int64
}

func startScripted(t *testing.T, log func(n int64) (run string, base, written, held int, err error)) *scripted {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &scripted{listener: l, log: log}
	s.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.work.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); s.work.Wait() })
	return s
}

func (s *scripted) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	for {
		command, err := readCommand(in)
		if err != nil {
			return
		}
		answer := "+OK\r\n"
		switch strings.ToUpper(command[0]) {
		case "HELLO":
			answer = "-ERR unknown command\r\n"
		case "XADD":
			s.added.Add(1)
			answer = "$3\r\n1-1\r\n"
		case "INFO":
			answer = s.info(command[1])
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

// info answers both halves of one question alike: the server's comes first.
func (s *scripted) info(section string) string {
	n := s.asked.Load()
	if section == "persistence" {
		s.asked.Add(1)
	}
	run, base, written, held, err := s.log(n)
	if err != nil {
		return "-" + err.Error() + "\r\n"
	}
	text := fmt.Sprintf("# Persistence\r\naof_enabled:1\r\naof_current_size:%d\r\naof_base_size:%d\r\naof_buffer_length:%d\r\n", written, base, held)
	if section == "server" {
		text = "# Server\r\nrun_id:" + run + "\r\n"
	}
	return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text)
}

// readCommand reads an array of strings.
func readCommand(in *bufio.Reader) (words []string, err error) {
	n, err := readSize(in, '*')
	for range n {
		size, err := readSize(in, '$')
		if err != nil {
			return nil, err
		}
		word := make([]byte, size+2)
		if _, err := io.ReadFull(in, word); err != nil {
			return nil, err
		}
		words = append(words, string(word[:size]))
	}
	if err == nil && len(words) == 0 {
		err = errors.New("an empty command")
	}
	return words, err
}

func readSize(in *bufio.Reader, kind byte) (int, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != kind {
		return 0, fmt.Errorf("%q instead of %c", line, kind)
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}

func delivery(id string) ingest.Entry {
	return ingest.Entry{Delivery: ingest.Delivery{ID: id, Event: "push", ReceivedAt: time.Unix(1, 0)}, Body: []byte("{}")}
}

// TestP01_NothingIsAcceptedThatRedisHoldsBack scripts what Redis says of its log after it has answered XADD.
func TestP01_NothingIsAcceptedThatRedisHoldsBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		log   func(n int64) (run string, base, written, held int, err error)
		asked int64
		fails bool
	}{
		"written at once": {func(n int64) (string, int, int, int, error) { return "a", 5, 100 + 40*int(min(n, 1)), 40, nil }, 2, false},
		"held back while the disk is slow": {func(n int64) (string, int, int, int, error) {
			if n < 5 {
				return "a", 5, 100, 40, nil
			}
			return "a", 5, 140, 0, nil
		}, 6, false},
		"held back for too long": {func(int64) (string, int, int, int, error) { return "a", 5, 100, 40, nil }, 0, true},
		"another process": {func(n int64) (string, int, int, int, error) {
			return []string{"a", "b"}[min(n, 1)], 5, 140, 0, nil
		}, 2, true},
		"a rewritten log": {func(n int64) (string, int, int, int, error) {
			switch n {
			case 0:
				return "a", 90, 100, 40, nil
			case 1, 2:
				return "a", 20, 30, 45, nil
			default:
				return "a", 20, 75, 0, nil
			}
		}, 4, false},
		"nobody may ask": {func(int64) (string, int, int, int, error) {
			return "", 0, 0, 0, errors.New("NOPERM this user has no permissions to run the 'info' command")
		}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startScripted(t, c.log)
			b := open(t, redis.Config{URL: secret.New("redis://" + s.listener.Addr().String())})
			limit := 20 * time.Second
			if c.asked == 0 {
				limit = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			err := b.Put(ctx, delivery("a"))
			require.Equal(t, c.fails, err != nil, "%v", err)
			require.Positive(t, s.added.Load())
			if c.asked > 0 {
				require.Equal(t, c.asked, s.asked.Load(), "how often it was asked")
			}
		})
	}
}

// TestDeliveriesOfOneMomentShareTheirRoundTrips holds each to its own answer all the same.
func TestDeliveriesOfOneMomentShareTheirRoundTrips(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t, "--appendonly", "yes")
	b := open(t, redis.Config{URL: secret.New(server.URL), Wait: 20 * time.Millisecond})
	gone, leave := context.WithCancel(t.Context())
	leave()
	var work sync.WaitGroup
	errs := make([]error, 300)
	for i := range errs {
		work.Go(func() {
			ctx := t.Context()
			if i%10 == 0 {
				ctx = gone
			}
			errs[i] = b.Put(ctx, delivery(fmt.Sprint("d", i)))
		})
	}
	work.Wait()
	seen := map[string]bool{}
	for {
		entries, err := b.Take(t.Context(), 100)
		require.NoError(t, err)
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			require.False(t, seen[e.ID], e.ID)
			seen[e.ID] = true
		}
	}
	for i, err := range errs {
		if i%10 == 0 {
			require.ErrorIs(t, err, context.Canceled)
			continue
		}
		require.NoError(t, err)
		require.True(t, seen[fmt.Sprint("d", i)], i)
	}
}
