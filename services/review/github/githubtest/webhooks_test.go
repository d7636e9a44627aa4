package githubtest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/testdata"
	"witan.dev/services/review/github/githubtest"
)

// hook takes deliveries and keeps them.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	header []http.Header
	bodies [][]byte
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{status: http.StatusAccepted}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		if err == nil {
			h.header, h.bodies = append(h.header, r.Header), append(h.bodies, body)
		}
		w.WriteHeader(h.status)
	}))
	t.Cleanup(h.Close)
	return h
}

func TestActionsSendSignedWebhooks(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	s, p := numbered(t)
	s.SetWebhook(githubtest.Webhook{URL: h.URL, Secret: "it is a secret"})
	c := as(t, s, s.InstallationToken(nil))
	require.NoError(t, s.Ping(t.Context()))
	_, err := p.Push(t.Context(), githubtest.Commit{Message: "More", Files: map[string]string{"more.txt": "x\n"}})
	require.NoError(t, err)
	require.NoError(t, p.ConvertToDraft(t.Context(), "dev"))
	require.NoError(t, p.ReadyForReview(t.Context(), "dev"))
	require.NoError(t, p.Retitle(t.Context(), "dev", "Better", "why"))
	require.NoError(t, p.Label(t.Context(), "dev", "big", true))
	_, err = p.Comment(t.Context(), "dev", "/witan review")
	require.NoError(t, err)
	require.NoError(t, p.Close(t.Context(), "dev"))
	require.NoError(t, p.Reopen(t.Context(), "dev"))
	root := c.want(201, "POST", pulls+"/comments", m{"commit_id": p.Head(), "path": "f.txt", "line": 10, "body": "text"}).object(t)
	s.Settle()
	require.NoError(t, p.Resolve(t.Context(), "dev", id(root), true))
	check := c.want(201, "POST", "/repos/acme/tools/check-runs", m{"name": "witan", "head_sha": p.Head()}).object(t)
	s.Settle()
	require.NoError(t, p.Repository().RerequestCheck(t.Context(), "dev", id(check)))

	var got []string
	for i, header := range h.header {
		mac := hmac.New(sha256.New, []byte("it is a secret"))
		mac.Write(h.bodies[i])
		require.Equal(t, "sha256="+hex.EncodeToString(mac.Sum(nil)), header.Get("X-Hub-Signature-256"))
		require.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, header.Get("X-Github-Delivery"))
		var body m
		require.NoError(t, json.Unmarshal(h.bodies[i], &body))
		require.NotNil(t, body["installation"])
		action, _ := body["action"].(string)
		got = append(got, strings.TrimSuffix(header.Get("X-Github-Event")+"."+action, "."))
	}
	require.ElementsMatch(t, []string{
		"ping", "push", "pull_request.synchronize", "pull_request.converted_to_draft", "pull_request.ready_for_review", "pull_request.edited", "pull_request.labeled",
		"issue_comment.created", "pull_request.closed", "pull_request.reopened", "pull_request_review_comment.created", "pull_request_review.submitted",
		"pull_request_review_thread.resolved", "check_run.created", "check_run.rerequested",
	}, got)
}

func TestRedeliveriesKeepTheirID(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	s, p := numbered(t)
	s.SetWebhook(githubtest.Webhook{URL: h.URL, Secret: "s", Hold: true})
	require.NoError(t, p.Close(t.Context(), "dev"))
	require.Empty(t, h.bodies)
	delivery := s.Deliveries()[0].ID
	for _, status := range []int{503, 202} {
		h.status = status
		got, err := s.Redeliver(t.Context(), delivery)
		require.NoError(t, err)
		require.Equal(t, status, got)
	}
	require.Equal(t, []int{503, 202}, s.Deliveries()[0].Statuses)
	require.Equal(t, h.header[0].Get("X-Github-Delivery"), h.header[1].Get("X-Github-Delivery"))
	require.Equal(t, h.bodies[0], h.bodies[1])
	_, err := s.Redeliver(t.Context(), "none")
	require.Error(t, err)
	h.Close()
	_, err = s.Redeliver(t.Context(), delivery)
	require.Error(t, err)
}

func TestOnlyWhatTheAppSubscribesToIsSent(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	s, p := numbered(t)
	s.SetWebhook(githubtest.Webhook{URL: h.URL, Secret: "s", Form: true})
	s.Subscribe("pull_request")
	_, err := p.Comment(t.Context(), "dev", "hello")
	require.NoError(t, err)
	require.NoError(t, p.Close(t.Context(), "dev"))
	require.NoError(t, s.NotifyInstallation(t.Context(), "created"))
	require.Len(t, h.header, 2)
	require.Equal(t, "application/x-www-form-urlencoded", h.header[0].Get("Content-Type"))
	require.True(t, strings.HasPrefix(string(h.bodies[0]), "payload=%7B"))
	mac := hmac.New(sha256.New, []byte("s"))
	mac.Write(h.bodies[0])
	require.Equal(t, "sha256="+hex.EncodeToString(mac.Sum(nil)), h.header[0].Get("X-Hub-Signature-256"))
}

func TestEventsAreForWhomMayReadWhatTheyAreAbout(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	s, p := numbered(t)
	s.SetWebhook(githubtest.Webhook{URL: h.URL, Secret: "s"})
	happen := func() (sent int) {
		before := len(h.header)
		_, err := p.Comment(t.Context(), "dev", "hello")
		require.NoError(t, err)
		require.NoError(t, p.Close(t.Context(), "dev"))
		require.NoError(t, p.Reopen(t.Context(), "dev"))
		return len(h.header) - before
	}
	require.Equal(t, 3, happen())
	may := githubtest.DefaultPermissions()
	delete(may, "issues")
	s.Grant(may)
	require.Equal(t, 2, happen(), "all but the comment")
	delete(may, "pull_requests")
	s.Grant(may)
	require.Zero(t, happen())
	s.SetWebhook(githubtest.Webhook{URL: h.URL, Secret: "s", Plain: true})
	require.Equal(t, 3, happen(), "the hook of a repository asks for no permission")
}

// types are the JSON types that a member of a kind of object was seen with, by the names of the two: repository.language,
// wherever in a payload a repository stands. Members of arrays end in [].
type types map[string]map[string]bool

// kindOf is the kind of object that a member holds.
func kindOf(member string) string {
	switch member = strings.TrimSuffix(member, "[]"); member {
	case "repo":
		return "repository"
	case "sender", "owner", "assignee", "assignees", "creator", "merged_by", "requested_reviewers", "requested_reviewer":
		return "user"
	}
	return member
}

func (ts types) add(at string, v any) {
	if ts[at] == nil {
		ts[at] = map[string]bool{}
	}
	switch v := v.(type) {
	case nil:
		ts[at]["null"] = true
	case bool:
		ts[at]["bool"] = true
	case float64:
		ts[at]["number"] = true
	case string:
		ts[at]["string"] = true
	case []any:
		ts[at]["array"] = true
		for _, e := range v {
			ts.add(at+"[]", e)
		}
	case m:
		ts[at]["object"] = true
		for k, e := range v {
			ts.add(kindOf(at[strings.LastIndexByte(at, '.')+1:])+"."+k, e)
		}
	}
}

// Every member of a payload of ours has the JSON type that real payloads give it. What no real payload of the shared
// ones has (they are from 2018 to 2022), or has with null only, is counted here and checked against GitHub's schemas.
func TestPayloadsHaveTheTypesOfRealOnes(t *testing.T) {
	t.Parallel()
	dir := testdata.Path(t, "webhooks/payloads")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	real := types{}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(dir, e.Name())) //nolint:gosec // the shared inputs
		require.NoError(t, err)
		var body m
		require.NoError(t, json.Unmarshal(raw, &body))
		event, _, _ := strings.Cut(e.Name(), ".")
		real.add(event, body)
	}
	ours := types{}
	for _, d := range everyEvent(t) {
		var body m
		require.NoError(t, json.Unmarshal(d.Body, &body))
		ours.add(d.Event, body)
	}
	compared, unknown := 0, map[string]bool{}
	for at, seen := range ours {
		want := real[at]
		if want == nil || len(want) == 1 && want["null"] {
			unknown[at[strings.LastIndexByte(at, '.')+1:]] = true
			continue
		}
		for kind := range seen {
			compared++
			if kind == "null" && nullable(at) {
				continue
			}
			if !want[kind] {
				t.Errorf("%s is of type %s, real ones are %v", at, kind, want)
			}
		}
	}
	require.Greater(t, compared, 250)
	t.Logf("%d types compared; members that no real payload shows: %v", compared, unknown)
}

// nullable are members that GitHub documents as nullable and that happen to be set in all shared payloads.
func nullable(at string) bool {
	return slices.Contains([]string{"issue.body"}, at)
}

// everyEvent makes each kind of delivery that the server knows, on a repository of a user and one of an organization.
func everyEvent(t *testing.T) []githubtest.Delivery {
	t.Helper()
	s, p := numbered(t)
	s.SetWebhook(githubtest.Webhook{URL: "http://127.0.0.1:1", Secret: "s", Hold: true})
	ctx := t.Context()
	c := as(t, s, s.InstallationToken(nil))
	require.NoError(t, s.Ping(ctx))
	_, err := p.Push(ctx, githubtest.Commit{Message: "More", Files: map[string]string{"more.txt": "x\n"}})
	require.NoError(t, err)
	require.NoError(t, p.Label(ctx, "dev", "big", true))
	require.NoError(t, p.Label(ctx, "dev", "big", false))
	require.NoError(t, p.ConvertToDraft(ctx, "dev"))
	require.NoError(t, p.ReadyForReview(ctx, "dev"))
	require.NoError(t, p.Close(ctx, "dev"))
	require.NoError(t, p.Reopen(ctx, "dev"))
	root := c.want(201, "POST", pulls+"/comments", m{"commit_id": p.Head(), "path": "f.txt", "start_line": 8, "line": 10, "body": "text"}).object(t)
	comment := id(root)
	_, err = p.Reply(ctx, "dev", comment, "why?")
	require.NoError(t, err)
	require.NoError(t, p.Resolve(ctx, "dev", comment, true))
	require.NoError(t, p.Resolve(ctx, "dev", comment, false))
	_, err = p.Review(ctx, "dev", "looks good")
	require.NoError(t, err)
	talk, err := p.Comment(ctx, "dev", "hello")
	require.NoError(t, err)
	require.NoError(t, p.EditComment(ctx, "dev", talk, "hello again"))
	require.NoError(t, p.DeleteComment(ctx, "dev", talk))
	require.NoError(t, p.DeleteComment(ctx, "dev", comment))
	require.ErrorIs(t, p.DeleteComment(ctx, "dev", comment), githubtest.ErrNotFound)
	require.NoError(t, p.RequestReview(ctx, "dev", "witan-review[bot]"))
	check := c.want(201, "POST", "/repos/acme/tools/check-runs", m{
		"name": "witan", "head_sha": p.Head(), "conclusion": "success", "output": m{"title": "t", "summary": "s", "text": "x"},
		"actions": []m{{"label": "Again", "description": "Tries again", "identifier": "retry"}},
	}).object(t)
	require.NoError(t, p.Repository().RerequestCheck(ctx, "dev", id(check)))
	require.NoError(t, p.Repository().RequestAction(ctx, "dev", id(check), "retry"))
	require.ErrorIs(t, p.Repository().RequestAction(ctx, "dev", id(check), "nothing"), githubtest.ErrNotFound)
	for _, action := range []string{"created", "suspend", "unsuspend", "new_permissions_accepted", "deleted"} {
		require.NoError(t, s.NotifyInstallation(ctx, action))
	}
	require.NoError(t, p.Repository().NotifyInstalled(ctx, true))
	require.NoError(t, p.Repository().NotifyInstalled(ctx, false))
	p.Repository().Rename("instruments")
	require.NoError(t, p.Repository().NotifyRenamed(ctx, "tools"))
	require.NoError(t, p.Merge(ctx, "acme"))
	list := s.Deliveries()
	require.Greater(t, len(list), 29)
	return list
}
