package ingest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

const (
	// maxRepositories is how many one event about an installation names; more become several events.
	maxRepositories = 1000
	// maxNumbers bounds the pull requests of one check, maxComments the comments of a thread.
	maxNumbers  = 20
	maxComments = 100
	// maxComment bounds the text of a comment, in bytes: four for each of the 65,536 characters that GitHub takes.
	maxComment  = 256 << 10
	defaultHost = "github.com"
)

// payload holds what Route reads of a body. What an event does not have stays zero; everything else in the body is not
// even looked at, so that what GitHub adds or changes elsewhere makes no delivery unreadable.
type payload struct {
	Action       string             `json:"action"`
	Number       int64              `json:"number"`
	Installation installationObject `json:"installation"`
	Repository   repositoryObject   `json:"repository"`
	Sender       userObject         `json:"sender"`

	PullRequest       pullRequestObject `json:"pull_request"`
	RequestedReviewer userObject        `json:"requested_reviewer"`
	Label             struct {
		Name string `json:"name"`
	} `json:"label"`
	Changes struct {
		Base json.RawMessage `json:"base"`
	} `json:"changes"`

	Issue struct {
		Number      int64           `json:"number"`
		PullRequest json.RawMessage `json:"pull_request"`
	} `json:"issue"`
	Comment commentObject `json:"comment"`
	Review  commentObject `json:"review"`
	Thread  struct {
		Comments []commentObject `json:"comments"`
	} `json:"thread"`

	CheckRun        checkObject `json:"check_run"`
	CheckSuite      checkObject `json:"check_suite"`
	RequestedAction struct {
		Identifier string `json:"identifier"`
	} `json:"requested_action"`

	Ref     string `json:"ref"`
	RefType string `json:"ref_type"`
	After   string `json:"after"`
	Deleted bool   `json:"deleted"`

	Repositories []repositoryObject `json:"repositories"`
	Added        []repositoryObject `json:"repositories_added"`
	Removed      []repositoryObject `json:"repositories_removed"`
}

type userObject struct {
	Login string `json:"login"`
	Type  string `json:"type"`
}

func (u userObject) bot() bool { return u.Type == "Bot" }

type installationObject struct {
	ID      int64 `json:"id"`
	AppID   int64 `json:"app_id"`
	Account struct {
		HTMLURL string `json:"html_url"`
	} `json:"account"`
}

type repositoryObject struct {
	ID            int64  `json:"id"`
	Name          string `json:"name"`
	FullName      string `json:"full_name"`
	HTMLURL       string `json:"html_url"`
	DefaultBranch string `json:"default_branch"`
}

type pullRequestObject struct {
	Number int64 `json:"number"`
	Merged bool  `json:"merged"`
	Base   struct {
		Repo struct {
			ID int64 `json:"id"`
		} `json:"repo"`
	} `json:"base"`
}

type commentObject struct {
	ID        int64      `json:"id"`
	InReplyTo int64      `json:"in_reply_to_id"`
	Body      string     `json:"body"`
	User      userObject `json:"user"`
}

type checkObject struct {
	ID      int64  `json:"id"`
	HeadSHA string `json:"head_sha"`
	App     struct {
		ID int64 `json:"id"`
	} `json:"app"`
	PullRequests []pullRequestObject `json:"pull_requests"`
}

// repository is the event's own, with the installation that the event names.
func (p *payload) repository() (Repository, error) {
	r, err := p.Repository.read(p.Installation.ID, "")
	if err != nil {
		return Repository{}, err
	}
	return r, nil
}

// read makes a Repository of an object, which may lack its address: then it lies at host.
func (o repositoryObject) read(installation int64, host string) (Repository, error) {
	owner, name, found := strings.Cut(o.FullName, "/")
	if !found || owner == "" || name == "" || len(o.FullName) > 200 || strings.Contains(name, "/") {
		return Repository{}, fmt.Errorf("the repository's name %.200q is not owner/name", o.FullName)
	}
	if o.ID < 1 || installation < 0 {
		return Repository{}, fmt.Errorf("the repository %.200q has the ID %d, in installation %d", o.FullName, o.ID, installation)
	}
	return Repository{
		Host: cmp.Or(hostOf(o.HTMLURL), host, defaultHost), Owner: owner, Name: name, ID: o.ID, Installation: installation,
		DefaultBranch: o.DefaultBranch,
	}, nil
}

// hostOf is the host of an address, empty for none.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || len(u.Host) > 253 {
		return ""
	}
	return strings.ToLower(u.Host)
}

// numbers are the pull requests of the event's repository that a check names, each once. GitHub also names those into other
// repositories, as where a commit of a fork is proposed to its origin: their numbers mean something else here.
func (p *payload) numbers(of checkObject) []int64 {
	var numbers []int64
	seen := map[int64]bool{}
	for _, pr := range of.PullRequests {
		if pr.Number > 0 && pr.Base.Repo.ID == p.Repository.ID && !seen[pr.Number] && len(numbers) < maxNumbers {
			seen[pr.Number] = true
			numbers = append(numbers, pr.Number)
		}
	}
	return numbers
}
