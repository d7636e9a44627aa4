package main

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"

	reviewv1 "witan.dev/gen/witan/review/v1"
)

var (
	shortPull = regexp.MustCompile(`^([^/#\s]+)/([^/#\s]+)#([0-9]{1,18})$`)
	pullPath  = regexp.MustCompile(`^/([^/]+)/([^/]+)/pull/([0-9]{1,18})(?:/[a-z]*)?/?$`)
)

// pullSource reads OWNER/REPO#N, or the address of a pull request's page. Without an address the host is the one that the
// server is configured for.
func pullSource(name string) (*reviewv1.Source, error) {
	parts, host := shortPull.FindStringSubmatch(name), ""
	if u, err := url.Parse(name); parts == nil && err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		parts, host = pullPath.FindStringSubmatch(u.Path), u.Host
	}
	if parts == nil {
		return nil, fmt.Errorf("--pr %q is neither OWNER/REPO#N nor the address of a pull request", name)
	}
	number, err := strconv.ParseInt(parts[3], 10, 64)
	if err != nil || number == 0 {
		return nil, fmt.Errorf("--pr %q has no number", name)
	}
	pull := &reviewv1.PullRequest{Host: host, Owner: parts[1], Repo: parts[2], Number: number}
	return &reviewv1.Source{Source: &reviewv1.Source_PullRequest{PullRequest: pull}}, nil
}
