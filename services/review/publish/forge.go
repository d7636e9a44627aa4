package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"witan.dev/internal/diff"
	"witan.dev/services/review"
)

// Kind says where a comment stands.
type Kind string

// The kinds of comments.
const (
	KindInline       Kind = "INLINE"       // on lines of the diff, and answers in such a thread
	KindFile         Kind = "FILE"         // on a changed file as a whole
	KindConversation Kind = "CONVERSATION" // of the pull request
	// KindReview is the text over a review's comments. It is only listed, never created alone.
	KindReview Kind = "REVIEW"
)

// Comment is a comment as the forge lists it. All texts are untrusted, also those of comments that are ours: whoever may
// write to the repository may edit them.
type Comment struct {
	ID   int64
	Kind Kind
	// Ours: the author is the App or the user that the writing token belongs to. Bot: it is another program.
	Ours   bool
	Bot    bool
	Author string
	Body   string
	URL    string
	// InReplyTo is the first comment of the thread that this one answers in; 0 for that comment itself and all others.
	InReplyTo int64
	// Path and Commit are where an inline or file comment was made.
	Path   string
	Commit string
	// Review is the review that the comment came with; 0 for none.
	Review    int64
	CreatedAt time.Time
}

// Thread is a conversation at a place of the diff.
type Thread struct {
	// ID is the forge's own name of it.
	ID string
	// Root is its first comment.
	Root     int64
	Resolved bool
}

// Inline is a comment to be made on lines of the diff. The position is one that the forge takes: on the right side lines
// of a hunk, on the left one deleted lines, all in one hunk.
type Inline struct {
	Path string
	Side diff.Side
	// StartLine is 0 for a comment on one line; else it is less than Line, which is the last one.
	StartLine, Line int
	Body            string
}

// CheckStatus says how far a check run came.
type CheckStatus string

// The statuses of a check run.
const (
	CheckInProgress CheckStatus = "IN_PROGRESS"
	CheckCompleted  CheckStatus = "COMPLETED"
)

// Conclusion is what a completed check run says.
type Conclusion string

// The conclusions.
const (
	Success   Conclusion = "SUCCESS"
	Failure   Conclusion = "FAILURE"
	Neutral   Conclusion = "NEUTRAL"
	Cancelled Conclusion = "CANCELLED"
)

// Check is a check run of ours at a commit.
type Check struct {
	ID int64 // 0 before it is created
	// ExternalID is ours: the key by which it is found again.
	ExternalID string
	Name       string
	Head       string // commit
	Status     CheckStatus
	Conclusion Conclusion // only when it is completed
	DetailsURL string     // empty: none
	Title      string
	Summary    string // markdown, at most MaxBody bytes
	Text       string // markdown, at most MaxBody bytes
	URL        string // of the check run itself; only read
}

// pull is the number of the pull request that a check run is of, with its #; empty where it does not say.
func (c *Check) pull() string {
	if at := strings.LastIndexByte(c.ExternalID, '#'); at >= 0 {
		return c.ExternalID[at:]
	}
	return ""
}

// Titles of check runs that failed for what others said begin with these; no other title does.
const (
	failedBefore    = "Failed before: "
	failedElsewhere = "Failed in pull request "
)

// concluded says whether a check run came to a conclusion of its review.
func (c *Check) concluded() bool {
	return c.Status == CheckCompleted && (c.Conclusion == Failure || c.Conclusion == Neutral || c.Conclusion == Success)
}

// besides lets a check run fail where another pull request's failed at the same commit, of which the newest run of a name is what
// counts: whoever opens a second pull request of the commit, as a draft or into another branch, must not get the first one past. Only
// what that one's own review said counts: two that failed for each other would never pass again.
func (c *Check) besides(there []Check) {
	newest := map[string]*Check{}
	for i := range there {
		o := &there[i]
		if !o.concluded() || strings.HasPrefix(o.Title, failedBefore) {
			continue // an earlier one says why it failed
		}
		if pull := o.pull(); pull != "" && pull != c.pull() && (c.Name == "" || o.Name == c.Name) && (newest[pull] == nil || o.ID > newest[pull].ID) {
			newest[pull] = o
		}
	}
	for _, pull := range slices.Sorted(maps.Keys(newest)) {
		if o := newest[pull]; o.Conclusion != Failure || strings.HasPrefix(o.Title, failedElsewhere) {
			continue
		}
		c.Conclusion, c.Title = Failure, failedElsewhere+pull+": "+c.Title
		c.Summary = fmt.Sprintf("Pull request %s has the same commit, and [its review](%s) failed. Once that one passes, `/witan review` here ends this.\n\n%s", pull, newest[pull].URL, c.Summary)
		return
	}
}

// Button is what people with write access find at a check run. The forge takes labels and IDs of 20 characters and
// descriptions of 40.
type Button struct{ ID, Label, Description string }

// Button is that of a check run: once it is completed, its change can be reviewed as a whole again. What the forge itself offers
// goes on from the last review.
func (c Check) Button() (Button, bool) {
	return Button{review.CheckActionWhole, "Review again in full", "Reads all of the change anew"}, c.Status == CheckCompleted
}

// Reaction is an answer of one sign to a comment.
type Reaction string

// The reactions that we give. Their names are GitHub's.
const (
	ReactionEyes     Reaction = "eyes"
	ReactionUp       Reaction = "+1"
	ReactionConfused Reaction = "confused"
)

// MaxBody is the longest body that is sent, in bytes (own choice: GitHub refuses more than 65,536 characters).
const MaxBody = 60_000

// Reader looks at what is there. A list is complete, or an error; it may lag behind what was written a moment ago.
type Reader interface {
	// Comments returns all comments of the pull request, of every kind and author, in the order of their IDs per kind.
	Comments(ctx context.Context, ref review.PullRef) ([]Comment, error)
	// Threads returns all threads on lines and files. Comments alone can do without it: it costs a permission and requests
	// of another kind.
	Threads(ctx context.Context, ref review.PullRef) ([]Thread, error)
	// Checks returns the check runs at the commit that are ours.
	Checks(ctx context.Context, repo review.Repo, commit string) ([]Check, error)
}

// Commenter writes comments. What is created is returned as Comments would list it, as far as the forge says.
type Commenter interface {
	// CreateReview posts all comments at the commit, or none of them, without a verdict, and returns what it created. The
	// order is any. When the comments were created and cannot be read back, the list is empty and the error nil.
	CreateReview(ctx context.Context, ref review.PullRef, commit string, comments []Inline) ([]Comment, error)
	// CreateFileComment comments a changed file as a whole.
	CreateFileComment(ctx context.Context, ref review.PullRef, commit, path, body string) (Comment, error)
	// Reply answers in the thread whose first comment is root.
	Reply(ctx context.Context, ref review.PullRef, root int64, body string) (Comment, error)
	// CreateComment comments the pull request.
	CreateComment(ctx context.Context, ref review.PullRef, body string) (Comment, error)
	// EditComment replaces the body of a comment of the kind. ErrGone where it was deleted.
	EditComment(ctx context.Context, ref review.PullRef, kind Kind, id int64, body string) (Comment, error)
	// React adds a reaction to a comment; adding it again does nothing.
	React(ctx context.Context, ref review.PullRef, kind Kind, id int64, r Reaction) error
}

// Resolver closes threads. Doing it again does nothing. ErrGone where there is no such thread.
type Resolver interface {
	ResolveThread(ctx context.Context, ref review.PullRef, thread string) error
}

// Checker writes check runs. They need an App: with a plain token the error is ErrForbidden.
type Checker interface {
	// CreateCheck creates a check run and returns it with its ID and URL.
	CreateCheck(ctx context.Context, repo review.Repo, c Check) (Check, error)
	// UpdateCheck replaces everything of the check run with that ID but its commit and name. ErrGone.
	UpdateCheck(ctx context.Context, repo review.Repo, c Check) (Check, error)
}

// Forge writes to a forge with the only token that may. Safe for concurrent use; it does not try again by itself, and
// keeps the pace that the forge asks for.
//
// Errors of all methods: *review.LimitError where the forge wants a pause and did nothing, review.ErrUnavailable where it
// certainly did nothing, ErrAmbiguous where a write may have been done or not, ErrForbidden, ErrGone, review.ErrHeadGone
// where the commit of a comment or check run is not there, ErrPending, ErrRefused for whatever else the forge finds wrong in
// it.
type Forge interface {
	Reader
	Commenter
	Resolver
	Checker
}

// What a forge may answer beside *review.LimitError, review.ErrUnavailable and review.ErrHeadGone.
var (
	// ErrAmbiguous: the answer to a write was lost, or says that something went wrong inside the forge: it may have been
	// done. Whoever wrote looks before writing again.
	ErrAmbiguous = errors.New("the forge may have done it or not")
	// ErrRefused: the forge takes the request for wrong, without naming what in it; of several comments at once none was
	// created.
	ErrRefused = errors.New("the forge refuses the request as wrong")
	// ErrPending: the account that writes has a review under way at the pull request that was not submitted, and is not ours to
	// remove. Until it is, the forge takes neither comments on lines and files nor answers to them, and created none.
	ErrPending = errors.New("a review of the writing account is pending at the forge")
	// ErrForbidden: the token may not do this here: a fork, a permission that was not granted, a locked conversation.
	ErrForbidden = errors.New("the forge does not permit it")
	// ErrLocked is the ErrForbidden of a locked conversation, where the forge says that it is one.
	ErrLocked = fmt.Errorf("the conversation is locked: %w", ErrForbidden)
	// ErrGone: the comment, thread, check run or pull request is not there.
	ErrGone = errors.New("it is gone from the forge")
)
