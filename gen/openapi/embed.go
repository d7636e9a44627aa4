// Package openapi holds the OpenAPI description that is generated from the protos.
package openapi

import _ "embed"

// JSON is the OpenAPI 2.0 description of every REST route. It must not be changed.
//
//go:embed v1/witan.swagger.json
var JSON []byte
