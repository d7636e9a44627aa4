package server_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	ingestv1 "witan.dev/gen/witan/ingest/v1"
	"witan.dev/internal/apierr/rpcstatus"
	"witan.dev/internal/auth"
	"witan.dev/internal/database/sqlite/sqlitetest"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
	"witan.dev/internal/testdata"
	"witan.dev/internal/testserver"
	"witan.dev/internal/webhook"
	"witan.dev/services/ingest"
	"witan.dev/services/ingest/buffer/redis"
	"witan.dev/services/ingest/server"
	"witan.dev/services/ingest/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testSecret = "It's a Secret to Everybody"

// world is an ingest service with its RPCs and its edge.
type world struct {
	client ingestv1.IngestServiceClient
	url    string
	store  *sqlite.Store
}

func setup(t *testing.T, change ...func(*server.Params)) world {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secrets")
	require.NoError(t, os.WriteFile(file, []byte(testSecret), 0o600))
	logger := slog.New(slog.DiscardHandler)
	secrets, err := ingest.OpenSecrets(file, logger)
	require.NoError(t, err)
	w := world{store: sqlite.New(sqlitetest.Open(t), sqlite.Options{Wait: time.Millisecond})}
	p := server.Params{
		Acceptor: ingest.NewAcceptor(ingest.AcceptorParams{Secrets: secrets, Buffer: w.store, Timeout: 20 * time.Second}), Store: w.store, Buffer: w.store, Owner: auth.LocalOwner,
	}
	for _, c := range change {
		c(&p)
	}
	s := server.New(p)
	r, err := rpc.NewServer(rpc.Config{MaxReceive: 1 << 20, Large: map[string]int{"witan.ingest.v1.AcceptDeliveryRequest": ingest.MaxBody + 1<<20}},
		rpc.Deps{Logger: logger, Metrics: prometheus.NewRegistry(), Auth: auth.NewFolder(secret.New("folder"))})
	require.NoError(t, err)
	require.NoError(t, r.Register(func(g grpc.ServiceRegistrar) { ingestv1.RegisterIngestServiceServer(g, s) }))
	require.NoError(t, r.Start(t.Context()))
	conn, err := r.InProcess(secret.Text{})
	require.NoError(t, err)
	edge := server.NewEdge("127.0.0.1:0", nil, webhook.NewHandler(webhook.Params{Accept: s.Accept, Logger: logger}), logger)
	require.NoError(t, edge.Start(t.Context()))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, conn.Close())
		require.NoError(t, edge.Stop(ctx))
		require.NoError(t, edge.Stop(ctx))
		require.NoError(t, r.Stop(ctx))
	})
	w.client, w.url = ingestv1.NewIngestServiceClient(conn), "http://"+edge.Addr().String()
	return w
}

func sign(body []byte) string {
	return "sha256=" + hex.EncodeToString(ingest.Sign(secret.New(testSecret), body))
}

// post sends a webhook to the edge and answers the code, the reason or the delivery, and how long it took.
func (w world) post(t testing.TB, id, event string, body []byte, change map[string]string) (code int, said string, took time.Duration) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+webhook.Path, bytes.NewReader(body))
	require.NoError(t, err)
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": event, "X-GitHub-Delivery": id, "X-Hub-Signature-256": sign(body),
	} {
		req.Header.Set(name, value)
	}
	for name, value := range change {
		req.Header.Set(name, value)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	start := time.Now()
	answer, err := client.Do(req)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(answer.Body)
	took = time.Since(start)
	require.NoError(t, err)
	var out struct {
		Delivery string
		Error    struct{ Details []struct{ Reason string } }
	}
	require.NoError(t, json.Unmarshal(raw, &out), "%s", raw)
	if len(out.Error.Details) > 0 {
		return answer.StatusCode, out.Error.Details[0].Reason, took
	}
	return answer.StatusCode, out.Delivery, took
}

// TestP01_EverySharedPayloadIsAcceptedAndKept sends the real payloads by both ways.
func TestP01_EverySharedPayloadIsAcceptedAndKept(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(testdata.Path(t, "webhooks/index.json"))
	require.NoError(t, err)
	var index []struct {
		File, Event string
		Action      *string
		Digest      string `json:"sha256_sig"`
	}
	require.NoError(t, json.Unmarshal(raw, &index))
	require.Len(t, index, 115)
	w := setup(t)
	for i, p := range index {
		body, err := os.ReadFile(testdata.Path(t, "webhooks/payloads/"+filepath.Base(p.File)))
		require.NoError(t, err)
		id := fmt.Sprint("delivery-", i)
		if i%2 == 0 {
			code, said, _ := w.post(t, id, p.Event, body, map[string]string{"X-Hub-Signature-256": "sha256=" + p.Digest})
			require.Equal(t, http.StatusAccepted, code, "%s: %s", p.File, said)
			require.Equal(t, id, said)
		} else {
			d, err := w.client.AcceptDelivery(t.Context(), &ingestv1.AcceptDeliveryRequest{
				Sender: "github", Body: body,
				Headers: []*ingestv1.AcceptDeliveryRequest_Header{
					{Name: "content-type", Value: "application/json"},
					{Name: "x-github-event", Value: p.Event},
					{Name: "X-GITHUB-DELIVERY", Value: id},
					{Name: "X-Hub-Signature-256", Value: "sha256=" + p.Digest},
				},
			})
			require.NoError(t, err, p.File)
			require.Equal(t, "deliveries/"+id, d.GetName())
		}
		d, err := w.client.GetDelivery(t.Context(), &ingestv1.GetDeliveryRequest{Name: "deliveries/" + id})
		require.NoError(t, err)
		require.Equal(t, p.Event, d.GetEvent())
		action := ""
		if p.Action != nil {
			action = *p.Action
		}
		require.Equal(t, action, d.GetAction(), p.File)
		require.Equal(t, ingestv1.Delivery_STORED, d.GetState())
	}
}

func TestP01_WhatIsNotOursIsRefusedAndNotKept(t *testing.T) {
	t.Parallel()
	w := setup(t)
	body, broken := []byte(`{"action":"opened"}`), []byte(`{"action":`)
	for name, c := range map[string]struct {
		body   []byte
		change map[string]string
		code   int
		reason string
	}{
		"no signature":        {body, map[string]string{"X-Hub-Signature-256": ""}, 401, "SIGNATURE_MISSING"},
		"SHA-1 alone":         {body, map[string]string{"X-Hub-Signature-256": "", "X-Hub-Signature": "sha1=abc"}, 401, "SIGNATURE_MISSING"},
		"wrong signature":     {body, map[string]string{"X-Hub-Signature-256": sign(broken)}, 401, "SIGNATURE_INVALID"},
		"unsigned and broken": {broken, map[string]string{"X-Hub-Signature-256": "sha256=00"}, 401, "SIGNATURE_INVALID"},
		"broken":              {broken, nil, 400, "MALFORMED_JSON"},
		"no event":            {body, map[string]string{"X-GitHub-Event": ""}, 400, "DELIVERY_HEADER_MISSING"},
		"no delivery":         {body, map[string]string{"X-GitHub-Delivery": ""}, 400, "DELIVERY_HEADER_MISSING"},
		"a form":              {body, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, 415, "CONTENT_TYPE_NOT_SUPPORTED"},
	} {
		code, said, _ := w.post(t, "x", "push", c.body, c.change)
		require.Equal(t, c.code, code, name)
		require.Equal(t, c.reason, said, name)
	}
	code, _, _ := w.post(t, "unknown", "merge_group", body, nil)
	require.Equal(t, http.StatusAccepted, code, "an event that nobody knows is kept all the same")
	list, err := w.client.ListDeliveries(t.Context(), &ingestv1.ListDeliveriesRequest{})
	require.NoError(t, err)
	require.Len(t, list.GetDeliveries(), 1)
}

func TestP01_TheSameDeliveryManyTimesAtOnceIsKeptOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var work sync.WaitGroup
	for range 20 {
		work.Go(func() {
			code, said, _ := w.post(t, "one", "push", []byte(`{}`), nil)
			require.Equal(t, http.StatusAccepted, code, said)
		})
	}
	work.Wait()
	list, err := w.client.ListDeliveries(t.Context(), &ingestv1.ListDeliveriesRequest{})
	require.NoError(t, err)
	require.Len(t, list.GetDeliveries(), 1)
}

func TestListsHavePagesAndFilters(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for n := range 5 {
		code, _, _ := w.post(t, fmt.Sprint("d", n), "push", []byte(`{}`), nil)
		require.Equal(t, http.StatusAccepted, code)
	}
	require.NoError(t, w.store.Settle(t.Context(), "d1", ingest.Outcome{State: ingest.Dead, Reason: "X"}))
	var names []string
	req := &ingestv1.ListDeliveriesRequest{PageSize: 2}
	for {
		page, err := w.client.ListDeliveries(t.Context(), req)
		require.NoError(t, err)
		for _, d := range page.GetDeliveries() {
			names = append(names, strings.TrimPrefix(d.GetName(), "deliveries/"))
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	require.Equal(t, []string{"d4", "d3", "d2", "d1", "d0"}, names)
	page, err := w.client.ListDeliveries(t.Context(), &ingestv1.ListDeliveriesRequest{PageSize: 2})
	require.NoError(t, err)
	_, err = w.client.ListDeliveries(t.Context(), &ingestv1.ListDeliveriesRequest{PageToken: page.GetNextPageToken(), State: ingestv1.Delivery_DEAD})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	dead, err := w.client.ListDeliveries(t.Context(), &ingestv1.ListDeliveriesRequest{State: ingestv1.Delivery_DEAD})
	require.NoError(t, err)
	require.Len(t, dead.GetDeliveries(), 1)
	require.Equal(t, "X", dead.GetDeliveries()[0].GetStateReason())
}

func TestRedeliver(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, err := w.client.Redeliver(t.Context(), &ingestv1.RedeliverRequest{Name: "deliveries/nobody"})
	require.Equal(t, codes.NotFound, status.Code(err))
	code, _, _ := w.post(t, "a", "push", []byte(`{}`), nil)
	require.Equal(t, http.StatusAccepted, code)
	const request = "7c7c8a3e-0000-4000-8000-000000000001"
	for range 2 {
		d, err := w.client.Redeliver(t.Context(), &ingestv1.RedeliverRequest{Name: "deliveries/a", RequestId: request})
		require.NoError(t, err)
		require.Equal(t, "deliveries/a~1", d.GetName())
		require.Equal(t, ingestv1.Delivery_STORED, d.GetState())
	}
	taken, err := w.store.Take(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, taken, 2)
	require.Equal(t, taken[0].Body, taken[1].Body)
}

func TestDeliveriesAreTheirOwners(t *testing.T) {
	t.Parallel()
	w := setup(t)
	code, _, _ := w.post(t, "a", "push", []byte(`{}`), nil)
	require.Equal(t, http.StatusAccepted, code)
	eve := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer folder", auth.OwnerKey, "eve")
	_, err := w.client.GetDelivery(eve, &ingestv1.GetDeliveryRequest{Name: "deliveries/a"})
	require.Equal(t, "DELIVERY_NOT_FOUND", rpcstatus.Info(status.Convert(err)).GetReason())
	_, err = w.client.Redeliver(eve, &ingestv1.RedeliverRequest{Name: "deliveries/a"})
	require.Equal(t, "DELIVERY_NOT_FOUND", rpcstatus.Info(status.Convert(err)).GetReason())
	list, err := w.client.ListDeliveries(eve, &ingestv1.ListDeliveriesRequest{})
	require.NoError(t, err)
	require.Empty(t, list.GetDeliveries())
}

func TestAProcessWithoutADatabaseSaysSo(t *testing.T) {
	t.Parallel()
	w := setup(t, func(p *server.Params) { p.Store = nil })
	_, get := w.client.GetDelivery(t.Context(), &ingestv1.GetDeliveryRequest{Name: "deliveries/a"})
	_, list := w.client.ListDeliveries(t.Context(), &ingestv1.ListDeliveriesRequest{})
	_, again := w.client.Redeliver(t.Context(), &ingestv1.RedeliverRequest{Name: "deliveries/a"})
	for _, err := range []error{get, list, again} {
		require.Equal(t, codes.FailedPrecondition, status.Code(err))
		require.Equal(t, "DELIVERIES_ELSEWHERE", rpcstatus.Info(status.Convert(err)).GetReason())
	}
}

func TestOnlyDeliveriesMayBeLarge(t *testing.T) {
	t.Parallel()
	w := setup(t)
	body := []byte(`{"pad":"` + strings.Repeat("x", 2<<20) + `"}`)
	_, err := w.client.AcceptDelivery(t.Context(), &ingestv1.AcceptDeliveryRequest{Sender: "github", Body: body, Headers: []*ingestv1.AcceptDeliveryRequest_Header{
		{Name: "Content-Type", Value: "application/json"},
		{Name: "X-GitHub-Event", Value: "push"},
		{Name: "X-GitHub-Delivery", Value: "a"},
		{Name: "X-Hub-Signature-256", Value: sign(body)},
	}})
	require.NoError(t, err)
	_, err = w.client.GetDelivery(t.Context(), &ingestv1.GetDeliveryRequest{Name: strings.Repeat("x", 2<<20)})
	require.Equal(t, "MESSAGE_TOO_LARGE", rpcstatus.Info(status.Convert(err)).GetReason())
}

// TestP01_AStalledRedisIsNoLie freezes the way to Redis: what cannot be promised is not, in less than 100 ms, and what was
// not stored can be delivered again.
func TestP01_AStalledRedisIsNoLie(t *testing.T) {
	t.Parallel()
	real := testserver.StartRedis(t)
	proxy := testserver.StartProxy(t, real.URL)
	buffer, err := redis.New(redis.Config{URL: secret.New(proxy.URL), Wait: time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, buffer.Close()) })
	file := filepath.Join(t.TempDir(), "secrets")
	require.NoError(t, os.WriteFile(file, []byte(testSecret), 0o600))
	secrets, err := ingest.OpenSecrets(file, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	w := setup(t, func(p *server.Params) {
		p.Acceptor = ingest.NewAcceptor(ingest.AcceptorParams{Secrets: secrets, Buffer: buffer})
	})
	refused := func(n int) {
		for i := range n {
			var code int
			var said string
			var took time.Duration
			require.Eventually(t, func() bool { // the machine may be busy: the bound is the service's, not the scheduler's
				code, said, took = w.post(t, fmt.Sprint("frozen-", i), "push", []byte(`{}`), nil)
				return took < 100*time.Millisecond
			}, 20*time.Second, time.Millisecond, "it took %s", took)
			require.Equal(t, http.StatusServiceUnavailable, code)
			require.Equal(t, "STORE_UNAVAILABLE", said)
		}
	}
	accepted := func(id string) {
		require.Eventually(t, func() bool {
			code, _, _ := w.post(t, id, "push", []byte(`{}`), nil)
			return code == http.StatusAccepted
		}, 20*time.Second, time.Millisecond)
	}
	accepted("before")
	proxy.Freeze()
	refused(3)
	proxy.Thaw()
	accepted("after")
	require.NoError(t, real.Kill())
	refused(3)
	require.NoError(t, real.Start(t.Context()))
	accepted("again")
}

// TestSlowBodiesAreCutOffWhateverTheyAre sends one byte of a body, to routes and under types that nobody reads.
func TestSlowBodiesAreCutOffWhateverTheyAre(t *testing.T) {
	t.Parallel()
	logger := slog.New(slog.DiscardHandler)
	edge := server.NewEdge("127.0.0.1:0", nil, webhook.NewHandler(webhook.Params{Logger: logger}), logger)
	edge.ShortenReadTimeout(50 * time.Millisecond)
	require.NoError(t, edge.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, edge.Stop(context.WithoutCancel(t.Context()))) })
	for _, head := range []string{
		"POST " + webhook.Path + " HTTP/1.1\r\nContent-Type: text/plain\r\n", "PUT " + webhook.Path + " HTTP/1.1\r\n", "POST /elsewhere HTTP/1.1\r\n",
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", edge.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = conn.Write([]byte(head + "Host: witan\r\nContent-Length: 1000\r\n\r\nx"))
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
		_, err = io.ReadAll(conn)
		require.NoError(t, err, "the answer and the end of the connection")
	}
}
