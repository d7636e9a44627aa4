package endurance_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	councilv1 "witan.dev/gen/witan/council/v1"
	ingestv1 "witan.dev/gen/witan/ingest/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/finding"
	"witan.dev/services/review/github/githubtest"
)

const (
	storeBefore = "package store\n"
	storeAfter  = "package store\n\n// Sum adds.\nfunc Sum(items []int) int {\n\ttotal := 0\n\tfor i := 0; i <= len(items); i++ {\n\t\ttotal += items[i]\n\t}\n\treturn total\n}\n"
	storeDiff   = `diff --git a/store/store.go b/store/store.go
--- a/store/store.go
+++ b/store/store.go
@@ -1 +1,10 @@
 package store
+
+// Sum adds.
+func Sum(items []int) int {
+	total := 0
+	for i := 0; i <= len(items); i++ {
+		total += items[i]
+	}
+	return total
+}
`
)

// kind is what somebody asks for.
type kind string

const (
	deliberation kind = "deliberation"
	diffReview   kind = "review of a diff"
	pullReview   kind = "review of a pull request, by webhook"
)

// kinds is what is asked for, by turns.
func kinds() []kind {
	return []kind{deliberation, diffReview, deliberation, pullReview, deliberation}
}

// expected is how a job of the kind ends. Nothing is known of the code around a diff, so that its review is a partial one.
func (k kind) expected() jobsv1.Job_State {
	if k == diffReview {
		return jobsv1.Job_PARTIALLY_SUCCEEDED
	}
	return jobsv1.Job_SUCCEEDED
}

// task is one thing that is asked for, watched to its end, and checked.
type task struct {
	kind kind
	rng  *rand.Rand // its own, so that what it draws does not depend on others
	n    int

	resource, job string
	pull          *githubtest.PullRequest
	begun, ended  time.Time
	events        int
	attached      int // how often its viewers came
	// alone: a review of a diff whose council could not be reached for longer than such a review tries, which it says.
	alone bool
}

// load keeps tasks running and gathers what became of them. Safe for concurrent use.
type load struct {
	*rig

	seed uint64

	mu       sync.Mutex
	done     []*task
	failures []string
	sent     int // webhooks, repetitions included
}

func newLoad(r *rig, seed uint64) *load {
	return &load{rig: r, seed: seed}
}

// perform does one task to its end.
func (l *load) perform(ctx context.Context, n int) {
	t := &task{n: n, kind: kinds()[n%len(kinds())], rng: rand.New(rand.NewPCG(l.seed, uint64(n))), begun: time.Now()} //nolint:gosec // repeatable
	err := l.create(ctx, t)
	if err == nil {
		err = l.watch(ctx, t)
	}
	if err == nil {
		err = l.check(ctx, t)
	}
	t.ended = time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failures = append(l.failures, fmt.Sprintf("%s %d (%s): %s", t.kind, n, t.job, err))
		l.Logf("%s %d (%s): %s", t.kind, n, t.job, err)
	}
	l.done = append(l.done, t)
}

// fail notes what must not happen.
func (l *load) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, fmt.Sprintf(format, args...))
	l.Logf(format, args...)
}

// without is how many reviews had to do without their council.
func (l *load) without() (n int) {
	for _, t := range l.done {
		if t.alone {
			n++
		}
	}
	return n
}

// finished is how many tasks have ended.
func (l *load) finished() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.done)
}

// create asks until the answer is there; the same request asked twice has one effect.
func (l *load) create(ctx context.Context, t *task) error {
	switch request := requestID(l.seed, t.n); t.kind {
	case deliberation:
		made, err := ask(ctx, func(ctx context.Context) (*councilv1.Deliberation, error) {
			return l.council.CreateDeliberation(ctx, &councilv1.CreateDeliberationRequest{RequestId: request, Deliberation: &councilv1.Deliberation{
				Task: &councilv1.Deliberation_Question{Question: &councilv1.Question{Text: fmt.Sprintf("What becomes of job %d?", t.n)}},
			}})
		})
		t.resource, t.job = made.GetName(), made.GetJob()
		return err
	case diffReview:
		made, err := ask(ctx, func(ctx context.Context) (*reviewv1.Review, error) {
			return l.reviews.CreateReview(ctx, &reviewv1.CreateReviewRequest{RequestId: request, Review: &reviewv1.Review{
				Source: &reviewv1.Source{Source: &reviewv1.Source_Diff{Diff: &reviewv1.Material{Content: &reviewv1.Material_Data{Data: []byte(storeDiff)}}}},
			}})
		})
		t.resource, t.job = made.GetName(), made.GetJob()
		return err
	default:
		return l.pullRequest(ctx, t)
	}
}

func requestID(seed uint64, n int) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%d/%d", seed, n)).String()
}

// pullRequest opens one, and sends its webhook until it is accepted, now and then once more; then it looks for its review.
func (l *load) pullRequest(ctx context.Context, t *task) error {
	repo := l.repos[t.n%len(l.repos)]
	branch := fmt.Sprint("change-", t.n)
	_, err := repo.Commit(ctx, githubtest.Commit{Branch: branch, Message: "Add " + branch, Files: map[string]string{
		"store/store.go": storeAfter, fmt.Sprintf("notes/%d.md", t.n): fmt.Sprintf("Note %d.\n", t.n),
	}})
	if err != nil {
		return err
	}
	if t.pull, err = repo.OpenPullRequest(ctx, githubtest.PullRequestSpec{Title: "Add Sum", Head: branch, Author: "contributor"}); err != nil {
		return err
	}
	id := l.opened(repo, t.pull.Number())
	for range 1 + t.rng.IntN(2) {
		if err := l.deliver(ctx, id); err != nil {
			return err
		}
	}
	for {
		d, err := ask(ctx, func(ctx context.Context) (*ingestv1.Delivery, error) {
			return l.deliveries.GetDelivery(ctx, &ingestv1.GetDeliveryRequest{Name: "deliveries/" + id})
		})
		if err != nil && status.Code(err) != codes.NotFound { // what waits in Redis cannot be read yet
			return fmt.Errorf("a webhook that was accepted: %w", err)
		}
		if d.GetState() == ingestv1.Delivery_HANDLED {
			t.resource = d.GetResource()
			break
		}
		if err == nil && d.GetState() != ingestv1.Delivery_STORED {
			return fmt.Errorf("the webhook is %s (%s)", d.GetState(), d.GetStateReason())
		}
		if err := pause(ctx, again); err != nil {
			return err
		}
	}
	r, err := ask(ctx, func(ctx context.Context) (*reviewv1.Review, error) {
		return l.reviews.GetReview(ctx, &reviewv1.GetReviewRequest{Name: t.resource})
	})
	t.job = r.GetJob()
	return err
}

// opened is the delivery that says that a pull request was opened.
func (l *load) opened(repo *githubtest.Repository, number int) string {
	for _, d := range l.forge.Deliveries() {
		if d.Event == "pull_request" && d.Action == "opened" && bytes.Contains(d.Body, fmt.Appendf(nil, `"number":%d,`, number)) &&
			bytes.Contains(d.Body, fmt.Appendf(nil, `"full_name":%q`, repo.Name())) {
			return d.ID
		}
	}
	return ""
}

// deliver sends a webhook until it is accepted.
func (l *load) deliver(ctx context.Context, id string) error {
	for {
		code, err := l.forge.Redeliver(ctx, id)
		l.mu.Lock()
		l.sent++
		l.mu.Unlock()
		switch {
		case code == http.StatusAccepted:
			return nil
		case errors.Is(err, githubtest.ErrNotFound), err == nil && code != http.StatusServiceUnavailable && code != http.StatusGatewayTimeout:
			return fmt.Errorf("webhook %q: HTTP %d, %w", id, code, err)
		}
		if err := pause(ctx, again); err != nil {
			return err
		}
	}
}

// check holds what came out to what should have.
func (l *load) check(ctx context.Context, t *task) error {
	switch t.kind {
	case deliberation:
		d, err := ask(ctx, func(ctx context.Context) (*councilv1.Deliberation, error) {
			return l.council.GetDeliberation(ctx, &councilv1.GetDeliberationRequest{Name: t.resource, View: councilv1.Deliberation_FULL})
		})
		if err != nil {
			return err
		}
		result := d.GetResult()
		if len(result.GetAnswers()) != 3 || len(result.GetBallots()) != 3 || len(result.GetAggregate().GetRanked()) != 3 || result.GetChairman() != "chair" ||
			!strings.Contains(result.GetAnswer(), "[simulated]") {
			return fmt.Errorf("the answer is not whole: %v", result)
		}
	case diffReview, pullReview:
		r, err := ask(ctx, func(ctx context.Context) (*reviewv1.Review, error) {
			return l.reviews.GetReview(ctx, &reviewv1.GetReviewRequest{Name: t.resource, View: reviewv1.Review_FULL})
		})
		if err != nil {
			return err
		}
		if t.kind == diffReview && r.GetCoverage().GetCouncilReason() == string(finding.ReasonCouncilUnavailable) {
			t.alone = true
			return nil
		}
		if len(r.GetFindings()) != 2 {
			return fmt.Errorf("the review has %d findings instead of 2: %v", len(r.GetFindings()), r.GetFindings())
		}
	}
	return nil
}
