package demo_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"vigil/demo"
)

// TestWhy shows the words for each campaign.
func TestWhy(t *testing.T) {
	at := time.Date(2026, 11, 25, 10, 2, 11, 0, time.Local)
	act := func(after time.Duration, properties map[string]any) demo.Act {
		return demo.Act{Time: at.Add(after), Properties: properties}
	}
	for _, row := range []struct {
		campaign, user string
		anchor         demo.Act
		events         []demo.Act
		want           string
	}{
		{
			"abandoned-cart", "Ada", act(0, map[string]any{"value": 149.0, "currency": "EUR"}), nil,
			"Ada put 149 EUR into her cart at 10:02:11 and did not check out within 5 s",
		},
		{"canada-launch", "Kim", act(0, nil), nil, "Kim opened the app at 10:02:11 and lives in Canada"},
		{"canada-launch", "Omar", act(0, nil), nil, "Omar opened the app at 10:02:11 and lives in Canada"},
		{
			"notification-worked", "Hana", act(0, nil),
			[]demo.Act{act(0, nil), act(1500*time.Millisecond, nil)},
			"Hana looked at a notification and 1.5 s later at the product",
		},
		{
			"pickup-soon", "Jonas", act(0, map[string]any{"pickup_at": at.Add(6 * time.Second).Format(time.RFC3339)}), nil,
			"Jonas picks up his order at 10:02:17, in 3 s, and has not called it off",
		},
		{"mine", "u1", demo.Act{Time: at, Type: "added"}, nil, "u1: added at 10:02:11 c9"},
	} {
		w := demo.Webhook{Body: demo.Body{Campaign: row.campaign, User: row.user, Key: "c9"}}
		w.Body.Trigger.Anchor, w.Body.Trigger.Events = &row.anchor, row.events
		if diff := cmp.Diff(row.want, w.Why()); diff != "" {
			t.Error(diff)
		}
	}
}

// TestWhyOfNothing holds for bodies that lack what the words need.
func TestWhyOfNothing(t *testing.T) {
	for _, id := range []string{"abandoned-cart", "canada-launch", "notification-worked", "pickup-soon", ""} {
		w := demo.Webhook{Body: demo.Body{Campaign: id}}
		if w.Why() == "" {
			t.Errorf("%q: nothing to say", id)
		}
	}
}

// visits are the events of the first d of a shop.
func visits(t *testing.T, seed uint64, d time.Duration) (events []demo.Event) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		err := demo.NewShop(seed, 700*time.Millisecond).Run(ctx, func(ev demo.Event) error {
			if late := time.Since(ev.Time); late > time.Millisecond || late < 0 {
				t.Errorf("%s of %s came %v after its time", ev.Type, ev.User, late)
			}
			events = append(events, ev)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	return events
}

func TestShopIsSeeded(t *testing.T) {
	a, b := visits(t, 7, 30*time.Second), visits(t, 7, 30*time.Second)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error("one seed, two stories:", diff)
	}
	if cmp.Equal(a, visits(t, 8, 30*time.Second)) {
		t.Error("two seeds, one story")
	}
	ids, known := map[string]bool{}, map[string]bool{}
	for _, ev := range a {
		if ids[ev.ID] {
			t.Errorf("id %s twice", ev.ID)
		}
		ids[ev.ID] = true
		if known[ev.User] = known[ev.User] || ev.Type == "$profile"; !known[ev.User] {
			t.Errorf("%s does %s before anybody said who that is", ev.User, ev.Type)
		}
		if doc, err := ev.JSON(); err != nil || !json.Valid(doc) {
			t.Errorf("%v: %s", err, doc)
		}
	}
}

func TestShopStopsOnFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := errors.New("closed")
		err := demo.NewShop(1, time.Second).Run(t.Context(), func(demo.Event) error { return closed })
		if !errors.Is(err, closed) {
			t.Errorf("got %v", err)
		}
	})
}

// TestQuiet: a webhook that might have been expected is explained once, and only if it did not come.
func TestQuiet(t *testing.T) {
	at := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	event := func(kind string, after time.Duration, properties map[string]any) demo.Event {
		return demo.Event{User: "Bob", Type: kind, Time: at.Add(after), Properties: properties}
	}
	w := demo.NewWatcher()
	w.See(event("cart_add", 0, map[string]any{"cart_id": "c1", "value": 120}))
	w.See(event("checkout", 2*time.Second, map[string]any{"cart_id": "c1"}))
	w.See(event("cart_add", 0, map[string]any{"cart_id": "c2", "value": 20}))
	w.See(event("pickup_cancelled", 0, map[string]any{"booking_id": "b1"}))
	w.See(event("app_launched", 0, nil))
	none := func(string, string, string) bool { return false }
	if told := w.Quiet(at.Add(time.Second), none); told != nil {
		t.Errorf("told too early: %q", told)
	}
	came := func(_, _, key string) bool { return key == "b1" }
	want := []string{
		"Bob checked out 2 s after filling his cart",
		"Bob's cart was 20 EUR only",
		"Bob opened the app too, but lives in the United States",
	}
	if diff := cmp.Diff(want, w.Quiet(at.Add(time.Minute), came)); diff != "" {
		t.Error(diff)
	}
	if told := w.Quiet(at.Add(time.Hour), none); told != nil {
		t.Errorf("told twice: %q", told)
	}
}

func TestSummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		s := demo.NewStory(&out, false)
		cart := demo.Webhook{ID: "1", Came: time.Now(), Body: demo.Body{Campaign: "abandoned-cart", User: "Ada", At: time.Now().Add(-30 * time.Millisecond)}}
		s.Came(cart)
		s.Came(cart)
		s.Came(demo.Webhook{ID: "2", Came: time.Now(), Signed: errors.New("no signature matches")})
		out.Reset()
		s.Summary(demo.Counts{
			Events: 9, Delivered: 1, Note: " (so far)",
			Fires: []demo.Count{{"abandoned-cart", 1}}, Skips: []demo.Count{{"gap", 1}, {"cancelled", 2}},
		})
		want := `
After 0s
  events      9
  decisions   4 = 1 fires + 3 skips
  fires       abandoned-cart 1
  skips       cancelled 2, gap 1
  delivered   1 of 1, signature ok 1, refused 1, repeated 1
  latency     p50 - after the event, 30 ms after a deadline (so far)
`
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
		if s.Got("abandoned-cart") != 1 || s.Got("canada-launch") != 0 {
			t.Error("counted wrongly")
		}
	})
}
