package ingest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/ingest"
)

// effects is the table of what each event and action of the shared payloads starts, and how many of them there are.
// Payloads of one action that differ in effect are told apart by their number.
func effects() map[string]string {
	return map[string]string{
		"pull_request.opened": "review 1", "pull_request.reopened": "review 2", "pull_request.ready_for_review": "review 3",
		"pull_request.synchronize": "review 4", "pull_request.labeled": "review 6", "pull_request.unlabeled": "review 6",
		"pull_request.review_requested": "ignored REVIEW_OF_SOMEONE_ELSE", "pull_request.closed": "event Closed",
		"pull_request.converted_to_draft": "event Drafted", "pull_request.assigned": "ignored ACTION_OF_NO_INTEREST",
		"pull_request.unassigned": "ignored ACTION_OF_NO_INTEREST", "pull_request.locked": "ignored ACTION_OF_NO_INTEREST",
		"pull_request.unlocked": "ignored ACTION_OF_NO_INTEREST", "pull_request.review_request_removed": "ignored ACTION_OF_NO_INTEREST",

		"issue_comment.created": "ignored NOT_A_PULL_REQUEST", "issue_comment.edited": "ignored NOT_A_PULL_REQUEST",
		"issue_comment.deleted":               "ignored NOT_A_PULL_REQUEST",
		"pull_request_review_comment.created": "event Commented", "pull_request_review_comment.edited": "ignored ACTION_OF_NO_INTEREST",
		"pull_request_review_comment.deleted": "event CommentDeleted",
		"pull_request_review.submitted":       "ignored NO_TEXT", "pull_request_review.dismissed": "ignored ACTION_OF_NO_INTEREST",
		"pull_request_review_thread.resolved": "event Resolved", "pull_request_review_thread.unresolved": "event Resolved",

		"check_run.created": "ignored ACTION_OF_NO_INTEREST", "check_run.completed": "ignored ACTION_OF_NO_INTEREST",
		"check_run.rerequested": "event CheckAction", "check_run.requested_action": "event CheckAction",
		"check_suite.completed": "ignored ACTION_OF_NO_INTEREST", "check_suite.requested": "ignored ACTION_OF_NO_INTEREST",
		"check_suite.rerequested": "review 8",

		"push.-": "ignored NOT_A_BRANCH", "push.-.5": "event Moved", "push.-.6": "event Moved", "create.-": "ignored ACTION_OF_NO_INTEREST",
		"delete.-": "ignored NOT_A_BRANCH",

		"installation.created": "event Installed", "installation.deleted": "event Installed", "installation.suspend": "event Installed",
		"installation.unsuspend": "event Installed", "installation.new_permissions_accepted": "event Installed",
		"installation_repositories.added": "event Installed", "installation_repositories.removed": "event Installed",
		"repository.created": "ignored ACTION_OF_NO_INTEREST", "repository.edited": "ignored ACTION_OF_NO_INTEREST",
		"repository.publicized": "ignored ACTION_OF_NO_INTEREST", "repository.privatized": "event RepositoryChanged",
		"repository.renamed": "event RepositoryChanged", "repository.transferred": "event RepositoryChanged",
		"ping.-": "ignored PING", "meta.deleted": "ignored HOOK_DELETED", "github_app_authorization.revoked": "ignored AUTHORIZATION_REVOKED",
	}
}

func effect(d ingest.Decision) string {
	switch {
	case d.Ignored != "":
		return "ignored " + d.Ignored
	case len(d.Reviews) > 0:
		return fmt.Sprintf("review %d", d.Reviews[0].Trigger)
	default:
		return "event " + strings.TrimPrefix(fmt.Sprintf("%T", d.Events[0].What), "ingest.")
	}
}

func TestSharedPayloadsMeanWhatTheTableSays(t *testing.T) {
	t.Parallel()
	payloads, _ := sharedPayloads(t)
	table, used := effects(), map[string]bool{}
	for _, p := range payloads {
		name := strings.TrimSuffix(p.File[strings.LastIndex("/"+p.File, "/"):], ".json")
		key := name[:strings.LastIndex(name, ".")]
		if _, special := table[name]; special {
			key = name
		}
		used[key] = true
		d, err := ingest.Route(p.Event, p.Body, ingest.Self{})
		require.NoError(t, err, name)
		require.Equal(t, table[key], effect(d), name)
	}
	require.Len(t, used, len(table), "every line of the table has a payload")
}

// repositoryJSON is the repository of the hand-written payloads; ours is what Route makes of it.
const repositoryJSON = `"repository":{"id":7,"name":"shop","full_name":"ada/shop","html_url":"https://ghe.example/ada/shop","default_branch":"main"},` +
	`"installation":{"id":5},"sender":{"login":"ben","type":"User"}`

func ours() ingest.Repository {
	return ingest.Repository{Host: "ghe.example", Owner: "ada", Name: "shop", ID: 7, Installation: 5, DefaultBranch: "main"}
}

// told is the decision of one event of ours.
func told(what ingest.Happening) ingest.Decision {
	return ingest.Decision{Events: []ingest.Event{{Repository: ours(), Sender: "ben", What: what}}}
}

func started(trigger ingest.Trigger, number int64) ingest.Decision {
	return ingest.Decision{Reviews: []ingest.Review{{Repository: ours(), Number: number, Trigger: trigger}}}
}

// named is a pull request into a repository as checks name it.
func named(number, repository int) string {
	return fmt.Sprintf(`{"number":%d,"base":{"ref":"main","repo":{"id":%d}}}`, number, repository)
}

const commit = "0123456789abcdef0123456789abcdef01234567"

func TestRoute(t *testing.T) {
	t.Parallel()
	whole := started(ingest.BaseChanged, 3)
	whole.Reviews[0].Whole = true
	labeled := started(ingest.Labeled, 3)
	labeled.Reviews[0].Label = "deep review"
	two := started(ingest.CheckRequested, 3)
	two.Reviews = append(two.Reviews, started(ingest.CheckRequested, 4).Reviews...)
	ignored := func(reason string) ingest.Decision { return ingest.Decision{Ignored: reason} }
	self := ingest.Self{Login: "witan-bot", AppID: 9}
	for name, c := range map[string]struct {
		event, body string
		want        ingest.Decision
	}{
		"from a fork":                {"pull_request", `{"action":"opened","number":3,"pull_request":{"number":3,"head":{"repo":{"id":8,"full_name":"eve/shop","fork":true}}}}`, started(ingest.Opened, 3)},
		"its fork is gone":           {"pull_request", `{"action":"synchronize","number":3,"pull_request":{"number":3,"head":{"repo":null,"user":null}}}`, started(ingest.Pushed, 3)},
		"number in the object":       {"pull_request", `{"action":"reopened","pull_request":{"number":3}}`, started(ingest.Reopened, 3)},
		"base changed":               {"pull_request", `{"action":"edited","number":3,"changes":{"base":{"ref":{"from":"main"},"sha":{"from":"00"}}}}`, whole},
		"title changed":              {"pull_request", `{"action":"edited","number":3,"changes":{"title":{"from":"x"}}}`, ignored("BASE_UNCHANGED")},
		"labeled":                    {"pull_request", `{"action":"labeled","number":3,"label":{"name":"deep review"}}`, labeled},
		"review requested of us":     {"pull_request", `{"action":"review_requested","number":3,"requested_reviewer":{"login":"Witan-Bot"}}`, started(ingest.Requested, 3)},
		"review requested of a team": {"pull_request", `{"action":"review_requested","number":3,"requested_team":{"slug":"witan-bot"}}`, ignored("REVIEW_OF_SOMEONE_ELSE")},
		"closed":                     {"pull_request", `{"action":"closed","number":3,"pull_request":{"merged":false}}`, told(ingest.Closed{Number: 3})},
		"merged":                     {"pull_request", `{"action":"closed","number":3,"pull_request":{"merged":true}}`, told(ingest.Closed{Number: 3, Merged: true})},
		"drafted":                    {"pull_request", `{"action":"converted_to_draft","number":3}`, told(ingest.Drafted{Number: 3})},

		"comment on a pull request": {
			"issue_comment", `{"action":"created","issue":{"number":3,"pull_request":{"url":"x"}},"comment":{"id":11,"body":"/witan review","user":{"login":"ben","type":"User"}}}`,
			told(ingest.Commented{Number: 3, Place: ingest.InConversation, ID: 11, Body: "/witan review"}),
		},
		"comment on an issue": {"issue_comment", `{"action":"created","issue":{"number":3,"pull_request":null},"comment":{"id":11,"body":"/witan review"}}`, ignored("NOT_A_PULL_REQUEST")},
		"a bot's comment":     {"issue_comment", `{"action":"created","issue":{"number":3,"pull_request":{}},"comment":{"id":11,"body":"/witan review","user":{"type":"Bot"}}}`, ignored("SENDER_IS_BOT")},
		"edited comment":      {"issue_comment", `{"action":"edited","issue":{"number":3,"pull_request":{}},"comment":{"id":11,"body":"/witan review"}}`, ignored("ACTION_OF_NO_INTEREST")},
		"deleted comment":     {"issue_comment", `{"action":"deleted","issue":{"number":3,"pull_request":{}},"comment":{"id":11,"user":{"type":"Bot"}}}`, told(ingest.CommentDeleted{Number: 3, Place: ingest.InConversation, ID: 11})},
		"answer in a thread": {
			"pull_request_review_comment", `{"action":"created","pull_request":{"number":3},"comment":{"id":12,"in_reply_to_id":11,"body":"why?"}}`,
			told(ingest.Commented{Number: 3, Place: ingest.InThread, ID: 12, InReplyTo: 11, Body: "why?"}),
		},
		"deleted in a thread":   {"pull_request_review_comment", `{"action":"deleted","pull_request":{"number":3},"comment":{"id":12,"in_reply_to_id":11,"body":"why?"}}`, told(ingest.CommentDeleted{Number: 3, Place: ingest.InThread, ID: 12})},
		"text of a review":      {"pull_request_review", `{"action":"submitted","pull_request":{"number":3},"review":{"id":13,"body":"/witan help"}}`, told(ingest.Commented{Number: 3, Place: ingest.InReview, ID: 13, Body: "/witan help"})},
		"review without a text": {"pull_request_review", `{"action":"submitted","pull_request":{"number":3},"review":{"id":13,"body":null}}`, ignored("NO_TEXT")},
		"resolved":              {"pull_request_review_thread", `{"action":"resolved","pull_request":{"number":3},"thread":{"comments":[{"id":11},{"id":12}]}}`, told(ingest.Resolved{Number: 3, CommentIDs: []int64{11, 12}, Resolved: true})},
		"opened again":          {"pull_request_review_thread", `{"action":"unresolved","pull_request":{"number":3},"thread":{"comments":[{"id":11}]}}`, told(ingest.Resolved{Number: 3, CommentIDs: []int64{11}})},

		"check asked for again": {"check_run", `{"action":"rerequested","check_run":{"id":20,"head_sha":"` + commit + `","app":{"id":9},"pull_requests":[` + named(3, 7) + "," + named(4, 7) + "," + named(3, 7) + `]}}`, two},
		"check of a fork":       {"check_run", `{"action":"rerequested","check_run":{"id":20,"head_sha":"` + commit + `","app":{"id":9},"pull_requests":[]}}`, told(ingest.CheckAction{CheckRun: 20, Head: commit, Action: "rerequested"})},
		"check of one upstream": {"check_run", `{"action":"rerequested","check_run":{"id":20,"head_sha":"` + commit + `","app":{"id":9},"pull_requests":[` + named(3, 8) + `]}}`, told(ingest.CheckAction{CheckRun: 20, Head: commit, Action: "rerequested"})},
		"suite of both":         {"check_suite", `{"action":"rerequested","check_suite":{"id":21,"head_sha":"` + commit + `","app":{"id":9},"pull_requests":[` + named(12, 8) + "," + named(3, 7) + `]}}`, started(ingest.CheckRequested, 3)},
		"suite of a fork":       {"check_suite", `{"action":"rerequested","check_suite":{"id":21,"head_sha":"` + commit + `","app":{"id":9}}}`, told(ingest.CheckAction{Head: commit, Action: "rerequested"})},
		"check of another app":  {"check_run", `{"action":"rerequested","check_run":{"id":20,"head_sha":"` + commit + `","app":{"id":8},"pull_requests":[` + named(3, 7) + `]}}`, ignored("OTHER_APP")},
		"button": {
			"check_run", `{"action":"requested_action","requested_action":{"identifier":"full"},"check_run":{"id":20,"head_sha":"` + commit + `","app":{"id":9},"pull_requests":[` + named(3, 7) + "," + named(9, 8) + `]}}`,
			told(ingest.CheckAction{CheckRun: 20, Head: commit, Action: "full", Numbers: []int64{3}}),
		},
		"button of another app": {"check_run", `{"action":"requested_action","requested_action":{"identifier":"full"},"check_run":{"id":20,"head_sha":"` + commit + `","app":{"id":8}}}`, ignored("OTHER_APP")},

		"push":                 {"push", `{"ref":"refs/heads/main","after":"` + commit + `"}`, told(ingest.Moved{Branch: "main", After: commit})},
		"push elsewhere":       {"push", `{"ref":"refs/heads/feature","after":"` + commit + `"}`, ignored("NOT_THE_DEFAULT_BRANCH")},
		"push of a deletion":   {"push", `{"ref":"refs/heads/main","deleted":true,"after":"0000000000000000000000000000000000000000"}`, ignored("BRANCH_DELETED")},
		"branch deleted":       {"delete", `{"ref":"feature/x","ref_type":"branch"}`, told(ingest.BranchDeleted{Branch: "feature/x"})},
		"repository gone":      {"repository", `{"action":"deleted"}`, told(ingest.RepositoryChanged{Change: ingest.RepositoryDeleted})},
		"nothing was removed":  {"installation_repositories", `{"action":"removed","repositories_removed":[]}`, ignored("NO_REPOSITORIES")},
		"unknown":              {"star", `{"action":"created"}`, ignored("UNKNOWN_EVENT")},
		"unknown and unusable": {"star", `[]`, ignored("UNKNOWN_EVENT")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := strings.TrimSuffix(c.body, "}") + "," + repositoryJSON + "}"
			d, err := ingest.Route(c.event, []byte(body), self)
			require.NoError(t, err)
			require.Equal(t, c.want, d)
		})
	}
}

func TestInstallations(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for n := range 1001 {
		if n > 0 {
			many.WriteString(",")
		}
		fmt.Fprintf(&many, `{"id":%d,"name":"r%d","full_name":"ada/r%d"}`, n+1, n, n)
	}
	route := func(event, body string) ingest.Decision {
		d, err := ingest.Route(event, []byte(`{"installation":{"id":5,"account":{"html_url":"https://ghe.example/ada"}},`+body), ingest.Self{})
		require.NoError(t, err)
		return d
	}
	d := route("installation", `"action":"created","repositories":[`+many.String()+`]}`)
	require.Len(t, d.Events, 2)
	first, ok := d.Events[0].What.(ingest.Installed)
	require.True(t, ok)
	last, ok := d.Events[1].What.(ingest.Installed)
	require.True(t, ok)
	require.Len(t, first.Repositories, 1000)
	require.Equal(t, []ingest.Repository{{Host: "ghe.example", Owner: "ada", Name: "r1000", ID: 1001, Installation: 5}}, last.Repositories)

	d = route("installation", `"action":"deleted","repositories":[`+many.String()+`]}`)
	require.Equal(t, []ingest.Event{{What: ingest.Installed{Installation: 5, Change: ingest.InstallationRemoved}}}, d.Events, "all of it")
	d = route("installation_repositories", `"action":"removed","repositories_removed":[{"id":1,"full_name":"ada/r"}]}`)
	require.Equal(t, []ingest.Event{{What: ingest.Installed{Installation: 5, Change: ingest.InstallationRemoved, Repositories: []ingest.Repository{
		{Host: "ghe.example", Owner: "ada", Name: "r", ID: 1, Installation: 5},
	}}}}, d.Events)
}

func TestPayloadsWithoutWhatTheyAreAboutAreUnreadable(t *testing.T) {
	t.Parallel()
	for event, bodies := range map[string][]string{
		"pull_request": {
			`{"action":"opened","number":3}`, `{"action":"opened","number":0,` + repositoryJSON + `}`, `{"action":"opened","number":"3",` + repositoryJSON + `}`,
			`{"action":"closed","number":-1,` + repositoryJSON + `}`, `{"action":"labeled","number":3,` + repositoryJSON + `}`,
			`{"action":"opened","number":3,"repository":{"id":7,"full_name":"ada"}}`, `{"action":"opened","number":3,"repository":{"id":0,"full_name":"ada/shop"}}`,
			`{"action":"opened","number":3,"repository":{"id":7,"full_name":"a/b/c"}}`,
		},
		"issue_comment": {
			`{"action":"created","issue":{"number":3,"pull_request":{}},"comment":{"body":"x"},` + repositoryJSON + `}`,
			`{"action":"created","issue":{"number":3,"pull_request":{}},"comment":{"id":1,"body":"` + strings.Repeat("x", 256<<10+1) + `"},` + repositoryJSON + `}`,
		},
		"pull_request_review_thread": {`{"action":"resolved","pull_request":{"number":3},"thread":{"comments":[]},` + repositoryJSON + `}`},
		"check_run":                  {`{"action":"rerequested","check_run":{"id":1,"head_sha":"HEAD"},` + repositoryJSON + `}`},
		"push":                       {`{"ref":"refs/heads/main","after":"x",` + repositoryJSON + `}`, `[]`},
		"installation":               {`{"action":"created"}`},
	} {
		for _, body := range bodies {
			_, err := ingest.Route(event, []byte(body), ingest.Self{})
			require.ErrorIs(t, err, ingest.ErrUnreadable, "%s %.100s", event, body)
		}
	}
}

func FuzzRoute(f *testing.F) {
	for event := range map[string]bool{"pull_request": true, "issue_comment": true, "check_suite": true, "push": true, "installation": true} {
		f.Add(event, []byte(`{"action":"created","number":1,`+repositoryJSON+`}`))
	}
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		d, err := ingest.Route(event, body, ingest.Self{})
		if (err != nil) == (d.Ignored != "" || len(d.Reviews)+len(d.Events) > 0) {
			t.Fatalf("%v %+v: either it is unreadable or it means something", err, d)
		}
		for _, r := range d.Reviews {
			if r.Number < 1 || r.Repository.ID < 1 || r.Repository.Owner == "" || r.Repository.Name == "" {
				t.Fatalf("a review of %+v", r)
			}
		}
	})
}
