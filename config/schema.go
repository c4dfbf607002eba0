package config

import (
	_ "embed"
	"slices"
)

//go:embed config.schema.json
var configSchema []byte

// Schema is the JSON Schema (draft 2020-12) of a configuration file, as `vigil schema config` prints it. It is made
// from the tags of Config by `go test ./config -update`.
func Schema() []byte { return slices.Clone(configSchema) }
