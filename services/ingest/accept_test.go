package ingest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/services/ingest"
)

// memory is a buffer that remembers what it was given.
type memory struct {
	mu      sync.Mutex
	entries []ingest.Entry
	fail    error
	stall   bool
	limit   time.Duration
}

func (m *memory) Put(ctx context.Context, e ingest.Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if deadline, ok := ctx.Deadline(); ok {
		m.limit = time.Until(deadline)
	}
	if m.stall {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if m.fail == nil {
		m.entries = append(m.entries, e)
	}
	return m.fail
}

// request is a right one, to be spoiled.
func request(body []byte) map[string]string {
	return map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": "pull_request", "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
		"X-Hub-Signature-256": sign(testSecret, body),
	}
}

func accept(t testing.TB, b ingest.Buffer, header map[string]string, body []byte) (ingest.Delivery, error) {
	t.Helper()
	a := ingest.NewAcceptor(ingest.AcceptorParams{Secrets: openSecrets(t, testSecret), Buffer: b, Now: func() time.Time { return time.Unix(1000, 1500) }})
	return a.Accept(t.Context(), ingest.Request{Header: func(name string) string { return header[name] }, Body: body})
}

func TestAcceptedIsStored(t *testing.T) {
	t.Parallel()
	body := []byte(`{"action": "opened", "number": 1}`)
	var b memory
	d, err := accept(t, &b, request(body), body)
	require.NoError(t, err)
	require.Equal(t, ingest.Delivery{
		ID: "72d3162e-cc78-11e3-81ab-4c9367dc0958", Event: "pull_request", Action: "opened",
		ReceivedAt: time.Unix(1000, 1000).UTC(), State: ingest.Stored,
	}, d)
	require.Equal(t, []ingest.Entry{{Delivery: d, Body: body}}, b.entries)
	sum := sha256.Sum256(body)
	require.Equal(t, hex.EncodeToString(sum[:]), b.entries[0].Digest())
}

func TestRefusalsInTheirOrder(t *testing.T) {
	t.Parallel()
	body := []byte(`{"action": "opened"}`)
	broken := []byte(`{"action": `)
	with := func(body []byte, change map[string]string) map[string]string {
		h := request(body)
		maps.Copy(h, change)
		return h
	}
	for name, c := range map[string]struct {
		header map[string]string
		body   []byte
		want   error
	}{
		"form":                     {with(body, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}), body, ingest.ErrContentType},
		"no content type":          {with(body, map[string]string{"Content-Type": ""}), body, ingest.ErrContentType},
		"form without a signature": {with(body, map[string]string{"Content-Type": "text/plain", "X-Hub-Signature-256": ""}), body, ingest.ErrContentType},
		"no signature":             {with(body, map[string]string{"X-Hub-Signature-256": ""}), body, ingest.ErrSignatureMissing},
		"SHA-1 alone":              {with(body, map[string]string{"X-Hub-Signature-256": "", "X-Hub-Signature": "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6"}), body, ingest.ErrSignatureMissing},
		"wrong signature":          {with(body, map[string]string{"X-Hub-Signature-256": sign("someone else's secret", body)}), body, ingest.ErrSignatureInvalid},
		"broken and not signed":    {with(broken, map[string]string{"X-Hub-Signature-256": sign("someone else's secret", broken)}), broken, ingest.ErrSignatureInvalid},
		"no event, not signed":     {with(body, map[string]string{"X-GitHub-Event": "", "X-Hub-Signature-256": "sha256=00"}), body, ingest.ErrSignatureInvalid},
		"no event":                 {with(body, map[string]string{"X-GitHub-Event": ""}), body, ingest.ErrHeaderMissing},
		"an event that is none":    {with(body, map[string]string{"X-GitHub-Event": "push\nx"}), body, ingest.ErrHeaderMissing},
		"no delivery":              {with(body, map[string]string{"X-GitHub-Delivery": ""}), body, ingest.ErrHeaderMissing},
		"a redelivery's name":      {with(body, map[string]string{"X-GitHub-Delivery": "72d3162e~1"}), body, ingest.ErrHeaderMissing},
		"no event and broken":      {with(broken, map[string]string{"X-GitHub-Event": ""}), broken, ingest.ErrHeaderMissing},
		"broken":                   {request(broken), broken, ingest.ErrMalformedJSON},
		"empty":                    {request(nil), nil, ingest.ErrMalformedJSON},
		"null":                     {request([]byte(" null")), []byte(" null"), ingest.ErrMalformedJSON},
		"a list":                   {request([]byte("[{}]")), []byte("[{}]"), ingest.ErrMalformedJSON},
		"two values":               {request([]byte("{}{}")), []byte("{}{}"), ingest.ErrMalformedJSON},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b memory
			_, err := accept(t, &b, c.header, c.body)
			require.ErrorIs(t, err, c.want)
			require.Empty(t, b.entries, "what is refused is not stored")
		})
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	sized := func(n int) []byte {
		return append([]byte(`{"pad":"`), append(bytes.Repeat([]byte("x"), n-10), `"}`...)...)
	}
	var b memory
	body := sized(3 << 20)
	_, err := accept(t, &b, request(body), body)
	require.NoError(t, err)
	require.Greater(t, b.limit, 100*time.Millisecond, "a large body takes longer to store")
	body = sized(ingest.MaxBody + 1)
	_, err = accept(t, &b, request(body), body)
	require.ErrorIs(t, err, ingest.ErrTooLarge)
}

func TestWhatTheStoreDoesNotTakeInTimeIsNotAccepted(t *testing.T) {
	t.Parallel()
	body := []byte(`{}`)
	start := time.Now()
	_, err := accept(t, &memory{stall: true}, request(body), body)
	require.ErrorIs(t, err, ingest.ErrStore)
	require.GreaterOrEqual(t, time.Since(start), 80*time.Millisecond)
	_, err = accept(t, &memory{fail: errors.New("full")}, request(body), body)
	require.ErrorIs(t, err, ingest.ErrStore)
}

func TestWithoutASecretNothingIsAccepted(t *testing.T) {
	t.Parallel()
	body := []byte(`{}`)
	a := ingest.NewAcceptor(ingest.AcceptorParams{Buffer: &memory{}})
	_, err := a.Accept(t.Context(), ingest.Request{Header: func(name string) string { return request(body)[name] }, Body: body})
	require.ErrorIs(t, err, ingest.ErrSecretMissing)
}

func TestActionsThatAreNoneAreLeftOut(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `{"action":1}`, `{"action":null}`, `{"action":"a\u0000b"}`, `{"action":"DROP TABLE"}`} {
		d, err := accept(t, &memory{}, request([]byte(body)), []byte(body))
		require.NoError(t, err)
		require.Empty(t, d.Action, body)
	}
}

func FuzzNothingUnsignedIsAccepted(f *testing.F) {
	f.Add([]byte(`{"action":"opened"}`), "sha256=00", "push", "id", "application/json")
	f.Add([]byte(``), "", "", "", "")
	f.Add([]byte(`null`), sign(testSecret, []byte(`null`)), "push", "id", "application/json; charset=utf-8")
	f.Add([]byte(`{}`), sign(testSecret, []byte(`{}`)), "push", "id", "application/json")
	a := ingest.NewAcceptor(ingest.AcceptorParams{Secrets: openSecrets(f, testSecret), Buffer: &memory{}})
	f.Fuzz(func(t *testing.T, body []byte, signature, event, delivery, contentType string) {
		header := map[string]string{"X-Hub-Signature-256": signature, "X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "Content-Type": contentType}
		_, err := a.Accept(t.Context(), ingest.Request{Header: func(name string) string { return header[name] }, Body: body})
		if err == nil && !strings.EqualFold(signature, sign(testSecret, body)) {
			t.Fatalf("accepted under %q", signature)
		}
	})
}
