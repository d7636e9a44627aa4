package main

import (
	"fmt"
	"slices"
	"strings"

	"witan.dev/internal/config"
	"witan.dev/internal/job"
)

// The services, each of which a process of a cluster may serve alone.
const (
	serviceGateway   = "gateway"
	serviceIngest    = "ingest"
	serviceParser    = "parser"
	serviceRetrieval = "retrieval"
	serviceCouncil   = "council"
	serviceReview    = "review"
	serviceJobs      = "jobs"
)

// services lists them in the order in which help texts do.
func services() []string {
	return []string{serviceGateway, serviceIngest, serviceParser, serviceRetrieval, serviceCouncil, serviceReview, serviceJobs}
}

// queueIntake is the queue of deliveries that wait to be handed over. It holds no jobs yet: they come of it.
const queueIntake = "intake"

// queues lists everything that a worker process may work on.
func queues() []string { return append([]string{queueIntake}, jobQueues()...) }

// jobQueues lists the queues on which jobs wait.
func jobQueues() []string {
	return []string{job.QueueOf(job.KindReview), job.QueueOf(job.KindCouncil), job.QueueOf(job.KindIndex)}
}

// peersOf are the services that a service, or a worker on a queue of that name, calls.
func peersOf(name string, worker bool) []string {
	switch {
	case worker && name == serviceReview:
		return []string{serviceParser, serviceRetrieval, serviceCouncil, serviceJobs}
	case worker && name == string(job.KindIndex):
		return []string{serviceParser}
	case worker && name == queueIntake:
		return []string{serviceReview}
	case worker:
		return nil
	}
	switch name {
	case serviceGateway:
		return []string{serviceIngest, serviceParser, serviceRetrieval, serviceCouncil, serviceReview, serviceJobs}
	case serviceRetrieval:
		return []string{serviceParser}
	case serviceReview:
		return []string{serviceCouncil}
	case serviceJobs:
		return []string{serviceCouncil, serviceReview, serviceRetrieval}
	}
	return nil
}

// roles are what one process does.
type roles struct {
	// services that it serves, queues whose jobs it runs.
	services, queues []string
	// concurrency of each queue; 0 means what the configuration says of its kind.
	concurrency int
}

// everything is the whole of Witan in one process.
func everything() roles { return roles{services: services(), queues: queues()} }

// whole says that no other process is needed.
func (r roles) whole() bool { return len(r.services) == len(services()) }

func (r roles) serves(service string) bool { return slices.Contains(r.services, service) }

// runs says that jobs of a kind are computed here.
func (r roles) runs(kind job.Kind) bool { return slices.Contains(r.queues, job.QueueOf(kind)) }

// takesDeliveries says that the process hands webhooks over.
func (r roles) takesDeliveries() bool { return slices.Contains(r.queues, queueIntake) }

// stateful says that the process needs the stores of jobs.
func (r roles) stateful() bool {
	return slices.ContainsFunc(r.queues, func(q string) bool { return q != queueIntake }) || slices.ContainsFunc(r.services, func(s string) bool {
		return s == serviceRetrieval || s == serviceCouncil || s == serviceReview || s == serviceJobs
	})
}

// asksGitHub says whether this process asks GitHub for anything: the review service and its workers do.
func (r roles) asksGitHub() bool { return r.serves(serviceReview) || r.runs(job.KindReview) }

// waitingReviews is how many reviews may wait for pushes beside each one that does something (own choice).
const waitingReviews = 16

// works is how many jobs of a kind are under way at once here. Reviews of pull requests wait first, and that costs next to
// nothing.
func (r roles) works(kind job.Kind, w config.Workers) int {
	if kind == job.KindReview {
		return r.atOnce(kind, w) * waitingReviews
	}
	return r.atOnce(kind, w)
}

// atOnce is how many jobs of a kind do something at once here.
func (r roles) atOnce(kind job.Kind, w config.Workers) int {
	if r.concurrency > 0 {
		return r.concurrency
	}
	switch kind {
	case job.KindReview:
		return w.Review
	case job.KindIndex:
		return w.Index
	case queueIntake:
		return w.Intake
	default:
		return w.Council
	}
}

// atWork is atOnce for a kind whose other jobs wait, and 0 for all others.
func (r roles) atWork(kind job.Kind, w config.Workers) int {
	if kind == job.KindReview {
		return r.atOnce(kind, w)
	}
	return 0
}

// needsRedis says that accepted webhooks wait in Redis: everywhere but where one process on a data folder is all of Witan.
func (r roles) needsRedis(c config.Config) bool {
	if r.whole() {
		return !c.Database.IsZero() && c.Webhooks.GitHub.SecretsFile != ""
	}
	return r.serves(serviceIngest) || r.takesDeliveries()
}

// lacksServiceToken says what becomes of webhooks where intake and the review service are processes that show each other
// nothing: the review service cannot tell intake from anybody else who says that something happened at a forge.
const lacksServiceToken = "auth.service_token_file: needed where webhooks are handed to a review service in another process, which refuses " +
	"them from callers that do not show it (EVENT_REFUSED); name a file with a secret of 32 bytes or more, the same for all processes"

// check reports everything that the configuration lacks for these roles.
func (r roles) check(c config.Config) error {
	var missing []string
	if c.Redis.IsZero() && r.needsRedis(c) {
		missing = append(missing, "redis: accepted webhooks wait there until they are handed over")
	}
	if r.whole() && len(missing) == 0 {
		return nil // with or without a database
	}
	if (r.stateful() || r.takesDeliveries()) && c.Database.IsZero() && !r.whole() {
		missing = append(missing, "database: a process that does a part of Witan shares its state with others in Postgres")
	}
	switch {
	case c.Auth.ServiceTokenFile != "":
	case c.Auth.Required():
		missing = append(missing, "auth.service_token_file: needed where callers show tokens, so that processes of the cluster can call each other")
	case r.takesDeliveries() && !r.serves(serviceReview):
		missing = append(missing, lacksServiceToken)
	}
	needs := map[string][]string{}
	note := func(by string, peers []string) {
		for _, peer := range peers {
			if !r.serves(peer) && len(c.Services[peer]) == 0 {
				needs[peer] = append(needs[peer], by)
			}
		}
	}
	for _, s := range r.services {
		note(s, peersOf(s, false))
	}
	for _, q := range r.queues {
		note("the queue "+q, peersOf(q, true))
	}
	for _, peer := range services() {
		if by := needs[peer]; len(by) > 0 {
			missing = append(missing, fmt.Sprintf("services.%s: needed by %s; name its addresses", peer, strings.Join(by, ", ")))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("configuration:\n%s", strings.Join(missing, "\n"))
	}
	return nil
}

// choose reads a list of a flag; empty means all.
func choose(flag string, given, known []string) ([]string, error) {
	if len(given) == 0 {
		return known, nil
	}
	var chosen []string
	for _, name := range known {
		if slices.Contains(given, name) {
			chosen = append(chosen, name)
		}
	}
	for _, name := range given {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("--%s %q is none of %s", flag, name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}
