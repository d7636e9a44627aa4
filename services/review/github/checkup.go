package github

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"

	"witan.dev/services/review"
)

// Grade says what a line of a checkup is.
type Grade string

// The grades.
const (
	Good Grade = "good"
	Note Grade = "note" // worth knowing
	Bad  Grade = "bad"  // wrong; the text says how to mend it
)

// Checked is one line of a checkup.
type Checked struct {
	Grade Grade
	Text  string
}

// needed are the permissions that the App has to be granted, and what each is for, or what is missed without it.
//
//nolint:gochecknoglobals // a table
var needed = []struct {
	name, level, why string
	grade            Grade // where it lacks
}{
	{"metadata", "read", "every App has it", Bad},
	{"contents", "read", "to fetch the code and .witan.yaml", Bad},
	{"pull_requests", "write", "to comment", Bad},
	{"issues", "read", "without it GitHub offers no event issue_comment, so there are no commands in conversations", Note},
	{"checks", "write", "without it there is no check run, and the result stands in comments only", Note},
}

// subscribed are the events that webhooks are needed of, and what is missed without them.
//
//nolint:gochecknoglobals // a table
var subscribed = []struct{ name, missed string }{
	{"pull_request", "no review starts by itself"},
	{"issue_comment", "no commands in conversations"},
	{"pull_request_review_comment", "no commands in threads, and answers there are not noticed"},
	{"pull_request_review", "no commands in reviews"},
	{"pull_request_review_thread", "resolving a thread does not dismiss its finding"},
	{"check_run", "re-running the check does nothing"},
	{"check_suite", "re-running all checks does nothing"},
	{"push", "pushes to the default branch go unnoticed: its index is made by the next review"},
	{"delete", "the index of a default branch that is deleted stays until its repository goes"},
	{"repository", "renamed repositories are noticed late, and the code of deleted ones stays indexed"},
}

// Checkup asks GitHub whether the credentials work, what they are permitted, which events are sent where, and how many
// requests are left. It changes nothing.
func (c *Client) Checkup(ctx context.Context) []Checked {
	if c.p.AppID == 0 {
		return c.checkToken(ctx)
	}
	app, err := c.connection(connectionKey{purpose: asApp})
	if err != nil {
		return []Checked{bad("%v", err)}
	}
	var me github.App
	if err := app.get(ctx, "app", &me); err != nil {
		if away(err) {
			return []Checked{bad("GitHub cannot be reached at %s: %v", c.host, err)}
		}
		return []Checked{bad("the App %d is not accepted at %s: %v; check github.app_id and its private key", c.p.AppID, c.host, err)}
	}
	out := []Checked{{Good, fmt.Sprintf("App %s at %s", line(me.GetSlug(), 100), c.host)}}
	out = append(out, c.checkName(line(me.GetSlug(), 100))...)
	out = append(out, checkPermissions(me.GetPermissions())...)
	out = append(out, checkEvents(me.Events)...)
	out = append(out, checkHook(ctx, app))
	return append(out, c.checkInstallations(ctx, app)...)
}

// away says whether there was no answer about what was asked. The caller's deadline passes for want of one, too.
func away(err error) bool {
	_, limited := errors.AsType[*review.LimitError](err)
	return limited || errors.Is(err, review.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// checkName compares the name that commands are known by with the one that GitHub offers to people who type @.
func (c *Client) checkName(slug string) []Checked {
	name := strings.TrimPrefix(c.p.Name, "@")
	if name == "" || strings.EqualFold(name, slug) {
		return nil
	}
	return []Checked{{Note, fmt.Sprintf("comments to @%s are not noticed: github.name is %s; set it to %s, or write /witan", slug, line(name, 100), slug)}}
}

func bad(format string, args ...any) Checked { return Checked{Bad, fmt.Sprintf(format, args...)} }

func checkPermissions(p *github.InstallationPermissions) []Checked {
	granted := map[string]string{
		"metadata": p.GetMetadata(), "contents": p.GetContents(), "pull_requests": p.GetPullRequests(), "issues": p.GetIssues(),
		"checks": p.GetChecks(),
	}
	var out []Checked
	for _, n := range needed {
		if has := granted[n.name]; has != n.level && has != "write" && has != "admin" {
			text := fmt.Sprintf("the App lacks the permission %s: %s (%s); grant it in the App's settings", n.name, n.level, n.why)
			out = append(out, Checked{n.grade, text})
		}
	}
	if out == nil {
		out = []Checked{{Good, "its permissions suffice"}}
	}
	return out
}

func checkEvents(events []string) []Checked {
	var out []Checked
	for _, e := range subscribed {
		if slices.Contains(events, e.name) {
			continue
		}
		if e.name == "pull_request" {
			out = append(out, bad("the App does not subscribe to the event %s: %s", e.name, e.missed))
			continue
		}
		out = append(out, Checked{Note, fmt.Sprintf("the App does not subscribe to the event %s: %s", e.name, e.missed)})
	}
	if out == nil {
		out = []Checked{{Good, "it subscribes to all events that are used"}}
	}
	return out
}

// checkHook looks where deliveries go. Not every server tells.
func checkHook(ctx context.Context, app *connection) Checked {
	var hook github.HookConfig
	if err := app.get(ctx, "app/hook/config", &hook); err != nil {
		return Checked{Note, "GitHub does not tell where the App's webhooks go"}
	}
	switch url := line(hook.GetURL(), 200); {
	case url == "":
		return bad("the App has no webhook address: set it to https://…/webhooks/github")
	case !strings.HasSuffix(strings.TrimSuffix(url, "/"), "/webhooks/github"):
		return Checked{Note, "webhooks go to " + url + ", which does not end in /webhooks/github"}
	case hook.GetContentType() != "json":
		return bad("webhooks go to %s as %s: set their content type to application/json", url, line(hook.GetContentType(), 40))
	default:
		return Checked{Good, "webhooks go to " + url}
	}
}

func (c *Client) checkInstallations(ctx context.Context, app *connection) []Checked {
	var list []*github.Installation
	if id := c.p.Installation; id != 0 { // no other one is used
		one := &github.Installation{}
		switch err := app.get(ctx, fmt.Sprintf("app/installations/%d", id), one); {
		case errors.Is(err, errNotFound):
			return []Checked{bad("github.installation: %d is no installation of the App, so every review fails; leave it out to have it looked up", id)}
		case err != nil:
			return []Checked{bad("its installation %d cannot be looked up: %v", id, err)}
		}
		list = append(list, one)
	} else if err := app.get(ctx, "app/installations?per_page=100", &list); err != nil {
		return []Checked{bad("its installations cannot be listed: %v", err)}
	}
	if len(list) == 0 {
		return []Checked{bad("the App is installed nowhere: install it on the repositories that are to be reviewed")}
	}
	grade := Note
	if !slices.ContainsFunc(list, func(i *github.Installation) bool { return i.SuspendedAt == nil }) {
		grade = Bad
	}
	var out []Checked
	for _, i := range list {
		account := line(i.GetAccount().GetLogin(), 100)
		if i.SuspendedAt != nil {
			out = append(out, Checked{grade, "its installation at " + account + " is suspended: every review there fails until that ends in the settings of the account"})
			continue
		}
		out = append(out, c.checkRate(ctx, connectionKey{purpose: toRead, installation: i.GetID()}, "at "+account))
	}
	return out
}

// checkRate asks how many requests are left, which costs none.
func (c *Client) checkRate(ctx context.Context, key connectionKey, where string) Checked {
	line, err := c.askRate(ctx, key, where)
	if err != nil {
		return bad("%s: %v", where, err)
	}
	return line
}

func (c *Client) askRate(ctx context.Context, key connectionKey, where string) (Checked, error) {
	conn, err := c.connection(key)
	if err != nil {
		return Checked{}, err
	}
	var limits struct {
		Resources struct {
			Core github.Rate `json:"core"`
		} `json:"resources"`
	}
	if err := conn.get(ctx, "rate_limit", &limits); err != nil {
		return Checked{}, err
	}
	rate := limits.Resources.Core
	if rate.Limit > 0 && rate.Remaining*20 < rate.Limit {
		return Checked{Note, fmt.Sprintf("%s: %d of %d requests are left until %s", where, rate.Remaining, rate.Limit, rate.Reset.UTC().Format(time.RFC3339))}, nil
	}
	return Checked{Good, fmt.Sprintf("%s: %d of %d requests an hour are left", where, rate.Remaining, rate.Limit)}, nil
}

func (c *Client) checkToken(ctx context.Context) []Checked {
	key := connectionKey{purpose: toRead}
	rate, err := c.askRate(ctx, key, "with the token")
	switch {
	case away(err):
		return []Checked{bad("GitHub cannot be reached at %s: %v", c.host, err)}
	case err != nil:
		return []Checked{bad("the token is not accepted at %s: %v", c.host, err)}
	}
	out := []Checked{{Good, "the token is accepted at " + c.host}, rate}
	conn, err := c.connection(key)
	if err != nil {
		return append(out, bad("%v", err))
	}
	var me github.User
	switch err := conn.get(ctx, "user", &me); {
	case err == nil:
		out = append(out, Checked{Good, "it writes as " + line(me.GetLogin(), 100)})
	case c.p.User != "":
		out = append(out, Checked{Note, "it may not ask who it is; github.user says " + c.p.User})
	default:
		out = append(out, bad("it may not ask who it is: set github.user to the login that it writes as, or our own comments are not recognised"))
	}
	out = append(out, Checked{Note, "what a token may do cannot be asked: reviews need the repository permissions contents: read and pull requests: read and write"})
	return append(out, Checked{Note, "check runs need an App: with a token the result stands in comments only"})
}
