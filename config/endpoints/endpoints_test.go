package endpoints_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"vigil/config/endpoints"
	"vigil/source"
)

const wholeEndpoint = `name: shop
url: https://shop.example.com/hooks
secrets: [env:SHOP_OLD, file:/run/secrets/shop]
auth:
  oauth2:
    token_url: https://id.example.com/token
    client_id: vigil
    client_secret: env:SHOP_CLIENT
    scopes: [hooks]
    params: {audience: shop}
    style: body
tls: {certificate: file:/run/tls/client.pem, key: file:/run/tls/client.key, ca: env:SHOP_CA}
headers: {X-Team: ops}
timeout: 3s
retries: 1
retry_delays: [30s, 5m]
retry_on: [404, default, 404]
rate: 600/m
max_in_flight: 8
allow_http: true
allow_private: true
http2: true
`

func TestParseEndpoints(t *testing.T) {
	got, problems := endpoints.Parse("shop.yaml", []byte(wholeEndpoint))
	want := []endpoints.Endpoint{{
		Name: "shop", URL: "https://shop.example.com/hooks", Secrets: []string{"env:SHOP_OLD", "file:/run/secrets/shop"},
		Auth: endpoints.Auth{OAuth2: &endpoints.OAuth2{
			TokenURL: "https://id.example.com/token", ClientID: "vigil", ClientSecret: "env:SHOP_CLIENT", Scopes: []string{"hooks"},
			Params: map[string]string{"audience": "shop"}, InBody: true,
		}},
		TLS:     endpoints.TLS{Certificate: "file:/run/tls/client.pem", Key: "file:/run/tls/client.key", CA: "env:SHOP_CA"},
		RetryOn: endpoints.RetryOn{Stated: true, Default: true, Statuses: []int{404}}, HTTP2: true,
		Headers: map[string]string{"X-Team": "ops"}, Timeout: 3 * time.Second, Retries: 1,
		RetryDelays: []time.Duration{30 * time.Second, 5 * time.Minute}, Rate: 10, MaxInFlight: 8, AllowHTTP: true, AllowPrivate: true,
	}}
	if diff := cmp.Diff(want, got); diff != "" || len(problems) > 0 {
		t.Errorf("%s%v", diff, problems)
	}
	got, problems = endpoints.Parse("list.json", []byte(`[{"name":"a","url":"https://a.example"},{"name":"b","url":"https://b.example"}]`))
	want = []endpoints.Endpoint{
		{Name: "a", URL: "https://a.example", Timeout: 5 * time.Second, Retries: 2, RetryDelays: endpoints.DefaultRetryDelays()},
		{Name: "b", URL: "https://b.example", Timeout: 5 * time.Second, Retries: 2, RetryDelays: endpoints.DefaultRetryDelays()},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(problems) > 0 {
		t.Errorf("%s%v", diff, problems)
	}
}

func TestEndpointProblems(t *testing.T) {
	problem := func(line string) []string {
		text := "name: shop\nurl: https://shop.example.com/\n" + line
		if strings.HasPrefix(line, "url:") {
			text = "name: shop\n" + line
		}
		_, problems := endpoints.Parse("e.yaml", []byte(text))
		var codes []string
		for _, p := range problems {
			codes = append(codes, p.Code)
		}
		return codes
	}
	for line, code := range map[string]string{
		"secret: x":                             "unknown_field",
		"timeout: 5":                            "wrong_type",
		"timeout: soon":                         "invalid_duration",
		"timeout: 31s":                          "out_of_range",
		"timeout: 900ms":                        "out_of_range",
		"retries: 3":                            "out_of_range",
		"retries: -1":                           "out_of_range",
		"retry_delays: [1s, 2s, 3s]":            "out_of_range",
		"retry_delays: []":                      "out_of_range",
		"retry_delays: [500ms]":                 "out_of_range",
		"retry_delays: 10s":                     "wrong_type",
		"rate: fast":                            "invalid_rate",
		"rate: 10/d":                            "invalid_rate",
		"rate: true":                            "invalid_rate",
		"rate: 0":                               "out_of_range",
		"max_in_flight: 0":                      "out_of_range",
		"max_in_flight: 2000":                   "out_of_range",
		"secrets: env:X":                        "wrong_type",
		"secrets: [whsec_abc]":                  "invalid_secret",
		"secrets: [\"env:\"]":                   "invalid_secret",
		"headers: {Host: x}":                    "invalid_header",
		"headers: {webhook-id: x}":              "invalid_header",
		"headers: {\"a b\": x}":                 "invalid_header",
		"headers: {X: \"a\\nb\"}":               "invalid_header",
		"headers: {X: 1}":                       "wrong_type",
		"allow_http: maybe":                     "wrong_type",
		"auth: {}":                              "no_meaning",
		"auth: {bearer: t0ken}":                 "invalid_secret",
		"auth: {bearer: 5}":                     "wrong_type",
		"auth: {basic: {user: u, password: p}}": "invalid_secret",
		"auth: {basic: {user: \"u:v\", password: env:P}}":                                                 "out_of_range",
		"auth: {basic: {user: u}}":                                                                        "missing_field",
		"auth: {basic: {user: u, password: env:P}, bearer: env:T}":                                        "no_meaning",
		"auth: {digest: x}":                                                                               "unknown_field",
		"auth: {bearer: env:T}\nheaders: {authorization: x}":                                              "no_meaning",
		"auth: {oauth2: {token_url: x, client_id: a, client_secret: env:S}}":                              "invalid_url",
		"auth: {oauth2: {token_url: http://x/, client_id: a, client_secret: env:S}}":                      "plain_http",
		"auth: {oauth2: {token_url: https://x/?a, client_id: a, client_secret: env:S}}":                   "invalid_url",
		"auth: {oauth2: {token_url: https://x/, client_id: a, client_secret: env:S, style: query}}":       "unknown_value",
		"auth: {oauth2: {token_url: https://x/, client_id: a, client_secret: env:S, params: {scope: a}}}": "no_meaning",
		"auth: {oauth2: {token_url: https://x/, client_id: a, client_secret: env:S, scopes: a}}":          "wrong_type",
		"tls: {certificate: file:a}":                                                                      "missing_field",
		"tls: {key: file:a}":                                                                              "missing_field",
		"tls: {ca: \"-----BEGIN\"}":                                                                       "invalid_secret",
		"http2: 1":                                                                                        "wrong_type",
		"retry_on: 404":                                                                                   "wrong_type",
		"retry_on: [200]":                                                                                 "out_of_range",
		"retry_on: [410]":                                                                                 "out_of_range",
		"retry_on: [600]":                                                                                 "out_of_range",
		"retry_on: [defualt]":                                                                             "out_of_range",
		"retry_on: [\"404\"]":                                                                             "out_of_range",
		"url: http://a/\nallow_http: true\nhttp2: true":                                                   "no_meaning",
		"url: http://a/\nallow_http: true\ntls: {ca: env:A}":                                              "no_meaning",
		"url: http://shop.example.com/":                                                                   "plain_http",
		"url: shop.example.com":                                                                           "invalid_url",
		"url: ftp://shop.example.com":                                                                     "invalid_url",
		"url: https://":                                                                                   "invalid_url",
		"url: https://u:p@shop.example.com":                                                               "invalid_url",
		"url: https://shop.example.com/#x":                                                                "invalid_url",
		"url: \"https://shop example.com\"":                                                               "invalid_url",
		"url: \"\"":                                                                                       "empty_text",
	} {
		codes := problem(line)
		if !slices.Equal(codes, []string{code}) {
			t.Errorf("%s: %v, want %s", line, codes, code)
		}
	}
}

func TestEndpointProblemsHavePlacesAndNeverSecrets(t *testing.T) {
	_, problems := endpoints.Parse("e.yaml", []byte("name: Shop!\nurl: http://x\nsecrets:\n  - whsec_topsecret\ntimeuot: 5s\n"))
	var got []string
	for _, p := range problems {
		got = append(got, strings.Join(strings.SplitN(p.String(), ":", 5)[:3], ":")+" "+p.Code)
		if strings.Contains(p.Message+p.Hint, "topsecret") {
			t.Errorf("a secret is repeated: %v", p)
		}
	}
	want := []string{"e.yaml:1:7 invalid_name", "e.yaml:2:6 plain_http", "e.yaml:4:5 invalid_secret", "e.yaml:5:1 unknown_field"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoadEndpoints(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.yaml": wholeEndpoint, "b.yml": "name: other\nurl: https://o.example\n", "c.json": `{"name":"shop","url":"https://x.example"}`,
		"notes.txt": "no: [", "d.yaml": "name: [", "e.yaml": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, problems, err := endpoints.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, p := range problems {
		files[filepath.Base(p.File)] = p.Code
	}
	if len(found) < 3 || files["c.json"] != "duplicate_name" || files["d.yaml"] == "" || files["e.yaml"] == "" || len(files) != 3 {
		t.Errorf("%d endpoints, problems %v", len(found), problems)
	}
	if found, problems, err := endpoints.Load(filepath.Join(dir, "none")); found != nil || problems != nil || err != nil {
		t.Errorf("a folder that is not there: %v, %v, %v", found, problems, err)
	}
}

func TestSecret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("whsec_f\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lookup := func(name string) (string, bool) {
		return map[string]string{"S": " whsec_e ", "EMPTY": ""}[name], name != "NONE"
	}
	for ref, want := range map[string]string{"env:S": "whsec_e", "file:" + file: "whsec_f"} {
		if got, err := endpoints.Secret(ref, lookup); got != want || err != nil {
			t.Errorf("%s: %q, %v", ref, got, err)
		}
	}
	for _, ref := range []string{"env:NONE", "env:EMPTY", "file:" + file + "x", "whsec_plain", "env"} {
		if _, err := endpoints.Secret(ref, lookup); err == nil || strings.Contains(err.Error(), "whsec_plain") {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

// TestEndpointSchema: the schema takes what the parser takes and knows the same fields.
func TestEndpointSchema(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(endpoints.Schema())))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("endpoint.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("endpoint.json")
	if err != nil {
		t.Fatal(err)
	}
	for text, ok := range map[string]bool{
		wholeEndpoint: true, "- {name: a, url: https://a.example}": true, "name: a": false, "name: a\nurl: x\nfoo: 1": false,
	} {
		root, _ := source.Parse("e.yaml", []byte(text))
		var value any
		if err := json.Unmarshal(root.AppendJSON(nil), &value); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseEndpoints(f *testing.F) {
	f.Add([]byte(wholeEndpoint))
	f.Add([]byte("- name: a\n- [b]\n- null\n"))
	f.Add([]byte(`{"name":"a","url":"https://a","rate":"1e400/s"}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		found, problems := endpoints.Parse("e.yaml", src)
		if source.Failed(problems) {
			return
		}
		for _, e := range found {
			if e.Name == "" || e.URL == "" || e.Timeout < time.Second || e.Retries > 2 || len(e.RetryDelays) != 2 {
				t.Errorf("%+v passes without a problem", e)
			}
		}
	})
}

func TestRetryOn(t *testing.T) {
	for text, want := range map[string]endpoints.RetryOn{
		"[]":                  {Stated: true},
		"[default]":           {Stated: true, Default: true},
		"[503, 404, \"404\"]": {Stated: true, Statuses: []int{404, 503}},
	} {
		got, _ := endpoints.Parse("e.yaml", []byte("name: a\nurl: https://a.example\nretry_on: "+text))
		if diff := cmp.Diff(want, got[0].RetryOn); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	got, problems := endpoints.Parse("e.yaml", []byte("name: a\nurl: https://a.example\nretry_on: [4xx]"))
	if list := got[0].RetryOn.Statuses; len(problems) > 0 || len(list) != 99 || list[0] != 400 || slices.Contains(list, 410) {
		t.Errorf("4xx is %v, %v", list, problems)
	}
}
