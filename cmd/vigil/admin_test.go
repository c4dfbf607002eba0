package main

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// /readyz?verbose tells every check with what is below it, also of one that holds: how far a restore is, and what a stop
// waits for.
func TestReadyVerbose(t *testing.T) {
	restoring := func() []string {
		return []string{"partition 0: running", "partition 1: restoring, 5 of 10 records to go, 100/s, about 50ms more"}
	}
	s := &daemon{parts: []part{
		{"sink", nil, func() string { return "2 attempts in flight" }},
		{"processor", nil, func() string { return "checkpoints, 1 of 4 partitions done" }},
		{"reload", nil, nil},
	}}
	s.ended.Store("sink", true)
	server := adminServer{checks: []check{
		{"not draining", func() error { return nil }, s.waits},
		{"processor", func() error { return errors.New("not yet") }, restoring},
	}}
	for path, want := range map[string]string{
		"/readyz": "not ready; see /readyz?verbose\n",
		"/readyz?verbose": "[+] not draining: ok\n      processor: checkpoints, 1 of 4 partitions done\n[-] processor: not yet\n" +
			"      partition 0: running\n      partition 1: restoring, 5 of 10 records to go, 100/s, about 50ms more\n",
	} {
		answer := httptest.NewRecorder()
		server.ready(answer, httptest.NewRequest("GET", path, nil))
		if diff := cmp.Diff(want, answer.Body.String()); diff != "" || answer.Code != 503 {
			t.Errorf("%s: %d\n%s", path, answer.Code, diff)
		}
	}
}
