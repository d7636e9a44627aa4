package main

import (
	"context"

	"witan.dev/internal/config"
	"witan.dev/services/review/github"
)

// github asks GitHub what the credentials are good for.
func (c *checkup) github(ctx context.Context, conf config.GitHub) {
	client, err := githubClient(conf, 2*endpointTimeout)
	switch {
	case err != nil:
		c.bad("github", "%v", err)
		return
	case client == nil:
		c.note("github", "neither an App nor a token is configured: no reviews of pull requests (docs/github-app.md)")
		return
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 6*endpointTimeout)
	defer cancel()
	for _, line := range client.Checkup(ctx) {
		switch line.Grade {
		case github.Bad:
			c.bad("github", "%s", line.Text)
		case github.Note:
			c.note("github", "%s", line.Text)
		case github.Good:
			c.ok("github", "%s", line.Text)
		}
	}
}
