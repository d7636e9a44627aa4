package ingest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Self is how we are known to GitHub, as far as that decides what a webhook means to us. The zero value knows nothing.
type Self struct {
	// Login is the account of which reviews are requested; empty: no request of a review is ours.
	Login string
	// AppID is the GitHub App's; 0: checks that are asked for again are ours, since GitHub tells their own App only.
	AppID int64
}

// Decision is what a delivery means: an outcome that needs nobody, or reviews to start and events to hand over.
type Decision struct {
	// Ignored says why nothing is to be done; empty: something is.
	Ignored string
	Reviews []Review
	Events  []Event
}

// ErrUnreadable is a payload without what its event is about. Another version of Witan may be able to read it.
var ErrUnreadable = errors.New("the payload cannot be read")

var objectID = regexp.MustCompile(`^[0-9a-f]{40,64}$`)

// Route says what an event of GitHub means. It depends on nothing but its arguments. ErrUnreadable.
func Route(event string, body []byte, self Self) (Decision, error) {
	route, known := routes()[event]
	if !known {
		return ignored(ReasonUnknownEvent)
	}
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return Decision{}, fmt.Errorf("%w: %s: %w", ErrUnreadable, event, err)
	}
	d, err := route(&p, self)
	if err != nil {
		return Decision{}, fmt.Errorf("%w: %s.%s: %w", ErrUnreadable, event, actionText(p.Action), err)
	}
	return d, nil
}

// actionText keeps what cannot be an action out of errors.
func actionText(action string) string {
	if !isEvent(action) {
		return "-"
	}
	return action
}

type router func(*payload, Self) (Decision, error)

func routes() map[string]router {
	return map[string]router{
		"pull_request":                routePullRequest,
		"issue_comment":               routeIssueComment,
		"pull_request_review_comment": routeReviewComment,
		"pull_request_review":         routeReview,
		"pull_request_review_thread":  routeThread,
		"check_run":                   routeCheckRun,
		"check_suite":                 routeCheckSuite,
		"push":                        routePush,
		"create":                      always(ReasonNoInterest),
		"delete":                      routeDelete,
		"installation":                routeInstallation,
		"installation_repositories":   routeInstallationRepositories,
		"repository":                  routeRepository,
		"ping":                        always(ReasonPing),
		"meta":                        always(ReasonHookDeleted),
		"github_app_authorization":    always(ReasonAuthorization),
	}
}

func ignored(reason string) (Decision, error) { return Decision{Ignored: reason}, nil }

func always(reason string) router {
	return func(*payload, Self) (Decision, error) { return ignored(reason) }
}

func routePullRequest(p *payload, self Self) (Decision, error) {
	triggers := map[string]Trigger{
		"opened": Opened, "reopened": Reopened, "ready_for_review": Ready, "synchronize": Pushed, "edited": BaseChanged,
		"labeled": Labeled, "unlabeled": Labeled, "review_requested": Requested,
	}
	trigger, starts := triggers[p.Action]
	switch {
	case p.Action == "closed" || p.Action == "converted_to_draft":
		return routeEnd(p)
	case !starts:
		return ignored(ReasonNoInterest)
	case trigger == BaseChanged && isNull(p.Changes.Base):
		return ignored(ReasonBaseUnchanged)
	case trigger == Requested && (self.Login == "" || !strings.EqualFold(p.RequestedReviewer.Login, self.Login)):
		return ignored(ReasonNotRequested)
	}
	number := cmp.Or(p.Number, p.PullRequest.Number)
	d, err := p.start(trigger, []int64{number})
	if err != nil {
		return Decision{}, err
	}
	d.Reviews[0].Whole = trigger == BaseChanged
	if trigger == Labeled {
		if d.Reviews[0].Label = p.Label.Name; p.Label.Name == "" {
			return Decision{}, errors.New("no label is named")
		}
	}
	return d, nil
}

func routeEnd(p *payload) (Decision, error) {
	number := cmp.Or(p.Number, p.PullRequest.Number)
	if number < 1 {
		return Decision{}, errNoNumber
	}
	if p.Action == "closed" {
		return p.tell(Closed{Number: number, Merged: p.PullRequest.Merged})
	}
	return p.tell(Drafted{Number: number})
}

func routeIssueComment(p *payload, _ Self) (Decision, error) {
	if isNull(p.Issue.PullRequest) {
		return ignored(ReasonNotPullRequest)
	}
	return p.comment(p.Issue.Number, InConversation)
}

func routeReviewComment(p *payload, _ Self) (Decision, error) {
	return p.comment(p.PullRequest.Number, InThread)
}

// comment is for those in conversations and threads. Commands are the review service's matter: every new comment of a
// person is handed over.
func (p *payload) comment(number int64, place Place) (Decision, error) {
	c := p.Comment
	switch {
	case p.Action != "created" && p.Action != "deleted":
		return ignored(ReasonNoInterest)
	case number < 1:
		return Decision{}, errNoNumber
	case c.ID < 1:
		return Decision{}, errNoComment
	case p.Action == "deleted":
		return p.tell(CommentDeleted{Number: number, Place: place, ID: c.ID})
	}
	return p.written(Commented{Number: number, Place: place, ID: c.ID, InReplyTo: max(c.InReplyTo, 0), Body: c.Body}, c.User)
}

func (p *payload) written(c Commented, author userObject) (Decision, error) {
	switch {
	case p.Sender.bot() || author.bot():
		return ignored(ReasonBot)
	case strings.TrimSpace(c.Body) == "":
		return ignored(ReasonNoText)
	case len(c.Body) > maxComment:
		return Decision{}, fmt.Errorf("a comment of %d bytes", len(c.Body))
	}
	return p.tell(c)
}

func routeReview(p *payload, _ Self) (Decision, error) {
	switch {
	case p.Action != "submitted":
		return ignored(ReasonNoInterest)
	case p.PullRequest.Number < 1:
		return Decision{}, errNoNumber
	case p.Review.ID < 1:
		return Decision{}, errNoComment
	}
	return p.written(Commented{Number: p.PullRequest.Number, Place: InReview, ID: p.Review.ID, Body: p.Review.Body}, p.Review.User)
}

func routeThread(p *payload, _ Self) (Decision, error) {
	if p.Action != "resolved" && p.Action != "unresolved" {
		return ignored(ReasonNoInterest)
	}
	if p.Sender.bot() {
		return ignored(ReasonBot)
	}
	var ids []int64
	for _, c := range p.Thread.Comments[:min(len(p.Thread.Comments), maxComments)] {
		if c.ID < 1 {
			return Decision{}, errNoComment
		}
		ids = append(ids, c.ID)
	}
	switch {
	case p.PullRequest.Number < 1:
		return Decision{}, errNoNumber
	case len(ids) == 0:
		return Decision{}, errNoComment
	}
	return p.tell(Resolved{Number: p.PullRequest.Number, CommentIDs: ids, Resolved: p.Action == "resolved"})
}

func routeCheckRun(p *payload, self Self) (Decision, error) {
	if p.Action == "requested_action" && ours(p.CheckRun, self) {
		if p.RequestedAction.Identifier == "" || p.CheckRun.ID < 1 {
			return Decision{}, errors.New("no check run or action is named")
		}
		return p.check(p.CheckRun, p.RequestedAction.Identifier)
	}
	return p.again(p.CheckRun, p.CheckRun.ID, self)
}

func routeCheckSuite(p *payload, self Self) (Decision, error) { return p.again(p.CheckSuite, 0, self) }

// again is for checks that are asked for again. Where no pull request is named, as for those of forks, the review service
// finds it by the check's commit.
func (p *payload) again(c checkObject, run int64, self Self) (Decision, error) {
	switch {
	case p.Action == "requested_action" || p.Action == "rerequested" && !ours(c, self):
		return ignored(ReasonOtherApp)
	case p.Action != "rerequested":
		return ignored(ReasonNoInterest)
	}
	if numbers := p.numbers(c); len(numbers) > 0 {
		return p.start(CheckRequested, numbers)
	}
	c.ID = run
	return p.check(c, RerequestedAction)
}

func (p *payload) check(c checkObject, action string) (Decision, error) {
	if !objectID.MatchString(c.HeadSHA) {
		return Decision{}, fmt.Errorf("%.80q is no object ID", c.HeadSHA)
	}
	return p.tell(CheckAction{CheckRun: max(c.ID, 0), Head: c.HeadSHA, Action: action, Numbers: p.numbers(c)})
}

func ours(c checkObject, self Self) bool { return self.AppID == 0 || c.App.ID == self.AppID }

func routePush(p *payload, _ Self) (Decision, error) {
	branch, isBranch := strings.CutPrefix(p.Ref, "refs/heads/")
	switch {
	case !isBranch:
		return ignored(ReasonNotBranch)
	case p.Deleted:
		return ignored(ReasonBranchGone) // the event delete tells of it too
	case branch != p.Repository.DefaultBranch:
		return ignored(ReasonNotDefault)
	case !objectID.MatchString(p.After):
		return Decision{}, fmt.Errorf("%.80q is no object ID", p.After)
	}
	return p.tell(Moved{Branch: branch, After: p.After})
}

func routeDelete(p *payload, _ Self) (Decision, error) {
	if p.RefType != "branch" {
		return ignored(ReasonNotBranch)
	}
	if p.Ref == "" {
		return Decision{}, errors.New("no branch is named")
	}
	return p.tell(BranchDeleted{Branch: p.Ref})
}

func routeInstallation(p *payload, _ Self) (Decision, error) {
	switch p.Action {
	case "created":
		return p.installed(InstallationAdded, p.Repositories)
	case "deleted", "suspend":
		return p.installed(InstallationRemoved, nil)
	case "unsuspend", "new_permissions_accepted":
		return p.installed(InstallationRefreshed, nil)
	default:
		return ignored(ReasonNoInterest)
	}
}

// routeInstallationRepositories never makes an event of no repositories: that would mean all of them.
func routeInstallationRepositories(p *payload, _ Self) (Decision, error) {
	change, named := InstallationAdded, p.Added
	switch p.Action {
	case "added":
	case "removed":
		change, named = InstallationRemoved, p.Removed
	default:
		return ignored(ReasonNoInterest)
	}
	if len(named) == 0 {
		return ignored(ReasonNoRepositories)
	}
	return p.installed(change, named)
}

// installed makes one event, or several where there are more repositories than one may name.
func (p *payload) installed(change InstallationChange, named []repositoryObject) (Decision, error) {
	if p.Installation.ID < 1 {
		return Decision{}, errors.New("no installation is named")
	}
	var repositories []Repository
	for _, o := range named {
		r, err := o.read(p.Installation.ID, hostOf(p.Installation.Account.HTMLURL))
		if err != nil {
			return Decision{}, err
		}
		repositories = append(repositories, r)
	}
	var d Decision
	for first := true; first || len(repositories) > 0; first = false {
		n := min(len(repositories), maxRepositories)
		d.Events = append(d.Events, p.event(Repository{}, Installed{
			Installation: p.Installation.ID, Change: change, Repositories: repositories[:n],
		}))
		repositories = repositories[n:]
	}
	return d, nil
}

func routeRepository(p *payload, _ Self) (Decision, error) {
	switch p.Action {
	case "renamed", "transferred":
		return p.tell(RepositoryChanged{RepositoryRenamed})
	case "privatized":
		return p.tell(RepositoryChanged{RepositoryPrivatized})
	case "deleted":
		return p.tell(RepositoryChanged{RepositoryDeleted})
	default:
		return ignored(ReasonNoInterest)
	}
}

var (
	errNoNumber  = errors.New("no pull request is named")
	errNoComment = errors.New("no comment is named")
)

// start makes a decision of reviews of the event's repository.
func (p *payload) start(trigger Trigger, numbers []int64) (Decision, error) {
	repository, err := p.repository()
	if err != nil {
		return Decision{}, err
	}
	var d Decision
	for _, number := range numbers {
		if number < 1 {
			return Decision{}, errNoNumber
		}
		d.Reviews = append(d.Reviews, Review{Repository: repository, Number: number, Trigger: trigger})
	}
	return d, nil
}

// tell makes a decision of one event of the event's repository.
func (p *payload) tell(what Happening) (Decision, error) {
	repository, err := p.repository()
	if err != nil {
		return Decision{}, err
	}
	return Decision{Events: []Event{p.event(repository, what)}}, nil
}

func (p *payload) event(repository Repository, what Happening) Event {
	return Event{Repository: repository, Sender: p.Sender.Login, Bot: p.Sender.bot(), What: what}
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
