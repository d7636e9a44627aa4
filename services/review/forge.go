package review

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"witan.dev/internal/apierr"
	"witan.dev/internal/finding"
)

// Repo is a repository at a forge.
type Repo struct {
	Host  string `json:"host"` // "github.com"
	Owner string `json:"owner"`
	Name  string `json:"name"`
	// ID stays when the repository is renamed; 0 means that it was not looked up yet.
	ID int64 `json:"id,omitempty"`
	// Installation is the App's installation that the repository is in; 0 means that it has to be looked up, or that a
	// plain token is used.
	Installation int64 `json:"installation,omitempty"`
}

// FullName is owner/name.
func (r Repo) FullName() string { return r.Owner + "/" + r.Name }

// Row names what all reviews of the repository share. It is empty while the ID is unknown.
func (r Repo) Row() string {
	if r.ID == 0 {
		return ""
	}
	return fmt.Sprintf("github:%s/%d", strings.ToLower(r.Host), r.ID)
}

// PullRef names a pull request.
type PullRef struct {
	Repo

	Number int64 `json:"number"`
}

// Subject is what is reviewed again and again: the pull request under the ID of its repository. It is empty while the ID
// is unknown.
func (p PullRef) Subject() string {
	if p.ID == 0 {
		return ""
	}
	return fmt.Sprintf("%s#%d", p.Row(), p.Number)
}

// PullState says whether a pull request takes changes.
type PullState string

// The states of a pull request.
const (
	PullOpen   PullState = "OPEN"
	PullClosed PullState = "CLOSED"
	PullMerged PullState = "MERGED"
)

// PullRequest is a pull request as the forge tells of it. All texts are untrusted.
type PullRequest struct {
	PullRef

	State     PullState `json:"state"`
	Draft     bool      `json:"draft,omitempty"`
	Title     string    `json:"title"`
	Body      string    `json:"body,omitempty"`
	Author    string    `json:"author"`
	AuthorBot bool      `json:"author_bot,omitempty"`
	Labels    []string  `json:"labels,omitempty"`
	// BaseBranch is where it is to be merged, BaseTip that branch's newest commit. Base is the commit of the branch that the
	// forge compares with: an older one, until the pull request is pushed to again. Comments are placed by it.
	BaseBranch string `json:"base_branch"`
	Base       string `json:"base"`
	BaseTip    string `json:"base_tip"`
	// Head is the newest commit of the change. HeadBranch is empty where its repository is gone.
	Head       string `json:"head"`
	HeadBranch string `json:"head_branch,omitempty"`
	// Fork says that the head comes from another repository, or from one that is gone.
	Fork          bool   `json:"fork,omitempty"`
	DefaultBranch string `json:"default_branch,omitempty"`
	ChangedFiles  int    `json:"changed_files,omitempty"`
	URL           string `json:"url,omitempty"`
}

// Permission is what a person may do in a repository.
type Permission int

// The permissions, each of which includes those before it.
const (
	PermissionNone Permission = iota
	PermissionRead
	PermissionTriage
	PermissionWrite
	PermissionMaintain
	PermissionAdmin
)

// Forge reads from a forge with a token that cannot write. Safe for concurrent use. Errors: ErrPullRequestNotFound for what
// does not exist or may not be seen, ErrForgeRefused where the token is not permitted, *LimitError where the forge wants a
// pause, ErrUnavailable where it does not answer.
type Forge interface {
	// PullRequest reads a pull request, its repository's ID and installation included.
	PullRequest(ctx context.Context, ref PullRef) (PullRequest, error)
	// File reads a file of at most MaxText bytes at a commit. ErrNoFile, ErrTooLarge.
	File(ctx context.Context, repo Repo, path, commit string) ([]byte, error)
	// Permission reads what a person may do.
	Permission(ctx context.Context, repo Repo, login string) (Permission, error)
	// Tip is the newest commit of a branch; ErrRevisionUnknown where there is none.
	Tip(ctx context.Context, repo Repo, branch string) (commit string, err error)
}

// LimitError says that the forge takes nothing more before a time.
type LimitError struct {
	// Until is when to try again.
	Until time.Time
	// Secondary tells a limit on the pace from the one on the number of requests.
	Secondary bool
}

// Error implements error.
func (e *LimitError) Error() string {
	kind := "primary"
	if e.Secondary {
		kind = "secondary"
	}
	return fmt.Sprintf("the forge's %s rate limit is reached until %s", kind, e.Until.UTC().Format(time.RFC3339))
}

// Is makes a LimitError an ErrUnavailable for who does not look at its time.
func (e *LimitError) Is(target error) bool { return target == ErrUnavailable }

// What callers outside may see of a forge.
var (
	// ErrPullRequestNotFound: there is no such pull request, or the token does not see it.
	ErrPullRequestNotFound = apierr.NotFound(apierr.ReasonPullRequestNotFound, "there is no such pull request, or the configured credentials do not see it")
	// ErrForgeRefused: the credentials are wrong, expired, or lack a permission.
	ErrForgeRefused = apierr.Precondition(apierr.ReasonForgeRefused, "the forge refuses the configured credentials")
	// ErrNoForge: no credentials for a forge are configured.
	ErrNoForge = apierr.Precondition(apierr.ReasonForgeNotConfigured, "no GitHub App and no token is configured: see docs/github-app.md, or set WITAN_GITHUB_TOKEN")
	// ErrOtherForge: the credentials are for another forge than the repository's.
	ErrOtherForge = apierr.Precondition(apierr.ReasonForgeNotConfigured, "the repository lies at another forge than the one that github.base_url names")
)

// ErrHeadGone: the reviewed commit cannot be reached any more, after a force-push.
var ErrHeadGone = errors.New("the reviewed commit is gone from the forge")

// Trigger is what a review was started by.
type Trigger string

// The triggers. Their names are those of witan.review.v1.Review.Trigger.
const (
	TriggerCaller         Trigger = ""
	TriggerOpened         Trigger = "OPENED"
	TriggerReopened       Trigger = "REOPENED"
	TriggerReady          Trigger = "READY"
	TriggerPushed         Trigger = "PUSHED"
	TriggerBaseChanged    Trigger = "BASE_CHANGED"
	TriggerLabeled        Trigger = "LABELED"
	TriggerRequested      Trigger = "REQUESTED"
	TriggerCheckRequested Trigger = "CHECK_REQUESTED"
	TriggerCommand        Trigger = "COMMAND"
)

// Scope says how much of a change the members look at.
type Scope string

// The scopes.
const (
	ScopeDefault   Scope = "" // ScopeSinceLast where there is an earlier review to go on from
	ScopeWhole     Scope = "WHOLE_CHANGE"
	ScopeSinceLast Scope = "SINCE_LAST"
)

// What may be asked for at a check run of ours.
const (
	// CheckActionAgain is the forge's own way of running a check again.
	CheckActionAgain = "rerequested"
	// CheckActionWhole is our button: all of the change, whatever was reviewed before.
	CheckActionWhole = "review"
)

// Resolution is what the step resolve decided and pinned. It is stored, and every later step goes by it alone.
type Resolution struct {
	Pinned Pinned `json:"pinned"`
	// Pull is the pull request as it was then; nil for other sources.
	Pull *PullRequest `json:"pull,omitempty"`
	// Settings are the repository's, as far as the server allows them.
	Settings Settings `json:"settings"`
	// SettingsErrors are what is wrong in the repository's configuration; then the defaults hold.
	SettingsErrors []string `json:"settings_errors,omitempty"`
	// Declined is why nothing is looked at, empty otherwise. Silent: nothing is to be shown of it at the forge either.
	Declined string `json:"declined,omitempty"`
	Silent   bool   `json:"silent,omitempty"`
	// Scope is how much is looked at, and why it is all of it; SinceHead is the head that the earlier review saw.
	Scope       Scope  `json:"scope"`
	ScopeReason string `json:"scope_reason,omitempty"`
	SinceHead   string `json:"since_head,omitempty"`
}

// Settings are what a repository's .witan.yaml may say, with the defaults filled in and the server's limits applied. The
// zero value is not usable; DefaultSettings is.
type Settings struct {
	// Digest tells configurations apart; empty: the repository has none.
	Digest string `json:"digest,omitempty"`

	AutoOpened bool     `json:"auto_opened"`
	AutoPush   bool     `json:"auto_push"`
	AutoReady  bool     `json:"auto_ready"`
	Drafts     bool     `json:"drafts"`
	Branches   []string `json:"branches,omitempty"` // patterns of base branches that are reviewed; empty: all
	// What is not reviewed: authors, titles and labels (patterns). Labels without which nothing is; empty: no condition.
	IgnoreAuthors []string `json:"ignore_authors,omitempty"`
	IgnoreTitles  []string `json:"ignore_titles,omitempty"`
	IgnoreLabels  []string `json:"ignore_labels,omitempty"`
	Labels        []string `json:"labels,omitempty"`

	// Patterns of paths in the syntax of gitignore.
	Include   []string `json:"include,omitempty"`
	Exclude   []string `json:"exclude,omitempty"`
	Generated []string `json:"generated,omitempty"`

	Instructions []Instruction `json:"instructions,omitempty"`
	Guidelines   []string      `json:"guidelines,omitempty"` // paths, read at the base

	PublishFrom finding.Severity `json:"publish_from"`
	FailOn      finding.Severity `json:"fail_on"`
	Council     string           `json:"council,omitempty"` // resource name
	// MinVotes are confirmations asked for beside the server's, by severity.
	MinVotes  map[finding.Severity]int    `json:"min_votes,omitempty"`
	Reviewers map[string]ReviewerSettings `json:"reviewers,omitempty"`

	Inline      bool `json:"inline"`
	MaxInline   int  `json:"max_inline"`
	Suggestions bool `json:"suggestions"`

	Walkthrough         bool `json:"walkthrough"`
	WalkthroughCollapse bool `json:"walkthrough_collapse"`
	Check               bool `json:"check"`
	// IncompleteFails makes the check run of an incomplete review a failure instead of neutral, and that of one that failed or
	// was declined for what the author decides.
	IncompleteFails bool `json:"incomplete_fails"`

	MaxCalls  int64 `json:"max_calls,omitempty"`  // 0: the server's
	MaxTokens int64 `json:"max_tokens,omitempty"` // 0: the server's
	MaxCost   int64 `json:"max_cost,omitempty"`   // millionths of the currency; 0: the server's

	ContextOff     bool     `json:"context_off,omitempty"`
	ContextTokens  int      `json:"context_tokens,omitempty"` // 0: the server's
	ContextSources []string `json:"context_sources,omitempty"`
}

// Instruction is text for the members about the files that its patterns match.
type Instruction struct {
	Paths []string `json:"paths,omitempty"`
	Text  string   `json:"text"`
}

// ReviewerSettings switch a static reviewer.
type ReviewerSettings struct {
	Off bool `json:"off,omitempty"`
	// Severity replaces the reviewer's own; unspecified: it does not.
	Severity finding.Severity `json:"severity,omitempty"`
}

// DefaultSettings are those of a repository without a configuration.
func DefaultSettings() Settings {
	return Settings{
		AutoOpened: true, AutoPush: true, AutoReady: true,
		PublishFrom: finding.SeverityLow, FailOn: finding.SeverityHigh,
		Inline: true, MaxInline: MaxInline, Suggestions: true,
		Walkthrough: true, Check: true,
	}
}

// MaxInline is how many comments on lines a review posts at most (own choice); the rest stands in the walkthrough.
const MaxInline = 60
