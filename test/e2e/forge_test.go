package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	ingestv1 "witan.dev/gen/witan/ingest/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/services/review/github/githubtest"
)

// settings are what a test says beside the addresses.
type settings struct {
	// reviews and models are more keys of the section reviews, and of each model.
	reviews, models string
}

// openForge starts a simulated GitHub with one repository, and a configuration of one council that reaches it.
func (w *world) openForge(spec githubtest.RepositorySpec, s settings) (*hub, *githubtest.Repository) {
	w.t.Helper()
	h := &hub{Server: githubtest.New(w.t, githubtest.Options{AppPermissions: githubtest.ResolvingPermissions()}), t: w.t, secret: hubSecret}
	h.SetWebhook(githubtest.Webhook{URL: "http://127.0.0.1:9/", Secret: hubSecret, Hold: true})
	repo, err := h.AddRepository(w.t.Context(), spec)
	require.NoError(w.t, err)
	h.app, err = h.App()
	require.NoError(w.t, err)
	var models strings.Builder
	for _, name := range []string{"ada", "ben", "cyd", "chair"} {
		fmt.Fprintf(&models, "  - {name: %s, provider: openai, base_url: %q, json_schema: true%s}\n", name, w.endpoint, s.models)
	}
	w.write("witan.yaml", fmt.Sprintf(`models:
%scouncils:
  - {name: default, members: [ada, ben, cyd], chairman: {model: chair}}
github: {base_url: %q, app_id: %d, private_key_file: %q, write_pace: 1ms}
webhooks: {github: {secrets_file: %q}}
reviews: {debounce: 50ms%s}
log: {level: debug}
`, &models, h.URL, h.app.ID, w.write("app.pem", string(h.app.PrivateKey)), w.write("hook.secrets", h.secret+"\n"), s.reviews))
	return h, repo
}

// open opens the pull request that the test is about.
func (h *hub) open(repo *githubtest.Repository, spec githubtest.PullRequestSpec) {
	h.t.Helper()
	var err error
	h.pull, err = repo.OpenPullRequest(h.t.Context(), spec)
	require.NoError(h.t, err)
}

// tell sends everything that happened and was not sent yet, in its order, and waits until all that follows is done.
func (n *node) tell(h *hub) []*jobsv1.Job {
	n.t.Helper()
	h.SetWebhook(githubtest.Webhook{URL: n.HTTP + "/webhooks/github", Secret: h.secret, Hold: true})
	deliveries := ingestv1.NewIngestServiceClient(n.conn)
	for _, d := range h.Deliveries() {
		if slices.Contains(d.Statuses, http.StatusAccepted) {
			continue
		}
		require.Eventually(n.t, func() bool { // the store may have been slower than the sender is patient
			status, err := h.Redeliver(n.t.Context(), d.ID)
			return err == nil && status == http.StatusAccepted
		}, patience, 50*time.Millisecond)
		require.Eventually(n.t, func() bool {
			known, err := deliveries.GetDelivery(bounded(n.t), &ingestv1.GetDeliveryRequest{Name: "deliveries/" + d.ID})
			return err == nil && (known.GetState() == ingestv1.Delivery_HANDLED || known.GetState() == ingestv1.Delivery_IGNORED)
		}, patience, 20*time.Millisecond, "%s.%s", d.Event, d.Action)
	}
	for {
		list, err := n.Jobs.ListJobs(bounded(n.t), &jobsv1.ListJobsRequest{PageSize: 1000})
		require.NoError(n.t, err)
		done := true
		for _, j := range list.GetJobs() {
			if j.GetEndTime() == nil {
				done = false
				n.wait(j.GetName())
			}
		}
		if done {
			return list.GetJobs()
		}
	}
}

// reviewed is the newest review, in full.
func (n *node) reviewed() *reviewv1.Review {
	n.t.Helper()
	list, err := n.Reviews.ListReviews(bounded(n.t), &reviewv1.ListReviewsRequest{PageSize: 1})
	require.NoError(n.t, err)
	require.Len(n.t, list.GetReviews(), 1)
	r, err := n.Reviews.GetReview(bounded(n.t), &reviewv1.GetReviewRequest{Name: list.GetReviews()[0].GetName(), View: reviewv1.Review_FULL})
	require.NoError(n.t, err)
	return r
}

// ours are the things of a kind that we wrote at the forge.
func (h *hub) ours(kind githubtest.Kind) []githubtest.Post {
	return slices.DeleteFunc(h.PostedBy(h.app.Bot), func(p githubtest.Post) bool { return p.Kind != kind })
}

// lastOf is the newest of them.
func (h *hub) lastOf(kind githubtest.Kind) githubtest.Post {
	h.t.Helper()
	list := h.ours(kind)
	require.NotEmpty(h.t, list, "%s", kind)
	return list[len(list)-1]
}
