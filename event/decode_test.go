package event_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"vigil/event"
)

var plain = event.Fields{Type: "type", ID: "id", Time: "time", Properties: "properties"}

const rt = 1_780_000_000_000 // 2026-05-28T20:26:40Z

func headers(pairs ...string) func(string) ([]byte, bool) {
	return func(name string) ([]byte, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return []byte(pairs[i+1]), true
			}
		}
		return nil, false
	}
}

// told is an event, or the code of why there is none, as one line.
func told(ev *event.Event, err error) string {
	var wrong *event.Error
	switch {
	case errors.As(err, &wrong):
		return wrong.Code
	case err != nil:
		return "untyped: " + err.Error()
	case ev == nil:
		return "nothing"
	}
	skewed := ""
	if ev.Skewed {
		skewed = " skewed"
	}
	return fmt.Sprintf("%s %s %s ts%+d rt%+d %s%s", ev.User, ev.Type, ev.ID, ev.TS-rt, ev.RT-rt, ev.Props.AppendJSON(nil), skewed)
}

func TestDecodePlain(t *testing.T) {
	deep := strings.Repeat("[", 301) + strings.Repeat("]", 301)
	for value, want := range map[string]string{
		`{"type":"X","id":"a","time":1780000000,"properties":{"v":1}}`: `u X a ts+0 rt+0 {"v":1}`,
		`{"type":"X"}`: `u X in/3/7 ts+0 rt+0 {}`,
		`{"type":"X","id":null,"time":null,"properties":null}`: `u X in/3/7 ts+0 rt+0 {}`,
		`{"type":"X","id":""}`:                                 `u X in/3/7 ts+0 rt+0 {}`,
		`{"type":"X","id":7}`:                                  `u X 7 ts+0 rt+0 {}`,
		`{"type":"X","id":7.0}`:                                `u X 7.0 ts+0 rt+0 {}`,
		`{"type":"X","id":"a\u0041\"é"}`:                       `u X aA"é ts+0 rt+0 {}`,
		`{"type":"X","id":true}`:                               "id_invalid",
		`{"type":"X","id":{}}`:                                 "id_invalid",
		`{"type":"X","id":[1]}`:                                "id_invalid",
		`{"type":"X","time":1780000120}`:                       `u X in/3/7 ts+120000 rt+0 {}`,
		`{"type":"X","time":1780000120.001}`:                   `u X in/3/7 ts+0 rt+0 {} skewed`,
		`{"type":"X","time":"2026-05-28T20:26:40.123999Z"}`:    `u X in/3/7 ts+123 rt+0 {}`,
		`{"type":"X","time":"2026-05-28T22:26:40+02:00"}`:      `u X in/3/7 ts+0 rt+0 {}`,
		`{"type":"X","time":"2026-05-28T20:26:40"}`:            "time_invalid",
		`{"type":"X","time":"2026-05-28"}`:                     "time_invalid",
		`{"type":"X","time":""}`:                               "time_invalid",
		`{"type":"X","time":true}`:                             "time_invalid",
		`{"type":"X","time":{}}`:                               "time_invalid",
		`{"type":"X","time":1e300}`:                            "time_invalid",
		`{"type":"X","time":1780000000000000}`:                 `u X in/3/7 ts+0 rt+0 {} skewed`,
		`{"type":"X","time":99999999999}`:                      `u X in/3/7 ts+0 rt+0 {} skewed`,
		`{"type":"X","time":100000000000}`:                     `u X in/3/7 ts-1680000000000 rt+0 {}`,
		`{"type":"X","properties":[]}`:                         "properties_invalid",
		`{"type":"X","properties":"x"}`:                        "properties_invalid",
		`{"type":""}`:                                          "type_invalid",
		`{"type":5}`:                                           "type_invalid",
		`{"type":null}`:                                        "type_missing",
		`{}`:                                                   "type_missing",
		`[]`:                                                   "json_invalid",
		`"x"`:                                                  "json_invalid",
		`null`:                                                 "json_invalid",
		`{"type":"X"`:                                          "json_invalid",
		`{"type":"X"} x`:                                       "json_invalid",
		`{"type":"X","a":01}`:                                  "json_invalid",
		`{"type":"X","a":NaN}`:                                 "json_invalid",
		`{"type":"X","a":1e}`:                                  "json_invalid",
		`{"type":"X",}`:                                        "json_invalid",
		`{"type":"X","a":[1,]}`:                                "json_invalid",
		"{\"type\":\"X\ty\"}":                                  "json_invalid",
		"{\"type\":\"\xff\"}":                                  "json_invalid",
		"\ufeff{}":                                             "json_invalid",
		`{"type":"X","a":` + deep + `}`:                        "too_deep",
		strings.Repeat("[", event.MaxValueBytes):               "too_deep",
		strings.Repeat(" ", event.MaxValueBytes+1):             "too_large",
		"":                       "empty",
		"\x00\x00\x00\x01\x02{}": "schema_registry",
		"\x00\x01":               "json_invalid",
		`{"type":"$profile"}`:    `u $profile in/3/7 ts+0 rt+0 {}`,
		`{"type":"$profile","properties":{"set":null,"unset":null}}`:                           `u $profile in/3/7 ts+0 rt+0 {"set":null,"unset":null}`,
		`{"type":"$profile","properties":{"set":{"a":null},"unset":["b"]}}`:                    `u $profile in/3/7 ts+0 rt+0 {"set":{"a":null},"unset":["b"]}`,
		`{"type":"$profile","properties":{"set":[]}}`:                                          "profile_invalid",
		`{"type":"$profile","properties":{"unset":"b"}}`:                                       "profile_invalid",
		`{"type":"$profile","properties":{"unset":["b",1]}}`:                                   "profile_invalid",
		`{"type":"$erase","properties":{"set":[]}}`:                                            `u $erase in/3/7 ts+0 rt+0 {"set":[]}`,
		`{"ty\u0070e":"Y","type":"X"}`:                                                         `u Y in/3/7 ts+0 rt+0 {}`,
		`{"type":"X","properties":{"a":1,"a":2}}`:                                              `u X in/3/7 ts+0 rt+0 {"a":1,"a":2}`,
		`{"type":"X","properties":{"a":"\u0007\u000b\u2028\"\\\/\n","\u0000":"\ud83d\ude00"}}`: "u X in/3/7 ts+0 rt+0 {\"a\":\"\\u0007\\u000b\u2028\\\"\\\\/\\n\",\"\\u0000\":\"😀\"}",
	} {
		d := event.NewDecoder(plain, "json")
		got := told(d.Decode(event.Record{Key: []byte("u"), Value: []byte(value), RT: rt, Topic: "in", Partition: 3, Offset: 7}))
		if got != want {
			t.Errorf("%.100s:\n got %s\nwant %s", value, got, want)
		}
	}
}

func TestDecodeUser(t *testing.T) {
	byPath := plain
	byPath.User = "who.id"
	for _, row := range []struct {
		fields     event.Fields
		key, value string
		want       string
	}{
		{plain, "", `{"type":"X","user":"u"}`, "user_missing"},
		{plain, "\xff", `{"type":"X"}`, "user_invalid"},
		{plain, strings.Repeat("é", 128), `{"type":"X"}`, strings.Repeat("é", 128) + " X in/0/0 ts+0 rt+0 {}"},
		{plain, strings.Repeat("é", 128) + "a", `{"type":"X"}`, "user_invalid"},
		{byPath, "k", `{"type":"X","who":{"id":"v"}}`, "v X in/0/0 ts+0 rt+0 {}"},
		{byPath, "k", `{"type":"X","who.id":"v"}`, "v X in/0/0 ts+0 rt+0 {}"},
		{byPath, "k", `{"type":"X","who":{"id":null}}`, "user_missing"},
		{byPath, "k", `{"type":"X","who":{"id":""}}`, "user_missing"},
		{byPath, "k", `{"type":"X","who":{"id":5}}`, "user_invalid"},
		{byPath, "k", `{"type":"X"}`, "user_missing"},
	} {
		d := event.NewDecoder(row.fields, "json")
		got := told(d.Decode(event.Record{Key: []byte(row.key), Value: []byte(row.value), RT: rt, Topic: "in"}))
		if got != row.want {
			t.Errorf("%q %s: got %s, want %s", row.key, row.value, got, row.want)
		}
	}
}

func TestDecodeCloudEvents(t *testing.T) {
	const ce, js = "application/cloudevents+json; charset=utf-8", "application/json"
	bySubject, byInside := plain, plain
	bySubject.User, byInside.User = "subject", "data.uid"
	binary := []string{"ce_specversion", "1.0", "ce_type", "X", "ce_id", "a", "ce_source", "/s", "ce_time", "2026-05-28T20:26:41Z", "ce_subject", "s"}
	for name, row := range map[string]struct {
		fields event.Fields
		format string
		head   []string
		value  string
		want   string
	}{
		"structured":        {plain, "json", []string{"content-type", ce}, `{"specversion":"1.0","type":"X","id":"a","source":"/s","time":"2026-05-28T20:26:41Z","data":{"v":1}}`, `u X a ts+1000 rt+0 {"v":1}`},
		"capitals":          {plain, "json", []string{"content-type", "Application/CloudEvents+JSON"}, `{"specversion":"1.0","type":"X","id":"a"}`, `u X a ts+0 rt+0 {}`},
		"no content-type":   {plain, "cloudevents", nil, `{"specversion":"1.0","type":"X","id":"a","data":null}`, `u X a ts+0 rt+0 {}`},
		"json by header":    {plain, "cloudevents", []string{"content-type", js}, `{"type":"X","id":"a","properties":{"v":1}}`, `u X a ts+0 rt+0 {"v":1}`},
		"specversion":       {plain, "cloudevents", []string{"content-type", js}, `{"specversion":"1.0","type":"X","id":"a","data":{"v":1}}`, `u X a ts+0 rt+0 {"v":1}`},
		"subject":           {bySubject, "cloudevents", nil, `{"specversion":"1.0","type":"X","id":"a","subject":"s"}`, `s X a ts+0 rt+0 {}`},
		"base64":            {plain, "cloudevents", nil, `{"specversion":"1.0","type":"X","id":"a","data_base64":"eyJ2IjoxfQ=="}`, `u X a ts+0 rt+0 {"v":1}`},
		"base64 broken":     {plain, "cloudevents", nil, `{"specversion":"1.0","type":"X","data_base64":"!"}`, "cloudevents_invalid"},
		"base64 no JSON":    {plain, "cloudevents", nil, `{"specversion":"1.0","type":"X","data_base64":"eyJ2Ijox"}`, "json_invalid"},
		"base64 other":      {plain, "cloudevents", nil, `{"specversion":"1.0","type":"X","datacontenttype":"image/png","data_base64":"eyJ2IjoxfQ=="}`, "cloudevents_invalid"},
		"both data":         {plain, "cloudevents", nil, `{"specversion":"1.0","type":"X","data":{},"data_base64":"e30="}`, "cloudevents_invalid"},
		"data a list":       {plain, "cloudevents", nil, `{"specversion":"1.0","type":"X","data":[]}`, "properties_invalid"},
		"other version":     {plain, "cloudevents", nil, `{"specversion":"0.3","type":"X"}`, "cloudevents_invalid"},
		"no version":        {plain, "json", []string{"content-type", ce}, `{"type":"X"}`, "cloudevents_invalid"},
		"batch":             {plain, "json", []string{"content-type", "application/cloudevents-batch+json"}, `[]`, "cloudevents_invalid"},
		"avro":              {plain, "json", []string{"content-type", "application/cloudevents+avro"}, `x`, "cloudevents_invalid"},
		"empty":             {plain, "cloudevents", nil, ``, "empty"},
		"no type":           {plain, "cloudevents", nil, `{"specversion":"1.0","id":"a"}`, "type_missing"},
		"no id":             {plain, "cloudevents", nil, `{"specversion":"1.0","type":"X"}`, `u X in/0/0 ts+0 rt+0 {}`},
		"profile":           {plain, "cloudevents", nil, `{"specversion":"1.0","type":"$profile","data":{"set":5}}`, "profile_invalid"},
		"binary":            {plain, "json", binary, `{"v":1}`, `u X a ts+1000 rt+0 {"v":1}`},
		"binary typed":      {plain, "json", append([]string{"content-type", js}, binary...), `{"v":1}`, `u X a ts+1000 rt+0 {"v":1}`},
		"binary no value":   {plain, "json", binary, ``, `u X a ts+1000 rt+0 {}`},
		"binary text":       {plain, "json", append([]string{"content-type", "text/plain"}, binary...), `{"v":1}`, "cloudevents_invalid"},
		"binary subject":    {bySubject, "json", binary, `{"v":1}`, `s X a ts+1000 rt+0 {"v":1}`},
		"binary data":       {byInside, "json", binary, `{"uid":"d"}`, `d X a ts+1000 rt+0 {"uid":"d"}`},
		"binary no user":    {byInside, "json", binary, `{"v":1}`, "user_missing"},
		"binary no JSON":    {plain, "json", binary, `{`, "json_invalid"},
		"binary a list":     {plain, "json", binary, `[]`, "properties_invalid"},
		"binary bad time":   {plain, "json", append([]string{"ce_time", "1780000000"}, binary...), `{}`, "time_invalid"},
		"binary version":    {plain, "json", []string{"ce_specversion", "2.0", "ce_type", "X"}, `{}`, "cloudevents_invalid"},
		"binary not UTF-8":  {plain, "json", []string{"ce_specversion", "1.0", "ce_type", "\xff"}, `{}`, "type_invalid"},
		"binary no type":    {plain, "json", []string{"ce_specversion", "1.0"}, `{}`, "type_missing"},
		"binary registry":   {plain, "json", binary, "\x00\x00\x00\x00\x09{}", "schema_registry"},
		"plain with a type": {plain, "json", []string{"content-type", js}, `{"type":"X","id":"a"}`, `u X a ts+0 rt+0 {}`},
	} {
		d := event.NewDecoder(row.fields, row.format)
		got := told(d.Decode(event.Record{Key: []byte("u"), Value: []byte(row.value), Header: headers(row.head...), RT: rt, Topic: "in"}))
		if got != row.want {
			t.Errorf("%s: got %s, want %s", name, got, row.want)
		}
	}
}

func TestDecodeProfile(t *testing.T) {
	for _, row := range []struct{ key, value, want string }{
		{"u", `{"a" : "\u0041"}`, `u {"a":"A"} <nil>`},
		{"", `{}`, "  user_missing: the record names no user"},
		{"u", `[]`, "  json_invalid: the value is JSON, but not an object"},
		{"u", "", "  json_invalid: the value is not JSON: byte 0: the end, not a value"},
	} {
		user, profile, err := event.NewDecoder(plain, "json").DecodeProfile(event.Record{Key: []byte(row.key), Value: []byte(row.value)})
		if got := fmt.Sprintf("%s %s %v", user, profile, err); got != row.want {
			t.Errorf("%s: got %s, want %s", row.value, got, row.want)
		}
	}
	user, profile, err := event.NewDecoder(plain, "json").DecodeProfile(event.Record{Key: []byte("u")})
	if user != "u" || profile != nil || err != nil {
		t.Errorf("tombstone: got %q %q %v", user, profile, err)
	}
}

func TestLines(t *testing.T) {
	var l event.LineDecoder
	for n, row := range [...]struct{ line, want string }{
		{`{"user":"u","type":"X","id":7,"time":1780000000}`, "u X 7 ts+0 rt+0 {}"},
		{"  \r", "nothing"},
		{`{"user":"u","type":"X","received":1780000001}`, "u X file/0/2 ts+1000 rt+1000 {}"},
		{`{"user":"u","type":"X","time":1780000000,"received":"2026-05-28T20:26:42Z","properties":{"a":1}}`, `u X file/0/3 ts+0 rt+2000 {"a":1}`},
		{`{"user":"u","type":"X","received":1780000001}`, "time_invalid"},
		{`{"user":"u","type":"X","time":1780000000}`, "u X file/0/5 ts+0 rt+0 {}"},
		{`{"user":"u","type":"X","time":1780000200,"received":1780000003}`, "u X file/0/6 ts+3000 rt+3000 {} skewed"},
		{`{"user":"u","type":"X"}`, "time_missing"},
		{`{"user":"u","type":"X","time":null,"received":null}`, "time_missing"},
		{`{"user":"u","type":"X","time":"x","received":1780000009}`, "time_invalid"},
		{`{"user":7,"type":"X","time":1780000009}`, "user_invalid"},
		{`{"type":"X","time":1780000009}`, "user_missing"},
		{`{`, "json_invalid"},
	} {
		if got := told(l.Decode([]byte(row.line), int64(n))); got != row.want {
			t.Errorf("%s: got %s, want %s", row.line, got, row.want)
		}
	}
}

// TestDecodeAgain checks that nothing of one event shows in the next.
func TestDecodeAgain(t *testing.T) {
	d := event.NewDecoder(plain, "json")
	one := event.Record{Key: []byte("u"), Value: []byte(`{"type":"X","id":"a","time":1880000000,"properties":{"v":1}}`), RT: rt, Topic: "in"}
	two := event.Record{Key: []byte("w"), Value: []byte(`{"type":"Y"}`), RT: rt, Topic: "in"}
	for range 2 {
		if diff := cmp.Diff(`u X a ts+0 rt+0 {"v":1} skewed`, told(d.Decode(one))); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(`w Y in/0/0 ts+0 rt+0 {}`, told(d.Decode(two))); diff != "" {
			t.Error(diff)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("u", `{"type":"X","id":7,"time":1780000000.5,"properties":{"a":{"b":["\u0041",null,1e9]}}}`, "", "")
	f.Add("u", `{"specversion":"1.0","type":"X","data_base64":"e30="}`, "application/cloudevents+json", "")
	f.Add("u", `{"v":1}`, "application/json", "1.0")
	f.Add("", "\x00\x00\x00\x00\x01", "x", "1.0")
	f.Fuzz(func(t *testing.T, key, value, kind, version string) {
		for _, format := range []string{"json", "cloudevents"} {
			r := event.Record{Key: []byte(key), Value: []byte(value), RT: rt, Topic: "in"}
			r.Header = headers("content-type", kind, "ce_specversion", version, "ce_type", value, "ce_time", key)
			checkDecoded(t, event.NewDecoder(plain, format), r)
			r.Header = nil
			checkDecoded(t, event.NewDecoder(plain, format), r)
		}
	})
}

func checkDecoded(t *testing.T, d *event.Decoder, r event.Record) {
	ev, err := d.Decode(r)
	var wrong *event.Error
	if err != nil {
		if !errors.As(err, &wrong) || wrong.Code == "" || !utf8.ValidString(wrong.Msg) || len(wrong.Msg) > 1000 {
			t.Fatalf("no proper error: %v", err)
		}
		return
	}
	if ev.User == "" || len(ev.User) > event.MaxUserBytes || ev.Type == "" || ev.ID == "" || ev.TS > r.RT+event.MaxSkewMillis {
		t.Fatalf("an event out of bounds: %+v", ev)
	}
	doc := ev.Props.AppendJSON(nil)
	again, err := event.ParseValue(doc)
	if err != nil || again.Kind() != event.Object {
		t.Fatalf("properties %q do not read back: %v", doc, err)
	}
	if diff := cmp.Diff(string(doc), string(again.AppendJSON(nil))); diff != "" {
		t.Fatal(diff)
	}
}

func FuzzDecodeLine(f *testing.F) {
	f.Add(`{"user":"u","type":"X","id":7,"time":1780000000,"received":"2026-05-28T20:26:42Z"}`)
	f.Add(" ")
	f.Fuzz(func(t *testing.T, line string) {
		var l event.LineDecoder
		ev, err := l.Decode([]byte(line), 3)
		var wrong *event.Error
		if err != nil && !errors.As(err, &wrong) {
			t.Fatalf("no proper error: %v", err)
		}
		if ev != nil && (ev.User == "" || ev.Type == "" || ev.ID == "" || math.Abs(float64(ev.TS)) > 8.64e15) {
			t.Fatalf("an event out of bounds: %+v", ev)
		}
	})
}

// BenchmarkDecode decodes a plain event of about 300 bytes; one allocation is the id, which outlives it.
func BenchmarkDecode(b *testing.B) {
	value := []byte(`{"type":"cart_add","id":"01J9ZK3V7Y8Q2M4N6P8R0S2T4V","time":"2026-05-28T20:26:40.123Z","properties":{"cart_id":"c-18231","value":129.95,"currency":"EUR","category":"shoes","item":{"sku":"A-1","brand":"acme","qty":2},"tags":["sale","new"],"country":"CA","vip":false,"step":3}}`)
	d := event.NewDecoder(plain, "json")
	r := event.Record{Key: []byte("user-000123"), Value: value, RT: rt, Topic: "in"}
	b.ReportAllocs()
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		if _, err := d.Decode(r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeHostile shows that a broken megabyte costs no more than a few good ones.
func BenchmarkDecodeHostile(b *testing.B) {
	for name, value := range map[string]string{
		"deep tail": strings.Repeat("[", 299) + "t" + strings.Repeat("\x01", event.MaxValueBytes-300),
		"brackets":  strings.Repeat("[", event.MaxValueBytes),
		"digits":    `{"type":"X","time":` + strings.Repeat("9", event.MaxValueBytes-20) + "}",
	} {
		b.Run(name, func(b *testing.B) {
			d := event.NewDecoder(plain, "json")
			start := time.Now()
			n := 0
			for b.Loop() {
				n++
				_, _ = d.Decode(event.Record{Key: []byte("u"), Value: []byte(value), RT: rt})
			}
			b.ReportMetric(float64(time.Since(start).Milliseconds())/float64(n), "ms/record")
		})
	}
}
