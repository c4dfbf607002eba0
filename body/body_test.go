package body_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vigil/body"
	"vigil/event"
	"vigil/source"
	"vigil/template"
)

// read compiles the webhook and the data of a small file.
func read(t testing.TB, file string) (*body.Webhook, []source.Problem) {
	t.Helper()
	root, r := source.Parse("test.yaml", []byte(file))
	if root == nil {
		t.Fatalf("%s: %v", file, r.Problems())
	}
	w := body.Read(r, root.Field("webhook"), root.Field("data"))
	w.Seal(body.About{ID: "cart", Name: "Cart", Revision: "0123456789ab", Type: "actions", Zone: berlin(t)})
	return w, r.Problems()
}

func berlin(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// fire is one that fills everything.
func fire() body.Fire {
	first := &event.Snapshot{ID: "e1", Type: "view", TS: 1767225600000}
	anchor := &event.Snapshot{ID: "e2", Type: "cart_add", TS: 1767225601500, Props: []byte(
		`{"value":100.0,"big":12345678901234567890,"cart_id":"c/1 ?","tags":["a","b"],"ok":true,"none":null,"a.b":"dot","html":"<b>&"}`)}
	return body.Fire{
		FireID: "00ff", User: "u1", Key: "c/1 ?", Slot: "s", At: 1767225601500, LateBy: 7,
		Anchor: anchor, Events: []*event.Snapshot{first, anchor}, Profile: []byte(`{"country":"CA","n":1.0,"email":"a@b.c"}`),
	}
}

func TestNative(t *testing.T) {
	w, problems := read(t, `
webhook: {url: "https://example.com/carts"}
data: {cart: "{{ key }}", total: "{{ anchor.properties.value }}", fixed: [1.50, null, {a: true}]}`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	f := fire()
	out, err := w.Render(f)
	if err != nil {
		t.Fatal(err)
	}
	const anchor = `{"id":"e2","type":"cart_add","time":"2026-01-01T00:00:01.500Z","properties":`
	want := `{"fire_id":"00ff","campaign":"cart","revision":"0123456789ab","user":"u1","key":"c/1 ?",` +
		`"at":"2026-01-01T00:00:01.500Z","late_by_ms":7,"trigger":{"type":"actions","slot":"s","anchor":` +
		anchor + string(f.Anchor.Props) + `},"events":[{"id":"e1","type":"view","time":"2026-01-01T00:00:00.000Z","properties":{}},` +
		anchor + string(f.Anchor.Props) + `}]},"profile":{"country":"CA","n":1.0,"email":"a@b.c"},` +
		`"data":{"cart":"c/1 ?","total":100.0,"fixed":[1.50,null,{"a":true}]}}`
	if diff := cmp.Diff(want, string(out.Body)); diff != "" {
		t.Error(diff)
	}
	if out.ContentType != "application/json" || out.Method != "POST" || out.URL != "https://example.com/carts" {
		t.Errorf("%+v", out)
	}
}

func TestNativeOfNothing(t *testing.T) {
	w, _ := read(t, `webhook: {endpoint: ops}`)
	out, err := w.Render(body.Fire{User: "u"})
	want := `{"fire_id":"","campaign":"cart","revision":"0123456789ab","user":"u","key":"","at":"1970-01-01T00:00:00.000Z",` +
		`"late_by_ms":0,"trigger":{"type":"actions","slot":"","anchor":null,"events":[]},"profile":{},"data":{}}`
	if diff := cmp.Diff(want, string(out.Body)); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestCleverTap(t *testing.T) {
	w, _ := read(t, "webhook: {endpoint: ops, body: clevertap}\ndata: {a: '{{ user }}'}")
	f := fire()
	out, err := w.Render(f)
	want := `{"targetId":"cart","key_values":{"a":"u1"},"profiles":[{"email":"a@b.c","identity":"u1","profileData":{"country":"CA","n":1.0},` +
		`"event_properties":` + string(f.Anchor.Props) + `}]}`
	if diff := cmp.Diff(want, string(out.Body)); err != nil || diff != "" {
		t.Error(err, diff)
	}
	f.Profile, f.Anchor = []byte(`{"n":1.0,"a":12345678901234567890}`), nil
	out, err = w.Render(f)
	want = `{"targetId":"cart","key_values":{"a":"u1"},"profiles":[{"identity":"u1","profileData":{"n":1.0,"a":12345678901234567890}}]}`
	if diff := cmp.Diff(want, string(out.Body)); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// TestCleverTapExample: every field of the payload in CleverTap's documentation comes out under its name, with its type and
// in its place: targetId as a number, key_values, and of a profile email, identity, objectId, profileData,
// event_properties, push_token.
func TestCleverTapExample(t *testing.T) {
	text, err := os.ReadFile("testdata/clevertap.json")
	if err != nil {
		t.Fatal(err)
	}
	var example struct {
		KeyValues map[string]json.RawMessage `json:"key_values"`
		Profiles  []map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &example); err != nil || len(example.Profiles) != 2 {
		t.Fatal(err)
	}
	var whole map[string]any
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	keyValues, err := json.Marshal(example.KeyValues)
	if err != nil {
		t.Fatal(err)
	}
	w, problems := read(t, `{"webhook": {"endpoint": "ops", "body": "clevertap"}, "data": `+string(keyValues)+`}`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	w.Seal(body.About{ID: "1472124953", Zone: time.UTC})
	for i, p := range example.Profiles {
		var identity string
		profile := map[string]json.RawMessage{}
		for _, name := range []string{"email", "objectId", "push_token"} {
			profile[name] = p[name]
		}
		err := errors.Join(json.Unmarshal(p["identity"], &identity), json.Unmarshal(p["profileData"], &profile))
		raw, err2 := json.Marshal(profile)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		out, err := w.Render(body.Fire{User: identity, Profile: raw, Anchor: &event.Snapshot{Type: "Game Played", Props: p["event_properties"]}})
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(out.Body, &got); err != nil {
			t.Fatal(err)
		}
		want := maps.Clone(whole)
		want["profiles"] = whole["profiles"].([]any)[i : i+1] // one fire is one profile
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("profile %d: %s", i, diff)
		}
		if i == 0 && !strings.HasPrefix(string(out.Body), `{"targetId":1472124953,"key_values":{`) {
			t.Errorf("got %s", out.Body)
		}
	}
}

// TestForm: a tree with the content type of a form is one.
func TestForm(t *testing.T) {
	const head = "webhook:\n  endpoint: e\n  headers: {content-type: application/x-www-form-urlencoded}\n  body: "
	w, problems := read(t, head+`{text: "Hello {{ user }} & é", total: "{{ anchor.properties.value }}", fixed: "a=b", n: 1.50, yes: true, none: null,
    lost: "{{ anchor.properties.lost }}", "tags[]": "{{ anchor.properties.tags }}", list: ["{{ key }}", 2, x], object: "{{ events[1].properties.ok }}"}`)
	out, err := w.Render(fire())
	want := "text=Hello+u1+%26+%C3%A9&total=100.0&fixed=a%3Db&n=1.50&yes=true&none=&lost=&tags%5B%5D=a&tags%5B%5D=b&list=c%2F1+%3F&list=2&list=x&object=true"
	if string(out.Body) != want || err != nil || len(problems) > 0 || out.ContentType != "application/x-www-form-urlencoded" {
		t.Errorf("%s, %v, %v", out.Body, err, problems)
	}
	parsed, err := url.ParseQuery(string(out.Body))
	if err != nil || parsed.Get("text") != "Hello u1 & é" {
		t.Errorf("%v, %v", parsed, err)
	}
	for text, want := range map[string]string{
		`[a]`:             "a form must be an object, not a list",
		`{a: {b: c}}`:     "a field of a form must be a text, a number, a boolean or a list of them, not an object",
		`{a: [[b]]}`:      "a field of a form must be a text, a number, a boolean or a list of them, not a list",
		`{a: [{b: "c"}]}`: "a field of a form must be a text, a number, a boolean or a list of them, not an object",
	} {
		if _, problems := read(t, head+text); len(problems) != 1 || problems[0].Message != want {
			t.Errorf("%s: %v", text, problems)
		}
	}
	w, problems = read(t, strings.Replace(head, "urlencoded", "urlencoded; charset=utf-8", 1)+`"user={{ user | url_encode }}"`)
	if out, err := w.Render(fire()); string(out.Body) != "user=u1" || err != nil || len(problems) > 0 {
		t.Errorf("%s, %v, %v", out.Body, err, problems)
	}
}

// TestLeaves renders one text as a leaf of a tree.
func TestLeaves(t *testing.T) {
	for leaf, want := range map[string]string{
		`plain`:                                                    `"plain"`,
		``:                                                         `""`,
		`{{ anchor.properties.value }}`:                            `100.0`,
		`{{ anchor.properties.big }}`:                              `12345678901234567890`,
		`{{anchor.properties.big}}!`:                               `"12345678901234567890!"`,
		`{{ anchor.properties.tags }}`:                             `["a","b"]`,
		`{{ anchor.properties.tags[1] }}`:                          `"b"`,
		`{{ anchor.properties.tags.size }}`:                        `2`,
		`{{ anchor.properties.ok }}`:                               `true`,
		`{{ anchor.properties.none }}`:                             `null`,
		`{{ anchor.properties.lost.deep }}`:                        `null`,
		`<{{ anchor.properties.lost }}>`:                           `"<>"`,
		`{{ anchor.properties.lost | default: "x" }}`:              `"x"`,
		`{{ anchor.properties.lost | default: 5 }}`:                `5`,
		`{{ anchor.properties["a.b"] }}`:                           `"dot"`,
		`{{ anchor.properties.html }}`:                             `"<b>&"`,
		`{{ anchor.properties.tags }} `:                            `"[\"a\",\"b\"] "`,
		`{{ profile }}`:                                            `{"country":"CA","email":"a@b.c","n":1.0}`,
		`{{ profile["country"] | downcase }}`:                      `"ca"`,
		`{{ events[0].type }}/{{ events.last.id }}`:                `"view/e2"`,
		`{{ events | size }}`:                                      `2`,
		`{{ user }}`:                                               `"u1"`,
		`{{ fire.id }}`:                                            `"00ff"`,
		`{{ fire.late_by_ms }}`:                                    `7`,
		`{{ fire.at }}`:                                            `"2026-01-01T00:00:01.500Z"`,
		`{{ campaign.id }}@{{ campaign.revision }}`:                `"cart@0123456789ab"`,
		`{{ "}}" }}{{ '{{' }}`:                                     `"}}{{"`,
		`{{ anchor.properties.value | plus: 1 }}`:                  `101`,
		`{{ anchor.properties.value | divided_by: 3 | round: 2 }}`: `33.33`,
		`{{ 7 | divided_by: 2 }}`:                                  `3`,
		`{{ 9223372036854775 | times: 1000000 }}`:                  `9.223372036854776e+21`,
		`{{ 3 | minus: 5 | times: -2 }}`:                           `4`,
		`{{ "a,b,c" | split: "," | join: "-" }}`:                   `"a-b-c"`,
		`{{ "a,b" | split: "," | first }}`:                         `"a"`,
		`{{ "héllo wörld" | capitalize | truncate: 8 }}`:           `"Héllo..."`,
		`{{ "x" | append: "y" | prepend: "w" | upcase }}`:          `"WXY"`,
		`{{ " a " | strip | replace: "a", "b" }}`:                  `"b"`,
		`{{ "a b&c" | url_encode }}`:                               `"a+b%26c"`,
		`{{ anchor.properties.tags | json }}`:                      `"[\"a\",\"b\"]"`,
		`{{ fire.at | date: "%Y-%m-%d %H:%M %Z" }}`:                `"2026-01-01 01:00 CET"`,
		`{{ "now" | date: "%-d.%-m.%y %L" }}`:                      `"1.1.26 500"`,
		`{{ 1767225600 | date: "%s %%" }}`:                         `"1767225600 %"`,
		`{{ "2026-07-01" | date: "%A %b %e %j" }}`:                 `"Wednesday Jul  1 182"`,
		`{{ nil | default: false }}`:                               `false`,
	} {
		file, err := json.Marshal(map[string]any{"webhook": map[string]any{"endpoint": "e", "body": map[string]any{"x": leaf}}})
		if err != nil {
			t.Fatal(err)
		}
		w, problems := read(t, string(file))
		if len(problems) > 0 {
			t.Errorf("%s: %v", leaf, problems)
			continue
		}
		out, err := w.Render(fire())
		if got := strings.TrimSuffix(strings.TrimPrefix(string(out.Body), `{"x":`), "}"); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", leaf, got, err, want)
		}
	}
}

func TestTextBody(t *testing.T) {
	w, problems := read(t, `webhook: {endpoint: e, path: "/a/{{ key }}?u={{ user }}&k={{ key }}", body: "Hello {{ profile.country }}: {{ anchor.properties.tags }}"}`)
	out, err := w.Render(fire())
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	want := body.Rendered{
		Path: "/a/c%2F1%20%3F?u=u1&k=c%2F1+%3F", Method: "POST", Body: []byte(`Hello CA: ["a","b"]`), ContentType: "text/plain; charset=utf-8",
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
}

func TestHeadersAndMethod(t *testing.T) {
	w, _ := read(t, `webhook: {url: "https://h/{{ user }}", method: PUT, headers: {x-team: " ops ", Content-Type: application/x-y}, body: {a: 1}}`)
	out, err := w.Render(fire())
	want := body.Rendered{URL: "https://h/u1", Method: "PUT", Headers: map[string]string{"X-Team": "ops"}, Body: []byte(`{"a":1}`), ContentType: "application/x-y"}
	if diff := cmp.Diff(want, out); err != nil || diff != "" {
		t.Error(err, diff)
	}
	w, _ = read(t, `webhook: {url: "https://h/", method: GET}`)
	out, err = w.Render(fire())
	if diff := cmp.Diff(body.Rendered{URL: "https://h/", Method: "GET"}, out); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// TestRefused lists what the linter says of one webhook; warnings too.
func TestRefused(t *testing.T) {
	for file, want := range map[string]string{
		`{}`:                                                                    `webhook needs "url" or "endpoint"`,
		`{url: "https://h", endpoint: e}`:                                       `webhook takes either url or endpoint`,
		`{url: "https://h", path: /x}`:                                          `path goes with an endpoint; write it into the url`,
		`{url: "{{ user }}"}`:                                                   `outputs may stand in the path and the query of a URL only`,
		`{url: "https://{{ user }}/"}`:                                          `outputs may stand in the path and the query of a URL only`,
		`{url: "https://h{{ user }}/"}`:                                         `outputs may stand in the path and the query of a URL only`,
		`{url: "https://h:{{ user }}/"}`:                                        `outputs may stand in the path and the query of a URL only`,
		`{url: "ftp://h/"}`:                                                     `url must be such as https://example.com/path, got "ftp://h/"`,
		`{url: "/x"}`:                                                           `url must be such as https://example.com/path, got "/x"`,
		`{url: "https://a:b@h/"}`:                                               `a URL holds no password`,
		`{url: "http://h/"}`:                                                    `http is sent only by an endpoint that says allow_http`,
		`{url: "https://h/a b"}`:                                                `url: a URL is ASCII without spaces; percent-encode the rest`,
		`{url: "https://h/../{{ user }}"}`:                                      `url: ".." is no segment of a path`,
		`{url: "https://h/#{{ user }}"}`:                                        `what follows # is never sent`,
		`{endpoint: e, path: "{{ user }}"}`:                                     `path must begin with one /, got "{{ user }}"`,
		`{endpoint: e, path: //x}`:                                              `path must begin with one /, got "//x"`,
		`{endpoint: e, metod: PUT}`:                                             `webhook has no field "metod"`,
		`{endpoint: e, method: HEAD}`:                                           `method must be one of POST, PUT, PATCH, GET, DELETE, got "HEAD"`,
		`{endpoint: e, method: GET, body: {}}`:                                  `GET carries no body`,
		`{endpoint: e, body: nativ}`:                                            `the body is the text "nativ"`,
		`{endpoint: e, body: 5}`:                                                `body must be native, clevertap, a text, an object or a list, not a number`,
		`{endpoint: e, headers: {Host: x}}`:                                     `header "Host" cannot be set by a campaign`,
		`{endpoint: e, headers: {webhook-id: x}}`:                               `header "webhook-id" cannot be set by a campaign`,
		`{endpoint: e, headers: {"a b": x}}`:                                    `header "a b" is no header name`,
		`{endpoint: e, headers: {a: "x\r\ny"}}`:                                 `the value of A cannot be sent`,
		`{endpoint: e, headers: {a: x, A: y}}`:                                  `header A is already set`,
		`{endpoint: e, headers: {a: 5}}`:                                        `a header must be a text, not a number`,
		`{endpoint: e, body: {a: "{% if %}"}}`:                                  `body.a: there are no tags, only {{ path | filter }}`,
		`{endpoint: e, body: {a: "{{ user"}}`:                                   `body.a: an output is not closed by }}`,
		`{endpoint: e, body: {a: "{{ usr }}"}}`:                                 `body.a: unknown variable "usr"`,
		`{endpoint: e, body: ["{{ anchor.props }}"]}`:                           `body[0]: unknown field of anchor "props"`,
		`{endpoint: e, body: {a: "{{ user | upcas }}"}}`:                        `body.a: unknown filter "upcas"`,
		`{endpoint: e, body: {a: "{{ user | replace: 'a' }}"}}`:                 `body.a: filter replace takes 2 argument(s), got 1`,
		`{endpoint: e, body: {a: "{{ (1..3) | join }}"}}`:                       `body.a: a path such as anchor.properties.total is wanted, not "(1..3)"`,
		`{endpoint: e, body: {a: "{{ 1..3 }}"}}`:                                `body.a: ranges are not read`,
		`{endpoint: e, body: {a: "{{ user == 5 }}"}}`:                           `body.a: only a path and filters are read in an output, not "=="`,
		`{endpoint: e, body: {a: "{{ user and key }}"}}`:                        `body.a: only a path and filters are read in an output, not "and"`,
		`{endpoint: e, body: {a: "{{ user | date: '%Q' }}"}}`:                   `body.a: {{ user | date: '%Q' }}: date: unknown letter 'Q' in a date pattern`,
		`{endpoint: e, body: {a: "{{ anchor.properties.n | divided_by: 0 }}"}}`: `body.a: {{ anchor.properties.n | divided_by: 0 }}: divided_by: the result is no number`,
		`{endpoint: e, body: {a: "{{ user | upcase | upcase | upcase | upcase | upcase | upcase | upcase | upcase | upcase }}"}}`: `body.a: an output has at most 8 filters`,
		`{endpoint: e, body: "` + strings.Repeat("{{ user }}", 101) + `"}`:                                                        `body: a webhook holds at most 100 outputs`,
		`{endpoint: e, body: "` + strings.Repeat("x", 65537) + `"}`:                                                               `body: the templates of a webhook have at most 64 KiB`,
	} {
		_, problems := read(t, "webhook: "+file)
		if len(problems) != 1 || problems[0].Message != want {
			t.Errorf("%.200s: got %v, want %s", file, problems, want)
		}
	}
}

// TestBombs renders templates that try to grow beyond all bounds: each ends with an error, nothing half made, before it has
// allocated more than some results of the greatest size.
func TestBombs(t *testing.T) {
	grow := strings.Repeat(` | replace: "a", "aaaaaaaaaaaaa"`, 8)
	for name, c := range map[string]struct{ leaf, profile string }{
		"eight replaces in little source": {leaf: `{{ "a"` + grow + ` }}`},
		"one replace of a long text":      {leaf: `{{ "` + strings.Repeat("a", 60_000) + `" | replace: "a", "aaaaaaaaaaaaaaaaaaaa" }}`},
		"appends double":                  {leaf: `{{ profile.a` + strings.Repeat(" | append: profile.a", 8) + ` }}`, profile: strings.Repeat("x", 200_000)},
		"join by a long text":             {leaf: `{{ profile.a | split: "" | join: profile.a }}`, profile: strings.Repeat("x", 10_000)},
		"json of json":                    {leaf: `{{ profile.a` + strings.Repeat(" | json", 8) + ` }}`, profile: strings.Repeat(`\"`, 60_000)},
		"url_encode again and again":      {leaf: `{{ profile.a` + strings.Repeat(" | url_encode", 8) + ` }}`, profile: strings.Repeat("é", 60_000)},
		"a hundred outputs":               {leaf: strings.Repeat("{{ profile.a }}", 100), profile: strings.Repeat("x", 20_000)},
	} {
		for _, text := range []string{`{"x": %s}`, `%s`} { // a tree, and a text
			leaf, err := json.Marshal(c.leaf)
			if err != nil {
				t.Fatal(err)
			}
			w, problems := read(t, `{"webhook": {"endpoint": "e", "body": `+strings.Replace(text, "%s", string(leaf), 1)+`}}`)
			f := fire()
			f.Profile = []byte(`{"a":"` + c.profile + `"}`)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			out, err := w.Render(f)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("%s: %d bytes, %v", name, len(out.Body), problems)
			}
			if len(out.Body) > 0 {
				t.Errorf("%s: half made", name)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 64*template.MaxOutput {
				t.Errorf("%s: %d bytes allocated", name, took)
			}
		}
	}
	for _, leaf := range []string{`{{ (1..30000000) | join: "x" }}`, `{{ 1..30000000 | size }}`, `{% for i in (1..30000000) %}x{% endfor %}`} {
		if _, problems := read(t, `webhook: {endpoint: e, body: '`+leaf+`'}`); !source.Failed(problems) {
			t.Errorf("%s passes the linter", leaf)
		}
	}
}

func TestURLStaysAtHome(t *testing.T) {
	w, _ := read(t, `webhook: {url: "https://h.example:8443/a/{{ key }}/b?x={{ key }}"}`)
	for key, want := range map[string]string{
		"@evil.example/": "https://h.example:8443/a/@evil.example%2F/b?x=%40evil.example%2F",
		"#&=?":           "https://h.example:8443/a/%23&=%3F/b?x=%23%26%3D%3F",
		"é\n":            "https://h.example:8443/a/%C3%A9%0A/b?x=%C3%A9%0A",
		"..":             "",
		"":               "https://h.example:8443/a//b?x=",
	} {
		f := fire()
		f.Key = key
		out, err := w.Render(f)
		if out.URL != want || (err != nil) != (want == "") {
			t.Errorf("%q: %s, %v", key, out.URL, err)
		}
	}
}

// BenchmarkRender is the body of a fire with three outputs.
func BenchmarkRender(b *testing.B) {
	w, problems := read(b, `
webhook:
  url: https://ops.example.com/carts
  body: {item: "{{ anchor.properties.cart_id }}", total: "{{ anchor.properties.value }}", user: "{{ user }}"}
`)
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	f := fire()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Render(f); err != nil {
			b.Fatal(err)
		}
	}
}
