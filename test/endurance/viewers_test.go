package endurance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"

	"github.com/tmaxmax/go-sse"
	"google.golang.org/protobuf/proto"

	"witan.dev/client"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

// viewed is what a viewer has received of a log: each event's bytes, and how often it had to attach.
type viewed struct {
	events   []string
	attached int
}

// watch follows a job to its end over gRPC and over server-sent events, both cut again and again, and holds each to the log.
func (l *load) watch(ctx context.Context, t *task) error {
	type seen struct {
		viewed

		err error
	}
	bySSE, seed := make(chan seen, 1), t.rng.Uint64()
	go func() {
		v, err := l.viewSSE(ctx, t.job, rand.New(rand.NewPCG(seed, 1))) //nolint:gosec // repeatable
		bySSE <- seen{v, err}
	}()
	stream, job, err := l.viewGRPC(ctx, t.job, rand.New(rand.NewPCG(seed, 2))) //nolint:gosec // repeatable
	other := <-bySSE
	if err := errors.Join(err, other.err); err != nil {
		return err
	}
	t.attached = stream.attached + other.attached
	if job.GetState() != t.kind.expected() {
		return fmt.Errorf("it ended as %s (%s): %v", job.GetState(), job.GetStateReason(), job.GetError())
	}
	return l.compare(ctx, t, stream.events, other.events)
}

// compare holds what both viewers have to the log, read in pages.
func (l *load) compare(ctx context.Context, t *task, stream, frames []string) error {
	log, err := l.log(ctx, t.job)
	if err != nil {
		return err
	}
	t.events = len(log)
	want := make([]string, len(log))
	epoch := int32(0)
	for i, e := range log {
		if e.GetSeq() != int64(i+1) || e.GetFinal() != (i == len(log)-1) || e.GetEpoch() < epoch {
			return fmt.Errorf("event %d of %d has number %d, epoch %d after %d, final %t", i+1, len(log), e.GetSeq(), e.GetEpoch(), epoch, e.GetFinal())
		}
		epoch = e.GetEpoch()
		if want[i], err = encoded(e); err != nil {
			return err
		}
	}
	if !slices.Equal(stream, want) {
		return fmt.Errorf("over gRPC came %d events that are not the %d of the log", len(stream), len(want))
	}
	pages, err := l.pages(ctx, t.job)
	if err != nil {
		return err
	}
	if !slices.Equal(frames, pages) {
		return fmt.Errorf("as server-sent events came %d that are not the %d of the log", len(frames), len(pages))
	}
	return nil
}

func encoded(e *jobsv1.JobEvent) (string, error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(e)
	return string(raw), err
}

// viewGRPC follows by the client that others use too, and leaves now and then.
func (l *load) viewGRPC(ctx context.Context, job string, rng *rand.Rand) (v viewed, ended *jobsv1.Job, err error) {
	f := l.follow.Follow(job, client.Start{})
	for f.Job() == nil {
		v.attached++
		stay := 5 + rng.IntN(40)
		for e, err := range f.Events(ctx) {
			if err != nil {
				return v, nil, fmt.Errorf("over gRPC, after event %d: %w", f.After(), err)
			}
			raw, err := encoded(e)
			if err != nil {
				return v, nil, err
			}
			v.events = append(v.events, raw)
			if stay--; stay == 0 {
				break
			}
		}
	}
	return v, f.Job(), nil
}

// viewSSE follows through the gateway as a browser does, and leaves now and then.
func (l *load) viewSSE(ctx context.Context, job string, rng *rand.Rand) (v viewed, err error) {
	for {
		v.attached++
		before := len(v.events)
		ended, err := l.frames(ctx, job, &v.events, 5+rng.IntN(40))
		if ended || err != nil {
			return v, err
		}
		if len(v.events) == before {
			if err := pause(ctx, again); err != nil {
				return v, fmt.Errorf("as server-sent events, after event %d: %w", before, err)
			}
		}
	}
}

// frames reads at most so many events behind those that are there.
func (l *load) frames(ctx context.Context, job string, events *[]string, limit int) (ended bool, err error) {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.HTTP()+"/v1/"+job+":watch?after_seq=0", nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+l.Token())
	if n := len(*events); n > 0 {
		req.Header.Set("Last-Event-ID", fmt.Sprint(n))
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, nil // the gateway is away, the viewer comes back
	}
	defer func() { _ = answer.Body.Close() }()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusNoContent:
		return true, nil
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false, nil
	default:
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		return false, fmt.Errorf("watching: HTTP %d: %s", answer.StatusCode, text)
	}
	for e, err := range sse.Read(answer.Body, &sse.ReadConfig{MaxEventSize: 1 << 20}) {
		switch {
		case err != nil:
			return false, nil // cut
		case e.Type == "done":
			return true, nil
		case e.Type == "stream_error":
			return false, mayComeBack(e.Data)
		case e.LastEventID != fmt.Sprint(len(*events)+1):
			return false, fmt.Errorf("event %q (%s) came after %d", e.LastEventID, e.Type, len(*events))
		}
		text, err := compact([]byte(e.Data))
		if err != nil {
			return false, err
		}
		*events = append(*events, text)
		if limit--; limit == 0 {
			return false, nil
		}
	}
	return false, nil
}

// mayComeBack is an error unless what a stream ended with is that a server is away.
func mayComeBack(text string) error {
	var said struct{ Error struct{ Code int } }
	err := json.Unmarshal([]byte(text), &said)
	if err == nil && (said.Error.Code == http.StatusServiceUnavailable || said.Error.Code == http.StatusGatewayTimeout) {
		return nil
	}
	return errors.Join(fmt.Errorf("the stream ended with %s", text), err)
}

// log is a job's log, read in pages over gRPC.
func (l *load) log(ctx context.Context, job string) (all []*jobsv1.JobEvent, err error) {
	for token := ""; ; {
		page, err := ask(ctx, func(ctx context.Context) (*jobsv1.ListJobEventsResponse, error) {
			return l.jobs.ListJobEvents(ctx, &jobsv1.ListJobEventsRequest{Parent: job, PageSize: 200, PageToken: token})
		})
		if err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		all = append(all, page.GetEvents()...)
		if token = page.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

// pages is the same over REST.
func (l *load) pages(ctx context.Context, job string) (all []string, err error) {
	for token := ""; ; {
		var page struct {
			Events        []json.RawMessage
			NextPageToken string
		}
		if err := l.get(ctx, fmt.Sprintf("/v1/%s/events?after_seq=0&page_size=200&page_token=%s", job, token), &page); err != nil {
			return nil, err
		}
		for _, e := range page.Events {
			text, err := compact(e)
			if err != nil {
				return nil, err
			}
			all = append(all, text)
		}
		if token = page.NextPageToken; token == "" {
			return all, nil
		}
	}
}

// get reads JSON from the gateway, as soon as that answers.
func (l *load) get(ctx context.Context, path string, into any) error {
	for {
		code, err := get(ctx, l.HTTP()+path, l.Token(), func(body io.Reader) error { return json.NewDecoder(body).Decode(into) })
		if err == nil {
			return nil
		}
		if code != 0 && code != http.StatusOK && code != http.StatusServiceUnavailable && code != http.StatusGatewayTimeout {
			return err
		}
		if err := pause(ctx, again); err != nil {
			return err
		}
	}
}

// get reads one answer; 0 where nobody answers. token is what it shows.
func get(ctx context.Context, url, token string, read func(io.Reader) error) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		return answer.StatusCode, fmt.Errorf("GET %s: HTTP %d: %s", url, answer.StatusCode, text)
	}
	return answer.StatusCode, read(answer.Body)
}

func compact(raw []byte) (string, error) {
	var out bytes.Buffer
	err := json.Compact(&out, raw)
	return out.String(), err
}
