package ingest

// Repository is one at a forge.
type Repository struct {
	Host, Owner, Name string
	// ID stays when the repository is renamed.
	ID int64
	// Installation of the GitHub App in which it is; 0: none named.
	Installation int64
	// DefaultBranch is empty where it is not named.
	DefaultBranch string
}

// Trigger is what a review is started by.
type Trigger int

// The triggers that a webhook can be.
const (
	Opened Trigger = iota + 1
	Reopened
	Ready
	Pushed
	BaseChanged
	Labeled
	Requested
	CheckRequested
)

// Review is one to start.
type Review struct {
	Repository Repository
	Number     int64
	Trigger    Trigger
	// Label is that of the trigger Labeled.
	Label string
	// Whole says that all of the change is looked at, not only what is new.
	Whole bool
}

// Event is what happened at a forge and is no review to start.
type Event struct {
	Repository Repository
	// Sender is the login of whoever caused it, Bot says that it is a program.
	Sender string
	Bot    bool
	// What is one of the types below.
	What Happening
}

// Happening is what an event says.
type Happening interface{ happening() }

// Closed is a pull request that was closed or merged.
type Closed struct {
	Number int64
	Merged bool
}

// Drafted is a pull request that became a draft.
type Drafted struct{ Number int64 }

// Place is where a comment stands.
type Place int

// The places of comments.
const (
	InConversation Place = iota + 1
	InThread
	InReview
)

// Commented is a comment that a person wrote on a pull request.
type Commented struct {
	Number int64
	Place  Place
	ID     int64
	// InReplyTo is the first comment of the thread that it answers; 0: none.
	InReplyTo int64
	Body      string
}

// CommentDeleted is a comment that is gone.
type CommentDeleted struct {
	Number int64
	Place  Place
	ID     int64
}

// Resolved is a thread that a person resolved, or opened again.
type Resolved struct {
	Number     int64
	CommentIDs []int64
	Resolved   bool
}

// Moved is the default branch with a new tip.
type Moved struct{ Branch, After string }

// BranchDeleted is a branch that is gone.
type BranchDeleted struct{ Branch string }

// Installed is what happened to an installation of the App.
type Installed struct {
	Installation int64
	Change       InstallationChange
	// Repositories that it concerns; none: all of the installation.
	Repositories []Repository
}

// InstallationChange says what happened to an installation.
type InstallationChange int

// The changes of installations.
const (
	InstallationAdded InstallationChange = iota + 1
	InstallationRemoved
	InstallationRefreshed
)

// RepositoryChanged is a repository that was renamed, transferred, made private or deleted.
type RepositoryChanged struct{ Change RepositoryChange }

// RepositoryChange says what happened to a repository.
type RepositoryChange int

// The changes of repositories.
const (
	RepositoryRenamed RepositoryChange = iota + 1
	RepositoryPrivatized
	RepositoryDeleted
)

// RerequestedAction is the Action of a CheckAction by which checks are asked for again that name no pull request.
const RerequestedAction = "rerequested"

// CheckAction is a button of our check run, or RerequestedAction.
type CheckAction struct {
	// CheckRun is 0 for a whole suite.
	CheckRun int64
	Head     string
	Action   string
	// Numbers are the pull requests of the same repository. Those of forks are never named.
	Numbers []int64
}

func (Closed) happening()            {}
func (Drafted) happening()           {}
func (Commented) happening()         {}
func (CommentDeleted) happening()    {}
func (Resolved) happening()          {}
func (Moved) happening()             {}
func (BranchDeleted) happening()     {}
func (Installed) happening()         {}
func (RepositoryChanged) happening() {}
func (CheckAction) happening()       {}
