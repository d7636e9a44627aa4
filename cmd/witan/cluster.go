package main

import (
	"context"
	"errors"
)

func openCluster(context.Context, backendParams) (*backend, error) {
	return nil, errors.New("no cluster yet")
}
