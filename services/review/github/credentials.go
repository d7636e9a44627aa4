package github

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/bradleyfalzon/ghinstallation/v2"
	appgithub "github.com/google/go-github/v88/github" // of ghinstallation's options

	"witan.dev/internal/secret"
)

// authenticate puts the credentials of the connection over a transport.
func (c *connection) authenticate(next http.RoundTripper) (http.RoundTripper, error) {
	p := c.client.p
	if p.AppID == 0 {
		token := plain{p.Token}
		if c.key.purpose != toRead && !p.WriteToken.IsZero() {
			token = plain{p.WriteToken}
		}
		c.tokens = token
		return bearer{next: next, token: token.reveal}, nil
	}
	next = guard{next: next, base: c.client.rest} // the answers with tokens are bounded as well
	// One for each connection: the library writes to it under the lock of whoever refreshes a token.
	app, err := ghinstallation.NewAppsTransport(next, p.AppID, []byte(p.PrivateKey.Reveal()))
	if err != nil {
		return nil, errors.New("github: the private key is no RSA key in PEM format")
	}
	base := strings.TrimSuffix(c.client.rest.String(), "/")
	app.BaseURL = base
	if c.key.purpose == asApp {
		return app, nil
	}
	installed := ghinstallation.NewFromAppsTransport(app, c.key.installation)
	installed.BaseURL = base
	installed.Client = &http.Client{Transport: next, Timeout: p.Timeout, CheckRedirect: redirected}
	installed.InstallationTokenOptions = &appgithub.InstallationTokenOptions{Permissions: permissions(c.key.purpose)}
	if c.key.repository != 0 {
		installed.InstallationTokenOptions.RepositoryIDs = []int64{c.key.repository}
	}
	c.tokens = installed
	return installed, nil
}

// permissions are those that a token is minted with: never more than its purpose needs, whatever the App has.
func permissions(why purpose) *appgithub.InstallationPermissions {
	read, write := "read", "write"
	switch why {
	case toResolve:
		return &appgithub.InstallationPermissions{Metadata: &read, PullRequests: &write, Contents: &write}
	case toWrite:
		return &appgithub.InstallationPermissions{Metadata: &read, PullRequests: &write}
	case toCheck:
		return &appgithub.InstallationPermissions{Metadata: &read, Checks: &write}
	case toRead, asApp:
	}
	return &appgithub.InstallationPermissions{Metadata: &read, Contents: &read, PullRequests: &read}
}

// plain is a token that was configured.
type plain struct{ text secret.Text }

func (p plain) reveal() string { return p.text.Reveal() }

// Token returns the token.
func (p plain) Token(context.Context) (string, error) { return p.reveal(), nil }
