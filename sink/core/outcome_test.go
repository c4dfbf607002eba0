package core_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vigil/sink/core"
	"vigil/webhook"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func TestStatusClass(t *testing.T) {
	for class, statuses := range map[core.Class][]int{
		core.Success: {200, 201, 202, 204, 206, 299},
		core.Retryable: {
			0, 99, 100, 101, 103, 199, 408, 409, 421, 425, 429, 500, 502, 503, 504, 507, 508, 509, 510, 511, 520, 523,
			530, 600, 999,
		},
		core.Permanent: {
			300, 301, 302, 304, 307, 308, 399, 400, 401, 403, 404, 405, 407, 410, 411, 413, 422, 451, 499, 501, 505,
			506, 512, 519, 531, 599,
		},
	} {
		for _, status := range statuses {
			if got := core.StatusClass(status); got != class {
				t.Errorf("%d: class %d, want %d", status, got, class)
			}
		}
	}
}

// row is one line of the table of fates: what came back after attempt n, and what becomes of it.
// TestRetryOn: a list of an endpoint's own replaces that of delivery 3, for answers from 300 to 599 only.
func TestRetryOn(t *testing.T) {
	p := core.Plan{Attempt: 1, Retries: 2, Delays: []time.Duration{time.Second}, Now: now, RetryOn: core.Statuses{404: true, 200: true}}
	for status, want := range map[int]webhook.Outcome{
		404: webhook.Retry, 500: webhook.Dead, 503: webhook.Dead, 302: webhook.Dead, 200: webhook.Delivered, 0: webhook.Retry, 101: webhook.Retry, 999: webhook.Retry,
	} {
		if f := core.Decide(p, &core.Answer{Status: status}); f.Outcome != want {
			t.Errorf("%d: %s, want %s", status, f.Outcome, want)
		}
	}
	if f := core.Decide(p, &core.Answer{Failed: true, Class: core.Retryable, Code: "timeout"}); f.Outcome != webhook.Retry {
		t.Errorf("no answer: %s", f.Outcome)
	}
	p.RetryOn = core.Statuses{}
	if f := core.Decide(p, &core.Answer{Status: 500}); f.Outcome != webhook.Dead {
		t.Errorf("an empty list: %s", f.Outcome)
	}
}

type row struct {
	name    string
	attempt int
	answer  core.Answer
	change  func(*core.Plan)
	want    string // outcome, code, attempts, tier of the wait, wait
	hold    time.Duration
}

func status(code int, retryAfter ...string) core.Answer {
	a := core.Answer{Status: code}
	if len(retryAfter) > 0 {
		a.RetryAfter = retryAfter[0]
	}
	return a
}

func failed(class core.Class, code string) core.Answer {
	return core.Answer{Failed: true, Class: class, Code: code, Reason: code}
}

func TestDecide(t *testing.T) {
	delays := func(d ...time.Duration) func(*core.Plan) { return func(p *core.Plan) { p.Delays = d } }
	expires := func(in time.Duration) func(*core.Plan) {
		return func(p *core.Plan) { at := now.Add(in); p.Expires = &at }
	}
	for _, r := range []row{
		{"ok", 1, status(200), nil, "delivered  1 - 0s", 0},
		{"first failure", 1, status(500), nil, "retry  1 retry-1 10s", 0},
		{"second failure", 2, status(500), nil, "retry  2 retry-2 1m30s", 0},
		{"third failure", 3, status(500), nil, "dead exhausted 3 - 0s", 0},
		{"timeout", 1, failed(core.Retryable, "timeout"), nil, "retry  1 retry-1 10s", 0},
		{"not found", 1, status(404), nil, "dead permanent 1 - 0s", 0},
		{"redirect", 2, status(302), nil, "dead permanent 2 - 0s", 0},
		{"gone", 1, status(410), nil, "dead permanent 1 - 0s", 0},
		{"blocked", 1, failed(core.Permanent, "blocked"), nil, "dead blocked 0 - 0s", 0},
		{"blocked later", 3, failed(core.Permanent, "blocked"), nil, "dead blocked 2 - 0s", 0},
		{"our fault", 2, failed(core.Ours, "no_descriptors"), nil, "parked infra 1 parked-short 15s", 0},
		{"no retries", 1, status(500), func(p *core.Plan) { p.Retries = 0 }, "dead exhausted 1 - 0s", 0},
		{"one retry", 2, status(500), func(p *core.Plan) { p.Retries = 1 }, "dead exhausted 2 - 0s", 0},
		{"expires before the retry", 1, status(500), expires(9 * time.Second), "dead exhausted 1 - 0s", 0},
		{"expires with the retry", 1, status(500), expires(10 * time.Second), "retry  1 retry-1 10s", 0},
		{"short delay", 1, status(500), delays(time.Second), "retry  1 retry-1 1s", 0},
		{"middling delay", 1, status(500), delays(15 * time.Second), "retry  1 parked-short 15s", 0},
		{"long delay", 1, status(500), delays(10 * time.Minute), "retry  1 parked-long 10m0s", 0},
		{"one delay for both", 2, status(500), delays(20 * time.Second), "retry  2 retry-2 20s", 0},
		{"retry after 5", 1, status(429, "5"), nil, "retry  1 retry-1 10s", 10 * time.Second},
		{"retry after 60", 1, status(503, "60"), nil, "retry  1 parked-long 1m0s", time.Minute},
		{"retry after a day", 1, status(429, "86400"), nil, "retry  1 parked-long 15m0s", 15 * time.Minute},
		{"retry after, last attempt", 3, status(429, "60"), nil, "dead exhausted 3 - 0s", 90 * time.Second},
		{"retry after beyond expiry", 1, status(429, "60"), expires(30 * time.Second), "dead exhausted 1 - 0s", time.Minute},
		{"retry after of a 500", 1, status(500, "60"), nil, "retry  1 retry-1 10s", 0},
	} {
		t.Run(r.name, func(t *testing.T) {
			p := core.Plan{Attempt: r.attempt, Retries: 2, Delays: []time.Duration{10 * time.Second, 90 * time.Second}, Now: now}
			if r.change != nil {
				r.change(&p)
			}
			f := core.Decide(p, &r.answer)
			if diff := cmp.Diff(r.want, say(f)); diff != "" {
				t.Error(diff)
			}
			if hold := f.Hold; hold == nil && r.hold != 0 || hold != nil && hold.Sub(now) != r.hold {
				t.Errorf("hold until %v, want %v from now", hold, r.hold)
			}
		})
	}
}

func say(f core.Fate) string {
	wait, to := time.Duration(0), "-"
	if f.Next != nil {
		wait, to = f.Next.Sub(now), f.To.String()
	}
	return string(f.Outcome) + " " + f.Code + " " + string(rune('0'+f.Attempts)) + " " + to + " " + wait.String()
}

func TestRetryAfterForms(t *testing.T) {
	in := func(d time.Duration) string { return now.Add(d).Format("Mon, 02 Jan 2006 15:04:05 GMT") }
	for value, want := range map[string]time.Duration{
		"-1": 0, "abc": 0, "1e9": 0, "99999999999999999999": 0, "120, 60": 0, "": 0, " ": 0, "+5": 0, "0x10": 0, "12345678": 0,
		"0":                             10 * time.Second,
		"9999999":                       15 * time.Minute,
		" 60 ":                          time.Minute,
		in(-time.Hour):                  10 * time.Second,
		in(2 * time.Minute):             2 * time.Minute,
		"Fri, 01 Jan 2200 00:00:00 GMT": 15 * time.Minute,
	} {
		a := status(429, value)
		f := core.Decide(core.Plan{Attempt: 1, Retries: 2, Delays: []time.Duration{10 * time.Second}, Now: now}, &a)
		if want == 0 && f.Hold == nil && f.Next.Equal(now.Add(10*time.Second)) {
			continue
		}
		if f.Hold == nil || f.Hold.Sub(now) != want {
			t.Errorf("Retry-After %q holds until %v, want %v from now", value, f.Hold, want)
		}
	}
}

func TestDue(t *testing.T) {
	at := now.Add(42 * time.Second)
	for _, r := range []struct {
		tier      core.Tier
		notBefore *time.Time
		wait      time.Duration
	}{
		{core.TierRetry1, nil, 10 * time.Second},
		{core.TierRetry2, nil, 90 * time.Second},
		{core.TierShort, nil, 15 * time.Second},
		{core.TierLong, nil, 5 * time.Minute},
		{core.TierRetry2, &at, 42 * time.Second},
	} {
		due, delay := core.Due(r.tier, now, r.notBefore)
		if due.Sub(now) != r.wait || delay != r.wait {
			t.Errorf("%v: due in %v, jitter of %v, want %v", r.tier, due.Sub(now), delay, r.wait)
		}
	}
	if _, delay := core.Due(core.TierRetry1, at, &now); delay != 0 {
		t.Errorf("a not_before in the past has the delay %v", delay)
	}
	if j := core.Jitter(10*time.Second, 0.999); j <= 1900*time.Millisecond || j >= 2*time.Second {
		t.Errorf("jitter %v, want just below 2s", j)
	}
}

func TestCut(t *testing.T) {
	for in, want := range map[string]string{
		"a \"b\"": `a "b"`, "a\r\nb": `a\r\nb`, "\xff\x00": `\xff\x00`, "é": `\u00e9`, "12345678901": "1234567890",
	} {
		if got := core.Cut(in, 10); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestLabelIsBounded(t *testing.T) {
	for status, want := range map[int]string{200: "2xx", 101: "1xx", 599: "5xx", 0: "malformed", 999: "malformed"} {
		if got := core.Label(&core.Answer{Status: status}); got != want {
			t.Errorf("%d: label %q, want %q", status, got, want)
		}
	}
	if f := failed(core.Retryable, "timeout"); core.Label(&f) != "timeout" {
		t.Error("a failure is labelled by its code")
	}
}
