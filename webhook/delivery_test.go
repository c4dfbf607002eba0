package webhook_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vigil/webhook"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(bytes.TrimSpace(want)), string(got)); diff != "" {
		t.Error(diff)
	}
}

var at = time.Date(2026, 11, 25, 9, 30, 0, 123_456_789, time.FixedZone("", 3600))

func full() *webhook.Delivery {
	expires, notBefore := at.Add(24*time.Hour), at.Add(time.Minute)
	return &webhook.Delivery{
		V: 1, FireID: "0123456789abcdef0123456789abcdef", Campaign: "abandoned-cart", Revision: "a1b2c3d4e5f6", Run: "autumn",
		User: "zoë", Key: `cart "7"`, At: at, DecidedAt: at.Add(time.Second), LateByMS: 42, ExpiresAt: &expires, Endpoint: "shop",
		Method: "POST", Path: "/carts?a=<b>", Headers: map[string]string{"X-Team": "ops", "X-A": "1"}, Body: []byte("{\"total\":120}\n"),
		ContentType: "application/json", Source: webhook.Source{Topic: "events", Partition: 3, Offset: 99}, Attempt: 2,
		NotBefore: &notBefore, RenderError: "",
	}
}

func TestDeliveryGolden(t *testing.T) {
	golden(t, "delivery_full.json", full().Encode())
	golden(t, "delivery_least.json", (&webhook.Delivery{
		V: 1, FireID: "f1", URL: "https://example.com/", Method: "POST", At: at, DecidedAt: at, Attempt: 1,
	}).Encode())
}

func TestDeliveryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 40, 200)
		d := full()
		d.User, d.Key, d.Campaign, d.Path = text.Draw(t, "user"), text.Draw(t, "key"), text.Draw(t, "campaign"), text.Draw(t, "path")
		d.Headers = rapid.MapOfN(text, text, 0, 5).Draw(t, "headers")
		d.Body = rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		d.LateByMS = rapid.Int64().Draw(t, "late")
		if rapid.Bool().Draw(t, "bare") {
			d.ExpiresAt, d.NotBefore, d.Endpoint, d.Path, d.URL = nil, nil, "", "", "https://example.com/"
		}
		again, err := webhook.DecodeDelivery(d.Encode())
		if err != nil {
			t.Fatal(err)
		}
		sameAsJSON(t, d.Encode())
		if !bytes.Equal(again.Encode(), d.Encode()) || !bytes.Equal(again.Body, d.Body) || again.User != d.User || again.Key != d.Key {
			t.Fatalf("%s\n%s", d.Encode(), again.Encode())
		}
		viaJSON, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if third, err := webhook.DecodeDelivery(viaJSON); err != nil || !bytes.Equal(third.Encode(), d.Encode()) {
			t.Fatalf("json.Marshal differs: %v", err)
		}
	})
}

func TestDecodeDeliveryDefaults(t *testing.T) {
	d, err := webhook.DecodeDelivery([]byte(`{"v":1,"fire_id":"a-B_9","url":"https://x.example/","new_field":[1]}`))
	if err != nil || d.Method != "POST" || d.Attempt != 1 || d.ExpiresAt != nil {
		t.Errorf("got %+v, %v", d, err)
	}
	if h := full().RecordHeaders("00-trace"); len(h) != 6 || h[0].Value != full().FireID || h[4] != (webhook.RecordHeader{Key: "run", Value: "autumn"}) {
		t.Errorf("headers %v", h)
	}
}

func TestDecodeDeliveryRefuses(t *testing.T) {
	with := func(change func(*webhook.Delivery)) string {
		d := full()
		change(d)
		return string(d.Encode())
	}
	long := strings.Repeat("x", webhook.MaxNameBytes+1)
	for want, value := range map[string]string{
		"empty record":         "",
		"at most 2097152":      `{"v":1,"x":"` + strings.Repeat("x", webhook.MaxRecordBytes) + `"}`,
		"not valid UTF-8":      "\xff{}",
		"unexpected end":       `{"v":1`,
		"invalid character":    `nope`,
		"cannot unmarshal":     `{"v":"1"}`,
		"unknown version 0":    `{}`,
		"unknown version 2":    with(func(d *webhook.Delivery) { d.V = 2 }),
		"fire_id":              with(func(d *webhook.Delivery) { d.FireID = "a.b" }),
		"attempt":              with(func(d *webhook.Delivery) { d.Attempt = -1 }),
		"one of endpoint":      with(func(d *webhook.Delivery) { d.URL = "https://x.example/" }),
		"path: only":           with(func(d *webhook.Delivery) { d.Endpoint, d.URL = "", "https://x.example/" }),
		"GET carries none":     with(func(d *webhook.Delivery) { d.Method = "GET" }),
		"method: must be":      with(func(d *webhook.Delivery) { d.Method = "CONNECT" }),
		"body: 1048577 bytes":  with(func(d *webhook.Delivery) { d.Body = make([]byte, webhook.MaxBodyBytes+1) }),
		"user: 257 bytes":      with(func(d *webhook.Delivery) { d.User = long }),
		"content_type: 257":    with(func(d *webhook.Delivery) { d.ContentType = long }),
		"headers: one of 8197": with(func(d *webhook.Delivery) { d.Headers = map[string]string{"name!": strings.Repeat("x", 8192)} }),
		"headers: 65 of them": with(func(d *webhook.Delivery) {
			d.Headers = map[string]string{}
			for i := range 65 {
				d.Headers[string(rune('A'+i))] = ""
			}
		}),
	} {
		if _, err := webhook.DecodeDelivery([]byte(value)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", value, err, want)
		}
	}
	if _, err := webhook.DecodeDelivery([]byte(with(func(d *webhook.Delivery) { d.Endpoint, d.Path, d.RenderError = "", "", "leaf" }))); err != nil {
		t.Errorf("a fire that could not be rendered has no target: %v", err)
	}
}

func TestAttemptGolden(t *testing.T) {
	next := at.Add(10 * time.Second)
	a := &webhook.Attempt{
		V: 1, FireID: "0123456789abcdef0123456789abcdef", Campaign: "abandoned-cart", User: "u1", Endpoint: "shop", Attempt: 1,
		Outcome: webhook.Retry, Reason: "http_503", Status: 503, LatencyMS: 12, Remote: "192.0.2.1:443", At: at, NextAt: &next,
		Origin: webhook.OriginAuto, Response: "busy\n",
	}
	golden(t, "attempt_retry.json", a.Encode())
	again, err := webhook.DecodeAttempt(a.Encode())
	if err != nil || !bytes.Equal(again.Encode(), a.Encode()) {
		t.Errorf("got %s, %v", again.Encode(), err)
	}
	for _, bad := range []string{"", "{}", `{"v":2}`, "nope"} {
		if _, err := webhook.DecodeAttempt([]byte(bad)); err == nil {
			t.Errorf("%q is taken for an attempt", bad)
		}
	}
}

// TestTimesAreThoseOfTheLayout: times are written without time.Format.
func TestTimesAreThoseOfTheLayout(t *testing.T) {
	check := func(at time.Time) {
		want := `"at":"` + at.UTC().Format("2006-01-02T15:04:05.000Z") + `",`
		if got := (&webhook.Attempt{At: at}).Encode(); !strings.Contains(string(got), want) {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	for _, year := range []int{-1, 0, 1, 999, 9999, 10000} {
		check(time.Date(year, 12, 31, 23, 59, 59, 999_999_999, time.UTC))
		check(time.Date(year, 1, 1, 0, 0, 0, 0, time.FixedZone("", -3600)))
	}
	rapid.Check(t, func(t *rapid.T) {
		check(time.Unix(rapid.Int64Range(-1<<36, 1<<38).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")))
	})
}

func FuzzDecodeDelivery(f *testing.F) {
	f.Add(full().Encode())
	f.Add([]byte(`{"v":1,"fire_id":"f","url":"https://x/","at":"9999-12-31T23:59:59.999Z"}`))
	f.Add([]byte(`{"v":1,"fire_id":"f","endpoint":"e","headers":{"a":"\u0000"},"body":"AA=="}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		d, err := webhook.DecodeDelivery(value)
		if err != nil {
			return
		}
		again, err := webhook.DecodeDelivery(d.Encode())
		if err != nil {
			t.Fatalf("%s does not come back: %v", d.Encode(), err)
		}
		if !bytes.Equal(again.Encode(), d.Encode()) {
			t.Fatalf("%s\n%s", d.Encode(), again.Encode())
		}
	})
}

// sameAsJSON: a space in front of a record keeps it from being read as one that Encode wrote; nothing else may change.
func sameAsJSON(t interface{ Fatalf(string, ...any) }, value []byte) {
	fast, err := webhook.DecodeDelivery(value)
	slow, want := webhook.DecodeDelivery(append([]byte(" "), value...))
	if len(value) == 0 || len(value) >= webhook.MaxRecordBytes {
		return
	}
	if fmt.Sprint(err) != fmt.Sprint(want) {
		t.Fatalf("%s: %v, encoding/json: %v", value, err, want)
	}
	if diff := cmp.Diff(slow, fast); diff != "" {
		t.Fatalf("%s: encoding/json (-) reads it otherwise: %s", value, diff)
	}
}

// TestDecodeDeliveryIsThatOfJSON: what Encode writes is read by a reader of its own; it takes nothing in that
// encoding/json would refuse or read otherwise.
func TestDecodeDeliveryIsThatOfJSON(t *testing.T) {
	written := string(full().Encode())
	sameAsJSON(t, []byte(written))
	allocations := func(value string) float64 {
		return testing.AllocsPerRun(100, func() { _, _ = webhook.DecodeDelivery([]byte(value)) })
	}
	if own, json := allocations(written), allocations(" "+written); own >= json {
		t.Errorf("%v allocations, %v with encoding/json: the reader does not take what Encode writes", own, json)
	}
	for _, change := range [][2]string{
		{`"v":1`, `"v":01`},
		{`"v":1`, `"v":1.0`},
		{`"v":1`, `"v":1e0`},
		{`"v":1`, `"v":-1`},
		{`"v":1`, `"V":1`},
		{`"v":1`, `"v":null`},
		{`"v":1`, `"v": 1`},
		{`"v":1,`, `"v":1,"v":2,`},
		{`"late_by_ms":42`, `"late_by_ms":-42`},
		{`"late_by_ms":42`, `"late_by_ms":-0`},
		{`"late_by_ms":42`, `"late_by_ms":9223372036854775807`},
		{`"late_by_ms":42`, `"late_by_ms":9223372036854775808`},
		{`"late_by_ms":42`, `"late_by_ms":-`},
		{`"late_by_ms":42`, `"late_by_ms":`},
		{`"partition":3`, `"partition":2147483648`},
		{`"X-Team":"ops"`, `"X-A":"2"`},
		{`"X-Team":"ops"`, `"X-\u0054":"ops"`},
		{`"X-Team":"ops"`, `"X-Team":null`},
		{`"X-Team":"ops"`, ``},
		{`"headers":{"X-A":"1","X-Team":"ops"}`, `"headers":null`},
		{`"headers":{"X-A":"1","X-Team":"ops"}`, `"headers":{}`},
		{`"headers":{"X-A":"1","X-Team":"ops"}`, `"headers":{,}`},
		{`"headers":{`, `"headers":{"X-Z":"1",`},
		{`"run":"autumn"`, `"run":"\ud800"`},
		{`"run":"autumn"`, `"run":"\n\u00e4\/\\"`},
		{`"run":"autumn"`, `"run":"\x"`},
		{`"run":"autumn"`, "\"run\":\"a\nb\""},
		{`"run":"autumn"`, "\"run\":\"\x7f\""},
		{`"run":"autumn"`, `"run":"a\"`},
		{`"run":"autumn"`, `"run":null`},
		{`"run":"autumn"`, `"run":"a"b"`},
		{`"run":"autumn"`, `"run":7`},
		{`"at":"2026-11-25T08:30:00.123Z"`, `"at":"2026-11-25T08:30:00.123+01:00"`},
		{`"at":"2026-11-25T08:30:00.123Z"`, `"at":"2026-02-30T08:30:00Z"`},
		{`"at":"2026-11-25T08:30:00.123Z"`, `"at":null`},
		{`"at":"2026-11-25T08:30:00.123Z"`, `"at":"2026-11-25t08:30:00\u005a"`},
		{`"at":"2026-11-25T08:30:00.123Z"`, `"at":""`},
		{`"body":"`, `"body":"\u0041`},
		{`"body":"`, `"body":"\n`},
		{`"body":"`, "\"body\":\"\n"},
		{`"body":"`, `"body":"=`},
		{`"body":"`, `"body":"AA==`},
		{`"render_error":""}`, `"render_error":""} `},
		{`"render_error":""}`, `"render_error":""}}`},
		{`"render_error":""}`, `"render_error":""`},
		{`"render_error":""}`, `"render_error":"","render_error":"x"}`},
		{`"render_error":""}`, `"render_error":"","new":1}`},
		{`"endpoint":"shop",`, ``},
		{`"endpoint":"shop",`, `"url":"https://x.example/","endpoint":"shop",`},
	} {
		value := strings.Replace(written, change[0], change[1], 1)
		if value == written {
			t.Fatalf("%s is nowhere in %s", change[0], written)
		}
		sameAsJSON(t, []byte(value))
	}
	for n := range len(written) {
		sameAsJSON(t, []byte(written[:n]))
	}
}

func FuzzDecodeDeliveryIsThatOfJSON(f *testing.F) {
	f.Add(full().Encode())
	f.Add((&webhook.Delivery{V: 1, FireID: "f", URL: "https://x/", Method: "GET", At: at}).Encode())
	f.Fuzz(func(t *testing.T, value []byte) { sameAsJSON(t, value) })
}

func BenchmarkDecodeDelivery(b *testing.B) {
	value := full().Encode()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := webhook.DecodeDelivery(value); err != nil {
			b.Fatal(err)
		}
	}
}
