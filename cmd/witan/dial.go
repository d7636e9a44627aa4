package main

import (
	"log/slog"

	"google.golang.org/grpc"

	"witan.dev/internal/auth"
	"witan.dev/internal/certs"
	"witan.dev/internal/config"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
)

// network is how this process and its peers know and reach each other.
type network struct {
	certs   *certs.Certs
	callers *auth.Authenticator
	// service is the cluster's token; nil without one.
	service *auth.ServiceToken
}

// newNetwork reads the files that the configuration names. folder is the data folder's token, or what stands for it in a
// process without a folder.
func newNetwork(c config.Config, folder secret.Text, logger *slog.Logger) (network, error) {
	own, err := newCerts(c.TLS, logger)
	if err != nil {
		return network{}, err
	}
	p := auth.Params{Folder: folder, TokensFile: c.Auth.TokensFile, Logger: logger}
	for _, t := range c.Auth.Tokens {
		token, err := auth.ParseToken(t.Owner, t.SHA256)
		if err != nil {
			return network{}, err
		}
		p.Tokens = append(p.Tokens, token)
	}
	if c.Auth.ServiceTokenFile != "" {
		if p.Service, err = auth.OpenServiceToken(c.Auth.ServiceTokenFile, logger); err != nil {
			return network{}, err
		}
	}
	callers, err := auth.New(p)
	return network{certs: own, callers: callers, service: p.Service}, err
}

func newCerts(c config.TLS, logger *slog.Logger) (*certs.Certs, error) {
	return certs.Open(certs.Files{Cert: c.CertFile, Key: c.KeyFile, ClientCA: c.ClientCAFile, CA: c.CAFile}, logger)
}

// dial prepares a connection to peers. asService calls them with the cluster's token, on behalf of the owner that a
// call's context works for; otherwise calls show what their callers did.
func (n network) dial(addresses []string, asService bool) (*grpc.ClientConn, error) {
	p := rpc.Peers{Addresses: addresses, TLS: n.certs.Client(), MaxReceive: maxMessage, MaxSend: maxMessage}
	if asService && n.service != nil {
		p.Token = n.service.Current
	}
	return rpc.Dial(p)
}
