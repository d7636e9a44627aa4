package main

import (
	"log/slog"

	"witan.dev/internal/auth"
	"witan.dev/internal/config"
	"witan.dev/internal/secret"
)

// access is who may call this process, and what it shows when it calls others.
type access struct {
	callers *auth.Authenticator
	// service is the cluster's token; nil without one.
	service *auth.ServiceToken
}

// newAccess reads the files that the configuration names. folder is the data folder's token, empty without a folder.
func newAccess(c config.Auth, folder secret.Text, logger *slog.Logger) (access, error) {
	p := auth.Params{Folder: folder, TokensFile: c.TokensFile, Logger: logger}
	for _, t := range c.Tokens {
		token, err := auth.ParseToken(t.Owner, t.SHA256)
		if err != nil {
			return access{}, err
		}
		p.Tokens = append(p.Tokens, token)
	}
	if c.ServiceTokenFile != "" {
		var err error
		if p.Service, err = auth.OpenServiceToken(c.ServiceTokenFile, logger); err != nil {
			return access{}, err
		}
	}
	callers, err := auth.New(p)
	return access{callers: callers, service: p.Service}, err
}
