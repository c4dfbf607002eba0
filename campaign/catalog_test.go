package campaign_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vigil/campaign"
	"vigil/event"
)

// where compiles one property with one or more accepted values; no values is any value.
func where(t interface{ Fatal(...any) }, members ...campaign.Member) *campaign.Filter {
	f, errs := campaign.CompileFilter(members)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return f
}

func incoming(t interface{ Fatal(...any) }, kind, props string) *event.Event {
	v, err := event.ParseValue([]byte(props))
	if err != nil {
		t.Fatal(err)
	}
	return &event.Event{User: "u", Type: kind, ID: "e", Props: v}
}

// naive is what Match must find, by looking at every step.
func naive(cat *campaign.Catalog, ev *event.Event) []campaign.Match {
	var out []campaign.Match
	for i := range cat.Len() {
		m := campaign.Match{Index: i}
		for k, s := range cat.At(i).Trigger.Did {
			if s.Event == ev.Type && s.Where.Match(ev.Props, ev.TS) {
				m.Did |= 1 << k
			}
		}
		for _, s := range cat.At(i).Trigger.DidNot {
			m.DidNot = m.DidNot || s.Event == ev.Type && s.Where.Match(ev.Props, ev.TS)
		}
		if m.Did != 0 || m.DidNot {
			out = append(out, m)
		}
	}
	return out
}

func number(text string) json.Number { return json.Number(text) }

// someFilter draws filters that the index treats differently, over few properties and values so that they meet.
var someFilter = rapid.Custom(func(t *rapid.T) *campaign.Filter {
	var members []campaign.Member
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3, rapid.ID).Draw(t, "names") {
		value := rapid.SampledFrom([]any{"x", "y", true, false, number("1"), number("1.0"), number("2")})
		one, two := value.Draw(t, "one"), value.Draw(t, "two")
		members = append(members, campaign.Member{Name: name, Value: rapid.SampledFrom([]any{
			one,
			[]campaign.Member{{Name: "in", Value: []any{one, two, one}}},
			[]campaign.Member{{Name: "ne", Value: one}},
			[]campaign.Member{{Name: "eq", Value: one}, {Name: "eq", Value: two}},
			[]campaign.Member{{Name: "exists", Value: false}},
		}).Draw(t, "check")})
	}
	if len(members) == 0 {
		return nil
	}
	switch rapid.IntRange(0, 3).Draw(t, "form") {
	case 0:
		members = []campaign.Member{{Name: "not", Value: members}}
	case 1:
		members = []campaign.Member{{Name: "all", Value: []any{members}}}
	}
	return where(t, members...)
})

func TestMatchAgainstNaive(t *testing.T) {
	step := rapid.Custom(func(t *rapid.T) campaign.Step {
		return campaign.Step{Event: rapid.SampledFrom([]string{"A", "B"}).Draw(t, "event"), Where: someFilter.Draw(t, "where"), Count: 1}
	})
	rapid.Check(t, func(t *rapid.T) {
		var campaigns []*campaign.Campaign
		for i := range rapid.IntRange(0, 12).Draw(t, "campaigns") {
			c := &campaign.Campaign{ID: fmt.Sprint(i)} // by bytes 10 is before 2
			c.Trigger.Did = rapid.SliceOfN(step, 0, 4).Draw(t, "did")
			c.Trigger.DidNot = rapid.SliceOfN(step, 0, 3).Draw(t, "did_not")
			campaigns = append(campaigns, c)
		}
		cat := campaign.NewCatalog(campaigns)
		props := `{`
		for i, name := range []string{"a", "b", "c"} {
			if i > 0 {
				props += ","
			}
			props += `"` + name + `":` + rapid.SampledFrom([]string{`"x"`, `"y"`, "true", "false", "1", "1.0", "10e-1", "2", "null", "[1]"}).Draw(t, name)
		}
		ev := incoming(t, rapid.SampledFrom([]string{"A", "B", "C"}).Draw(t, "type"), props+"}")
		before := []campaign.Match{{Index: 99}}
		got := cat.Match(ev, slices.Clone(before))
		if diff := cmp.Diff(append(before, naive(cat, ev)...), got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestCatalog(t *testing.T) {
	a := &campaign.Campaign{ID: "a", Trigger: campaign.Trigger{Shape: campaign.Schedule, DidNot: []campaign.Step{{Event: "Y"}}}}
	b := &campaign.Campaign{ID: "a-b", Trigger: campaign.Trigger{Shape: campaign.Session, Did: []campaign.Step{{Event: "X"}}}}
	c := &campaign.Campaign{ID: "B", Trigger: campaign.Trigger{Shape: campaign.Schedule}}
	given := []*campaign.Campaign{b, a, c}
	cat := campaign.NewCatalog(given)
	var ids []string
	for i := range cat.Len() {
		ids = append(ids, cat.At(i).ID)
	}
	if diff := cmp.Diff([]string{"B", "a", "a-b"}, ids); diff != "" {
		t.Error(diff)
	}
	if given[0] != b {
		t.Error("the caller's slice is left alone")
	}
	if diff := cmp.Diff([]int{0, 1}, cat.Schedules()); diff != "" {
		t.Error(diff)
	}
	for id, want := range map[string]int{"B": 0, "a": 1, "a-b": 2, "": -1, "b": -1, "a-": -1} {
		if got := cat.Find(id); got != want {
			t.Errorf("%q: got %d, want %d", id, got, want)
		}
	}
	for name, want := range map[string]bool{"X": true, "Y": true, "$profile": true, "$erase": true, "$other": false, "Z": false, "": false} {
		if got := cat.Named(name); got != want {
			t.Errorf("%q: named %t, want %t", name, got, want)
		}
	}
	if !cat.HasSession() || campaign.NewCatalog([]*campaign.Campaign{a, c}).HasSession() {
		t.Error("only the second campaign has a session")
	}
	if got := campaign.NewCatalog(nil).Match(incoming(t, "X", "{}"), nil); got != nil {
		t.Errorf("no campaigns match: got %v", got)
	}
}

// TestMatchAtOnce is for the race detector.
func TestMatchAtOnce(t *testing.T) {
	cat := many(t, 100)
	var wg sync.WaitGroup
	for i := range 4 {
		ev := incoming(t, "A", fmt.Sprintf(`{"country":"CA","sku":%d}`, i))
		wg.Go(func() {
			for range 100 {
				if got := cat.Match(ev, nil); len(got) != 1 || got[0].Index != cat.Find(fmt.Sprintf("c%05d", i)) {
					t.Errorf("got %v", got)
				}
			}
		})
	}
	wg.Wait()
}

// many are campaigns of one event type that differ in one value and share another.
func many(t interface{ Fatal(...any) }, n int) *campaign.Catalog {
	var campaigns []*campaign.Campaign
	for i := range n {
		w := where(t, campaign.Member{Name: "country", Value: "CA"}, campaign.Member{Name: "sku", Value: number(fmt.Sprintf("%d.0", i))})
		campaigns = append(campaigns, &campaign.Campaign{ID: fmt.Sprintf("c%05d", i), Trigger: campaign.Trigger{
			Did: []campaign.Step{{Event: "A", Where: w, Count: 1}}, DidNot: []campaign.Step{{Event: "B", Where: w, Count: 1}},
		}})
	}
	return campaign.NewCatalog(campaigns)
}

// BenchmarkMatch shows that campaigns which an event does not touch cost it nothing.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			cat, ev := many(b, n), incoming(b, "A", `{"country":"CA","value":129.95,"sku":7}`)
			dst := make([]campaign.Match, 0, 16)
			b.ReportAllocs()
			for b.Loop() {
				if len(cat.Match(ev, dst[:0])) != 1 {
					b.Fatal("one campaign matches")
				}
			}
		})
	}
	b.Run("text of 10000", func(b *testing.B) {
		var campaigns []*campaign.Campaign
		for i := range 10_000 {
			w := where(b, campaign.Member{Name: "sku", Value: fmt.Sprint("sku-", i)})
			campaigns = append(campaigns, &campaign.Campaign{ID: fmt.Sprint(i), Trigger: campaign.Trigger{Did: []campaign.Step{{Event: "A", Where: w}}}})
		}
		cat, ev := campaign.NewCatalog(campaigns), incoming(b, "A", `{"sku":"sku-7"}`)
		dst := make([]campaign.Match, 0, 16)
		b.ReportAllocs()
		for b.Loop() {
			cat.Match(ev, dst[:0])
		}
	})
}

func BenchmarkNewCatalog(b *testing.B) {
	cat := many(b, 10_000)
	campaigns := make([]*campaign.Campaign, cat.Len())
	for i := range campaigns {
		campaigns[i] = cat.At(i)
	}
	for b.Loop() {
		campaign.NewCatalog(campaigns)
	}
}
