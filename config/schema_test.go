package config_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"vigil/config"
)

func TestSchema(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	for text, ok := range map[string]bool{
		`{}`: true,
		`{"kafka":{"brokers":"embedded","properties":{"client.id":"me","session.timeout.ms":9000}},"input":null}`: true,
		`{"processor":{"commit_interval":"250ms","workers":2,"clock_grace":0}}`:                                   true,
		`{"processor":{"commit_interval":"soon"}}`:                                                                false,
		`{"prozessor":{}}`:                        false,
		`{"kafka":{"properties":{"acks":"all"}}}`: false,
		`{"log":{"level":"loud"}}`:                false,
		`{"log":{"level":"${env:LEVEL}"},"processor":{"workers":"${env:N}"}}`: true,
		`{"processor":{"workers":"4"}}`:                                       false,
		`{"processor":{"workers":4000}}`:                                      false,
		`{"kafka":{"properties":{"linger.ms":-1}}}`:                           false,
		`{"input":{"topics":["a","b"]}}`:                                      true,
	} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}
