package webhook_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/apierr"
	"witan.dev/internal/apierr/rpcstatus"
	"witan.dev/internal/webhook"
)

// serve serves a handler on a real listener.
func serve(t *testing.T, accept func(ctx context.Context, header http.Header, body []byte) (string, error)) string {
	t.Helper()
	return serveWith(t, webhook.Params{Accept: accept})
}

func serveWith(t *testing.T, p webhook.Params) string {
	t.Helper()
	p.Logger = slog.New(slog.DiscardHandler)
	h := webhook.NewHandler(p)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func post(t *testing.T, url, contentType string, body io.Reader) (code int, header http.Header, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	require.NoError(t, err)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-Github-Event", "push")
	req.Header.Set("X-Hub-Signature-256", "sha256=0")
	req.Header.Set("X-Secret", "nobody's business")
	answer, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, answer.Header, string(raw)
}

// sized is a body without a Content-Length.
type sized struct{ io.Reader }

func TestAcceptedIs202(t *testing.T) {
	t.Parallel()
	url := serve(t, func(_ context.Context, header http.Header, body []byte) (string, error) {
		require.Equal(t, http.Header{"Content-Type": {"application/json; charset=utf-8"}, "X-Github-Event": {"push"}, "X-Hub-Signature-256": {"sha256=0"}}, header)
		return string(body), nil
	})
	code, _, text := post(t, url, "application/json; charset=utf-8", strings.NewReader("the body"))
	require.Equal(t, http.StatusAccepted, code)
	require.JSONEq(t, `{"delivery":"the body"}`, text)
	_, _, text = post(t, url, "application/json; charset=utf-8", sized{strings.NewReader("chunked")})
	require.JSONEq(t, `{"delivery":"chunked"}`, text)
}

func TestSizesWithAndWithoutContentLength(t *testing.T) {
	t.Parallel()
	var got int
	url := serve(t, func(_ context.Context, _ http.Header, body []byte) (string, error) {
		got = len(body)
		return "x", nil
	})
	for _, n := range []int{0, 1, 1 << 20, 1<<20 + 1, webhook.MaxBody - 1, webhook.MaxBody} {
		body := bytes.Repeat([]byte("x"), n)
		for _, r := range []io.Reader{bytes.NewReader(body), sized{bytes.NewReader(body)}} {
			code, _, text := post(t, url, "application/json", r)
			require.Equal(t, http.StatusAccepted, code, text)
			require.Equal(t, n, got)
		}
	}
	got = -1
	for _, n := range []int{webhook.MaxBody + 1, webhook.MaxBody + 100<<10} { // of more the server cuts the rest off, and its answer may be lost with it
		code, _, text := post(t, url, "application/json", sized{bytes.NewReader(make([]byte, n))})
		require.Equal(t, http.StatusRequestEntityTooLarge, code)
		require.Contains(t, text, "BODY_TOO_LARGE")
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
	req.ContentLength = webhook.MaxBody + 1
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	webhook.NewHandler(webhook.Params{Logger: slog.New(slog.DiscardHandler)}).ServeHTTP(w, req)
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code, "what announces itself as too large is not read")
	require.Equal(t, -1, got)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	url := serve(t, func(context.Context, http.Header, []byte) (string, error) {
		return "", apierr.Unavailable(apierr.ReasonStoreUnavailable, "not stored")
	})
	code, header, text := post(t, url, "application/json", strings.NewReader("{}"))
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "1", header.Get("Retry-After"))
	require.Contains(t, text, "STORE_UNAVAILABLE")
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"} {
		code, _, text = post(t, url, contentType, strings.NewReader("{}"))
		require.Equal(t, http.StatusUnsupportedMediaType, code)
		require.Contains(t, text, "application/json")
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodHead} {
		req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusMethodNotAllowed, answer.StatusCode)
		require.Equal(t, http.MethodPost, answer.Header.Get("Allow"))
	}
}

func TestLargeBodiesTakeTurns(t *testing.T) {
	t.Parallel()
	inside, goOn := make(chan struct{}, 20), make(chan struct{})
	url := serveWith(t, webhook.Params{Room: 16 << 20, Accept: func(_ context.Context, _ http.Header, body []byte) (string, error) {
		if len(body) > 1<<20 {
			inside <- struct{}{}
			<-goOn
		}
		return "x", nil
	}})
	var work sync.WaitGroup
	codes := make(chan int, 20)
	for range 8 {
		work.Go(func() {
			code, _, _ := post(t, url, "application/json", bytes.NewReader(make([]byte, 2<<20)))
			codes <- code
		})
		<-inside
	}
	code, _, _ := post(t, url, "application/json", bytes.NewReader(make([]byte, 30<<10)))
	require.Equal(t, http.StatusAccepted, code, "small ones do not wait for them")
	code, _, _ = post(t, url, "application/json", bytes.NewReader(make([]byte, 2<<20)))
	require.Equal(t, http.StatusServiceUnavailable, code, "there was no room for the ninth within its time")
	require.Empty(t, inside)
	close(goOn)
	work.Wait()
	close(codes)
	for code := range codes {
		require.Equal(t, http.StatusAccepted, code)
	}
}

// stalled is a body of which all but its end arrives. It counts what is read of all such bodies.
type stalled struct {
	left  int
	read  *atomic.Int64
	leave <-chan struct{}
}

func (s *stalled) Read(p []byte) (int, error) {
	if s.left == 0 {
		<-s.leave
		return 0, io.ErrUnexpectedEOF
	}
	n := min(len(p), s.left)
	s.left -= n
	s.read.Add(int64(n))
	return n, nil
}

// TestBodiesThatStandStillHoldNoMoreThanTheRoom counts what is read of many that nearly arrive, and of ones that nobody has
// said the length of.
func TestBodiesThatStandStillHoldNoMoreThanTheRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const senders, room = 300, 4 << 20
		h := webhook.NewHandler(webhook.Params{Room: room, Logger: slog.New(slog.DiscardHandler)})
		var read atomic.Int64
		leave := make(chan struct{})
		var work sync.WaitGroup
		for n := range senders {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, webhook.Path, &stalled{1<<20 - 6, &read, leave})
			if r.ContentLength = 1 << 20; n%2 == 0 {
				r.ContentLength = -1
			}
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-Hub-Signature-256", "sha256=0")
			work.Go(func() { h.ServeHTTP(httptest.NewRecorder(), r) })
		}
		synctest.Wait()
		require.LessOrEqual(t, read.Load(), int64(senders*32<<10+room))
		close(leave)
		work.Wait()
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, webhook.Path, io.MultiReader(bytes.NewReader(make([]byte, room)), iotest.ErrReader(io.ErrUnexpectedEOF)))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Hub-Signature-256", "sha256=0")
		h.ServeHTTP(w, r)
		require.Equal(t, http.StatusBadRequest, w.Code, "all room is free again, and what was cut off is no whole body")
	})
}

// TestRefusalsAreToldOnceAMinute: a wrong secret is the operator's to notice, and a stranger's requests are no flood of lines.
func TestRefusalsAreToldOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		h := webhook.NewHandler(webhook.Params{Logger: slog.New(slog.NewTextHandler(&lines, nil)), Accept: func(context.Context, http.Header, []byte) (string, error) {
			return "", rpcstatus.From(apierr.Unauthenticated(apierr.ReasonSignatureInvalid, "the signature is wrong")).Err() // as a gateway gets it
		}})
		send := func(n int) {
			for range n {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, webhook.Path, strings.NewReader("{}"))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("X-Hub-Signature-256", "sha256=0")
				r.Header.Set("X-GitHub-Event", "push")
				r.Header.Set("X-GitHub-Delivery", "an-id")
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
		}
		send(3)
		require.Equal(t, 1, strings.Count(lines.String(), "\n"), lines.String())
		require.Contains(t, lines.String(), "level=WARN")
		require.Contains(t, lines.String(), `reason=SIGNATURE_INVALID newest="the signature is wrong" delivery=an-id event=push`)
		<-time.After(time.Minute)
		send(2)
		require.Equal(t, 2, strings.Count(lines.String(), "\n"), lines.String())
		require.Contains(t, lines.String(), "since_last_told=3")
	})
}

func TestALostWebhookIsNamedInTheLog(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	h := webhook.NewHandler(webhook.Params{Logger: slog.New(slog.NewTextHandler(&lines, nil)), Accept: func(context.Context, http.Header, []byte) (string, error) {
		return "", apierr.Unavailable(apierr.ReasonUnavailable, "not stored in time")
	}})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, webhook.Path, strings.NewReader("{}"))
	for name, value := range map[string]string{"Content-Type": "application/json", "X-Hub-Signature-256": "sha256=0", "X-GitHub-Event": "push", "X-GitHub-Delivery": "an-id\nlevel=ERROR" + strings.Repeat("x", 5000)} {
		r.Header.Set(name, value)
	}
	h.ServeHTTP(httptest.NewRecorder(), r)
	require.Contains(t, lines.String(), `delivery="an-id\nlevel=ERROR`)
	require.Contains(t, lines.String(), "event=push")
	require.Less(t, lines.Len(), 1000)
}

// TestWhatIsOnlyAnnouncedTakesNoRoom: neither memory nor the room of large bodies goes to senders that send nothing.
func TestWhatIsOnlyAnnouncedTakesNoRoom(t *testing.T) {
	t.Parallel()
	url := serveWith(t, webhook.Params{Room: 16 << 20, Accept: func(context.Context, http.Header, []byte) (string, error) { return "x", nil }})
	for range 12 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Hub-Signature-256: sha256=0\r\nContent-Length: %d\r\n\r\n", webhook.Path, webhook.MaxBody)
		require.NoError(t, err)
		_, err = conn.Write(make([]byte, 1<<20+4))
		require.NoError(t, err)
	}
	code, _, text := post(t, url, "application/json", bytes.NewReader(make([]byte, 2<<20)))
	require.Equal(t, http.StatusAccepted, code, text)
}

func TestNothingIsReadOfWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	h := webhook.NewHandler(webhook.Params{Logger: slog.New(slog.DiscardHandler)})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, webhook.Path, unread{t})
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Contains(t, w.Body.String(), "SIGNATURE_MISSING")
}

// unread is a body that nobody may read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// TestABodyHasTheMemoryThatItNeeds counts what is allocated for one that is announced as large and never comes.
func TestABodyHasTheMemoryThatItNeeds(t *testing.T) { //nolint:paralleltest // it counts what the process allocates
	h := webhook.NewHandler(webhook.Params{Logger: slog.New(slog.DiscardHandler)})
	allocated := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.TotalAlloc
	}
	before := allocated()
	const requests = 100
	for range requests {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, webhook.Path, iotest.ErrReader(io.ErrUnexpectedEOF))
		r.ContentLength = 1 << 20
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Hub-Signature-256", "sha256=0")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	require.Less(t, (allocated()-before)/requests, uint64(64<<10))
}
