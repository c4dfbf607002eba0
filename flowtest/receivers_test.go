package flowtest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vigil/config/endpoints"
	"vigil/flowtest/live"
	"vigil/sink/core"
	"vigil/sink/egress"
	"vigil/webhook"
)

const receiversDir = "../examples/receivers"

// TestExampleReceivers runs each receiver of docs/receiving.md and sends to it as the sink does.
func TestExampleReceivers(t *testing.T) {
	if testing.Short() {
		t.Skip("four programs are built and run by `make test` and `make receivers-test`")
	}
	for name, c := range map[string]struct {
		tool string
		args []string
		v1a  bool // without another package
	}{
		"go":     {"go", nil, true}, // built, then run
		"python": {"python3", []string{"receiver.py"}, false},
		"node":   {"node", []string{"receiver.mjs"}, true},
		"java":   {"java", []string{"Receiver.java"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(c.tool); err != nil {
				t.Skipf("%s is not here", c.tool)
			}
			if c.args == nil {
				c.tool = buildReceiver(t)
			}
			secret, private, public := keys()
			p := startReceiver(t, secret+" "+public, c.tool, c.args...)
			p.takesEachOnce(t, []string{secret})
			p.ordersByAt(t, secret)
			p.refuses(t, secret)
			if c.v1a {
				p.takesV1a(t, private)
			}
		})
	}
}

// buildReceiver builds the receiver in Go: `go run` would leave it behind.
func buildReceiver(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "receiver")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, receiversDir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

// keys are a shared secret and an ed25519 pair.
func keys() (secret, private, public string) {
	encode := base64.StdEncoding.EncodeToString
	seed := bytes.Repeat([]byte{7}, ed25519.SeedSize)
	pair := ed25519.NewKeyFromSeed(seed)
	return "whsec_" + encode(bytes.Repeat([]byte{3}, 32)), "whsk_" + encode(seed), "whpk_" + encode(pair[ed25519.SeedSize:])
}

// program is a receiver that runs.
type program struct {
	url  string
	said chan string // its lines
}

// startReceiver starts a receiver and waits until it listens.
func startReceiver(t *testing.T, keys, tool string, args ...string) *program {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Dir = receiversDir
	cmd.Env = append(os.Environ(), "WEBHOOK_SECRETS="+keys, "PORT=0")
	var trouble live.Log
	cmd.Stderr = &trouble
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &program{said: make(chan string, 100)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(p.said)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.said <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
		_ = cmd.Wait() // it was killed
	})
	address, ok := strings.CutPrefix(p.next(t), "listening on ")
	if !ok {
		t.Fatalf("it does not listen: %s", trouble.Text())
	}
	p.url = "http://" + address + "/hooks"
	return p
}

// next is the next line that it says; compilers take their time.
func (p *program) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-p.said:
		return line
	case <-time.After(patience):
		t.Fatal("the receiver says nothing")
		return ""
	}
}

func (p *program) expect(t *testing.T, want string) {
	t.Helper()
	if got := p.next(t); got != want {
		t.Errorf("the receiver says %q, want %q", got, want)
	}
}

// send makes one attempt as the sink does.
func (p *program) send(t *testing.T, secrets []string, id, at string) core.Answer {
	t.Helper()
	env := map[string]string{}
	e := endpoints.Endpoint{Name: "e", URL: p.url, AllowHTTP: true, AllowPrivate: true}
	for i, secret := range secrets {
		env["S"+strconv.Itoa(i)] = secret
		e.Secrets = append(e.Secrets, "env:S"+strconv.Itoa(i))
	}
	policy := &egress.Policy{MaxInFlight: 1, LookupEnv: func(name string) (string, bool) { return env[name], env[name] != "" }}
	set, err := egress.NewEndpoints(policy, []endpoints.Endpoint{e})
	if err != nil {
		t.Fatal(err)
	}
	s, err := egress.NewSender(policy)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	body := fmt.Sprintf(`{"fire_id":%q,"campaign":"cart","user":"Zoë","at":%q}`, id, at)
	return s.Send(t.Context(), set.Find("e"), &webhook.Delivery{FireID: id, Campaign: "cart", Endpoint: "e", Method: "POST", Body: []byte(body), Attempt: 1})
}

const noon = "2026-11-25T12:00:00.000Z"

func (p *program) takesEachOnce(t *testing.T, secrets []string) {
	t.Helper()
	other := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 24))
	for _, id := range []string{"a1", "a1", "a1", "a2"} {
		if a := p.send(t, append([]string{other}, secrets...), id, noon); a.Status != http.StatusNoContent {
			t.Errorf("%s: %+v", id, a)
		}
	}
	p.expect(t, "done a1")
	p.expect(t, "done a2")
}

func (p *program) ordersByAt(t *testing.T, secret string) {
	t.Helper()
	p.send(t, []string{secret}, "b1", "2026-11-25T12:00:02.000Z")
	p.send(t, []string{secret}, "b2", "2026-11-25T12:00:01.000Z")
	p.send(t, []string{secret}, "b3", "2026-11-25T12:00:02.001Z")
	p.expect(t, "done b1")
	p.expect(t, "late b2")
	p.expect(t, "done b3")
}

func (p *program) takesV1a(t *testing.T, private string) {
	t.Helper()
	if a := p.send(t, []string{private}, "c1", "2026-11-25T12:00:03.000Z"); a.Status != http.StatusNoContent {
		t.Errorf("v1a: %+v", a)
	}
	p.expect(t, "done c1")
}

// refuses sends what must not be taken.
func (p *program) refuses(t *testing.T, secret string) {
	t.Helper()
	s, err := webhook.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	for name, c := range map[string]struct {
		id, body, signature string
		unix                int64
		status              int
	}{
		"another body":      {"x", "{} ", s.Sign("x", now, []byte("{}")), now, 401},
		"another id":        {"y", "{}", s.Sign("x", now, []byte("{}")), now, 401},
		"too old":           {"x", "{}", s.Sign("x", now-400, []byte("{}")), now - 400, 401},
		"from the future":   {"x", "{}", s.Sign("x", now+400, []byte("{}")), now + 400, 401},
		"no signature":      {"x", "{}", "", now, 401},
		"nonsense":          {"x", "{}", "v1 ,v1, v1a,% v2,abc " + strings.Repeat("v1a,x ", 50), now, 401},
		"no id":             {"", "{}", s.Sign("", now, []byte("{}")), now, 401},
		"a body of 3 MiB":   {"x", strings.Repeat("x", 3<<20), "v1,x", now, 413},
		"v1a with v1's sum": {"x", "{}", strings.Replace(s.Sign("x", now, []byte("{}")), "v1,", "v1a,", 1), now, 401},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		for header, value := range map[string]string{"webhook-id": c.id, "webhook-timestamp": strconv.FormatInt(c.unix, 10), "webhook-signature": c.signature} {
			if value != "" {
				req.Header.Set(header, value)
			}
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if c.status == 413 && err != nil {
			continue // it hung up while the body came: it was not taken
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, c.status)
		}
	}
}

// TestReceivingPage holds docs/receiving.md to what it speaks of.
func TestReceivingPage(t *testing.T) {
	page := string(read(t, "../docs/receiving.md"))
	files, err := filepath.Glob(receiversDir + "/*")
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		if !strings.Contains(page, "examples/receivers/"+filepath.Base(file)) {
			t.Errorf("the page does not name %s", file)
		}
	}
}
