package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/config"
	"witan.dev/internal/secret"
)

func TestAPartOfWitanNeedsADatabaseAndThePeersThatItCalls(t *testing.T) {
	t.Parallel()
	known := config.Config{Database: secret.New("postgres://x/y"), Services: map[string][]string{
		serviceParser: {"a:1"}, serviceRetrieval: {"a:2"}, serviceCouncil: {"a:3"}, serviceJobs: {"a:4"}, serviceReview: {"a:5"}, serviceIngest: {"a:6"},
	}}
	for name, c := range map[string]struct {
		roles   roles
		config  config.Config
		missing []string
	}{
		"everything embedded":       {everything(), config.Config{}, nil},
		"everything on a database":  {everything(), config.Config{Database: known.Database}, nil},
		"the parser alone":          {roles{services: []string{serviceParser}}, config.Config{}, nil},
		"the gateway alone":         {roles{services: []string{serviceGateway}}, known, nil},
		"the gateway without peers": {roles{services: []string{serviceGateway, serviceParser}}, config.Config{}, []string{"services.council", "services.jobs", "services.ingest", "services.review", "services.retrieval"}},
		"review without a database": {roles{services: []string{serviceReview}}, config.Config{Services: known.Services}, []string{"database:"}},
		"a worker for reviews":      {roles{queues: []string{"review"}}, known, nil},
		"a worker without peers":    {roles{queues: []string{"review", "index"}}, config.Config{Database: known.Database}, []string{"services.parser: needed by the queue review, the queue index", "services.council", "services.jobs", "services.retrieval"}},
		"ingest without a buffer":   {roles{services: []string{serviceIngest}}, known, []string{"redis:"}},
		"ingest without a database": {roles{services: []string{serviceIngest}}, config.Config{Redis: secret.New("redis://r")}, nil},
		"webhooks for everything on a database": {everything(), config.Config{
			Database: known.Database, Webhooks: config.Webhooks{GitHub: config.GitHubWebhooks{SecretsFile: "s"}},
		}, []string{"redis:"}},
		"an intake without anything": {roles{queues: []string{"intake"}}, config.Config{}, []string{"redis:", "database:", "services.review: needed by the queue intake"}},
		"an intake": {roles{queues: []string{"intake"}}, config.Config{
			Database: known.Database, Redis: secret.New("redis://r"), Services: known.Services, Auth: config.Auth{ServiceTokenFile: "f"},
		}, nil},
		"an intake that the review service would not believe": {roles{queues: []string{"intake"}}, config.Config{
			Database: known.Database, Redis: secret.New("redis://r"), Services: known.Services,
		}, []string{"auth.service_token_file: needed where webhooks are handed to a review service in another process"}},
		"a worker for councils": {roles{queues: []string{"council"}}, config.Config{Database: known.Database}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.roles.check(c.config)
			if len(c.missing) == 0 {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			for _, m := range c.missing {
				require.ErrorContains(t, err, m)
			}
		})
	}
}

func TestListsOfFlagsAreReadInTheOrderOfTheWhole(t *testing.T) {
	t.Parallel()
	chosen, err := choose("queues", []string{"index", "review", "intake"}, queues())
	require.NoError(t, err)
	require.Equal(t, []string{"intake", "review", "index"}, chosen)
	chosen, err = choose("queues", nil, queues())
	require.NoError(t, err)
	require.Equal(t, queues(), chosen)
	_, err = choose("queues", []string{"delivery"}, queues())
	require.ErrorContains(t, err, `"delivery" is none of intake, review, council, index`)
}

func TestOnlyTheReviewServiceAndItsWorkersNeedGitHubsKey(t *testing.T) {
	t.Parallel()
	require.True(t, everything().asksGitHub())
	require.True(t, roles{services: []string{serviceReview}}.asksGitHub())
	require.True(t, roles{queues: []string{"review"}}.asksGitHub())
	require.False(t, roles{services: []string{serviceIngest, serviceGateway}, queues: []string{queueIntake, "council"}}.asksGitHub())
}
