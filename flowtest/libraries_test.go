package flowtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"vigil/webhook"
)

// TestPublicLibraries: what we sign, the public Python and JavaScript libraries of Standard Webhooks accept, and nothing
// else. `make receivers-test` fetches them and says where they are.
func TestPublicLibraries(t *testing.T) {
	for name, c := range map[string]struct{ variable, program, script string }{
		"python": {"RECEIVERS_PYTHON", os.Getenv("RECEIVERS_PYTHON"), "testdata/libraries/verify.py"},
		"node":   {"RECEIVERS_NODE", "node", "testdata/libraries/verify.cjs"},
	} {
		t.Run(name, func(t *testing.T) {
			if os.Getenv(c.variable) == "" {
				t.Skipf("%s is not set: run `make receivers-test`", c.variable)
			}
			input, want := libraryCases(t)
			cmd := exec.CommandContext(t.Context(), c.program, c.script)
			cmd.Stdin, cmd.Stderr = bytes.NewReader(input), os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Fields(string(out)); strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("verified %v, want %v", got, want)
			}
		})
	}
}

// libraryCases are requests, one a line, and whether they must verify.
func libraryCases(t *testing.T) (input []byte, want []string) {
	t.Helper()
	shared, private, _ := keys()
	short := "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 24))
	long := "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{2}, 64))
	now := time.Now().Unix()
	for _, c := range []struct {
		signed []string // the endpoint's secrets
		holds  string   // the receiver's
		unix   int64
		body   string // as signed
		comes  string // as received, where it is another
		ok     bool
	}{
		{[]string{shared}, shared, now, `{"a":1}`, "", true},
		{[]string{short}, short, now, `{"a":1}`, "", true},
		{[]string{long}, long, now, `{"a":1}`, "", true},
		{[]string{shared}, shared, now, `{"name":"Zoë 北京 🛒\u2028","n":1.0}`, "", true},
		{[]string{shared, long}, shared, now, `{}`, "", true},
		{[]string{shared, long}, long, now, `{}`, "", true},
		{[]string{private, shared}, shared, now, `{}`, "", true},
		{[]string{shared, private}, shared, now, `{}`, "", true},
		{[]string{shared}, long, now, `{}`, "", false},
		{[]string{private}, shared, now, `{}`, "", false},
		{[]string{shared}, shared, now, `{"a":1}`, `{"a":2}`, false},
		{[]string{shared}, shared, now - 400, `{}`, "", false},
		{[]string{shared}, shared, now + 400, `{}`, "", false},
	} {
		s, err := webhook.NewSigner(c.signed...)
		if err != nil {
			t.Fatal(err)
		}
		comes := c.body
		if c.comes != "" {
			comes = c.comes
		}
		line, err := json.Marshal(map[string]any{"secret": c.holds, "body": comes, "headers": map[string]string{
			"webhook-id": "0123456789abcdef", "webhook-timestamp": strconv.FormatInt(c.unix, 10),
			"webhook-signature": s.Sign("0123456789abcdef", c.unix, []byte(c.body)),
		}})
		if err != nil {
			t.Fatal(err)
		}
		input, want = append(append(input, line...), '\n'), append(want, strconv.FormatBool(c.ok))
	}
	return input, want
}
