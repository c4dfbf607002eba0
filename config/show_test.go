package config_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What Show prints, secrets masked, loads again.
func TestShow(t *testing.T) {
	l, err := load(t, "instance: vigil-0\nkafka: {brokers: [\"a:1\"], properties: {security.protocol: SASL_SSL, sasl.mechanism: PLAIN, sasl.username: ada, sasl.password: pw}}", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var plain, origin strings.Builder
	if err := l.Show(&plain, false); err != nil {
		t.Fatal(err)
	}
	if err := l.Show(&origin, true); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "pw") || !strings.Contains(plain.String(), "sasl.password: \"********\"") {
		t.Error(plain.String())
	}
	if want := "  brokers: [\"a:1\"]                               # vigil.yaml:2:18\n"; !strings.Contains(origin.String(), want) {
		t.Error(origin.String())
	}
	again, err := load(t, plain.String(), nil, nil)
	if err != nil {
		t.Fatal(err, plain.String())
	}
	l.Kafka.Properties["sasl.password"] = "********"
	if diff := cmp.Diff(l.Config, again.Config); diff != "" {
		t.Error(diff)
	}
}

// Whatever prints a configuration, a password is not in it.
func TestPasswordsStayInside(t *testing.T) {
	l, err := load(t, "kafka: {brokers: [a:1], properties: {security.protocol: SASL_SSL, sasl.mechanism: PLAIN, sasl.username: ada, sasl.password: hunter2}}", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(l), fmt.Sprintf("%+v %#v %s %q", l, l, l.Kafka, l.Kafka.Properties), string(raw)} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "ada") {
			t.Error(text)
		}
	}
}
