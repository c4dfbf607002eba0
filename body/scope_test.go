package body

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vigil/event"
	"vigil/source"
	"vigil/template"
)

// TestPlainPathsAreThoseOfTheLibrary: a path that is found without the expression library gives what the library gives.
func TestPlainPathsAreThoseOfTheLibrary(t *testing.T) {
	w := &Webhook{about: About{ID: "c", Name: "C", Revision: "r", Type: "single", Zone: time.UTC}, uses: map[string]bool{}}
	for _, root := range template.Roots() {
		w.uses[root] = true
	}
	event1 := func(props string) *event.Snapshot {
		return &event.Snapshot{ID: "e", Type: "t", TS: 3, Props: []byte(props)}
	}
	const deep = `{"a":{"b":{"size":7,"c-d":null,"é":[1,{"a":2}]},"size":false},"b":"text","c-d":[],"é":-1.50,"a.b":1,"a":3}`
	fires := []*Fire{
		{FireID: "f", Run: "run", User: "u", Key: "k", Slot: "s", At: 1, LateBy: 2},
		{Profile: []byte(deep), Anchor: event1(deep), Events: []*event.Snapshot{event1(deep), event1("")}},
		{Profile: []byte(`{"a":null,"b":{"a":""}}`), Anchor: event1(`{"a":[[]],"size":"x"}`)},
	}
	found := 0
	for _, path := range paths() {
		text := "{{ " + path + " }}"
		_, r := source.Parse("f", []byte("a: 1"))
		tree := template.NewCompiler(r).Tree(&source.Node{Kind: source.String, Text: text}, "leaf")
		if r.Failed() {
			t.Fatalf("%s: %v", text, r.Problems())
		}
		for _, f := range fires {
			v, err := w.vars(f)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := v.find(strings.Split(path, ".")); ok {
				found++
			}
			got, err := tree.AppendJSON(nil, template.NewScope(template.Vars{All: v.all, Find: v.find}, f.At, time.UTC))
			want, slow := tree.AppendJSON(nil, template.NewScope(template.Vars{All: v.all}, f.At, time.UTC))
			if string(got) != string(want) || fmt.Sprint(err) != fmt.Sprint(slow) {
				t.Errorf("%s: %s, %v; the library: %s, %v", text, got, err, want, slow)
			}
		}
	}
	if found < 1000 {
		t.Errorf("%d values were found without the library", found)
	}
}

// paths are all of at most three names below what a campaign may speak of.
func paths() []string {
	list := []string{
		"user", "key", "profile", "anchor", "events", "fire.id", "fire.fire_id", "fire.run", "fire.slot", "fire.at", "fire.late_by_ms",
		"campaign.id", "campaign.name", "campaign.revision", "campaign.type", "anchor.id", "anchor.type", "anchor.time", "anchor.properties",
	}
	from := 0
	for range 3 {
		end := len(list)
		for _, path := range list[from:end] {
			if path == "anchor" {
				continue // its fields are in the list
			}
			for _, name := range []string{"a", "b", "c-d", "é", "size", "first", "last"} {
				list = append(list, path+"."+name)
			}
		}
		from = end
	}
	return list
}
