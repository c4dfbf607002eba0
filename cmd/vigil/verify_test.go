package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vigil/replay/verify"
	"vigil/webhook"
)

func TestPrintReport(t *testing.T) {
	at := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	difference := func(kind verify.Kind, offset int64) verify.Difference {
		return verify.Difference{
			Kind: kind, Partition: 3, FireID: "ab12", Campaign: "cart", User: "ada\n", At: at, Topic: "vigil.webhooks", Offset: offset,
			Source: webhook.Source{Topic: "events", Partition: 3, Offset: 7},
		}
	}
	changed, doubt := difference(verify.Different, 10), difference(verify.Missing, -1)
	changed.Fields = []string{"at", "body"}
	doubt.Loss, doubt.Why = verify.LostWebhooks, "older than what vigil.webhooks still holds"
	gap := doubt
	gap.Loss, gap.Why = verify.LostInputs, "events/3 holds nothing before offset 5"
	r := &verify.Report{
		Equal: 41, More: 2, Foreign: 1, Apart: 2, Unreadable: 3,
		Differences: []verify.Difference{
			difference(verify.Missing, -1), difference(verify.Extra, 9), changed, difference(verify.Duplicated, 11),
		},
		Unverifiable: []verify.Difference{doubt, gap, gap},
		Notes:        []verify.Note{{Partition: 3, Loss: verify.LostInputs, Text: gap.Why, To: at}},
	}
	var out bytes.Buffer
	if err := printReport(&out, r); err != nil {
		t.Fatal(err)
	}
	want := `MISSING     2026-11-25T10:00:00.000Z  cart  "ada\n"  ab12  decided at events/3@7, not on vigil.webhooks/3
EXTRA       2026-11-25T10:00:00.000Z  cart  "ada\n"  ab12  vigil.webhooks/3@9: nothing decides it; it names events/3@7 as its source
DIFFERENT   2026-11-25T10:00:00.000Z  cart  "ada\n"  ab12  vigil.webhooks/3@10: differs in at, body; decided at events/3@7
DUPLICATED  2026-11-25T10:00:00.000Z  cart  "ada\n"  ab12  vigil.webhooks/3@11: it stands there already
and 2 more
not known: partition 3: events/3 holds nothing before offset 5, to 2026-11-25T10:00:00.000Z (2 differences are put down to it)
not known: partition 3: older than what vigil.webhooks still holds (1 difference is put down to it)
41 fires are as they must be, 6 differences, 3 unverifiable; besides 1 of campaigns that never ran here; ` +
		"besides 2 of a backfill, or sent again; besides 3 that are no deliveries\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestVerdict(t *testing.T) {
	one := []verify.Difference{{}}
	for _, row := range []struct {
		name   string
		report verify.Report
		want   int
	}{
		{"nothing fired", verify.Report{}, 0},
		{"all equal", verify.Report{Equal: 1}, 0},
		{"equal as far as it is known", verify.Report{Equal: 1, Unverifiable: one}, 0},
		{"nothing known", verify.Report{Unverifiable: one}, exitFailure},
		{"a difference", verify.Report{Equal: 9, Differences: one}, exitFailure},
		{"too many to tell", verify.Report{Equal: 9, More: 1}, exitFailure},
	} {
		got := 0
		if err := verdict(&row.report); err != nil {
			got = exitCode(err)
		}
		if got != row.want {
			t.Errorf("%s: exit code %d, want %d", row.name, got, row.want)
		}
	}
}
