package stream

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/replay/verify"
	"vigil/webhook"
)

// copied is the webhooks topic once more under another name, as change makes it of each partition.
func (d *day) copied(name string, change func(records []*kgo.Record) []*kgo.Record) {
	d.t.Helper()
	records, err := d.read(d.topics.Webhooks)
	d.must(err)
	_, err = d.adm.CreateTopic(d.t.Context(), dayPartitions, 1, nil, name)
	d.must(err)
	client := d.connect(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer client.Close()
	for id := range int32(dayPartitions) { // of which a topic may have fewer
		var of []*kgo.Record
		for _, r := range records {
			if r.Partition == id {
				of = append(of, &kgo.Record{Topic: name, Partition: id, Key: r.Key, Value: r.Value, Headers: r.Headers})
			}
		}
		if len(of) == 0 {
			continue
		}
		d.must(client.ProduceSync(d.t.Context(), change(of)...).FirstErr())
	}
	d.topics.Webhooks = name
}

// kinds are the findings, in order.
func kinds(differences []verify.Difference) (all []string) {
	for _, d := range differences {
		all = append(all, string(d.Kind)+" "+d.FireID)
	}
	slices.Sort(all)
	return all
}

// A fire that is taken away, one that is added, one that is changed and one that is repeated are each found, and nothing
// else is. What other programs write, and what an operator sent again, is none of them.
func TestVerifyFindsDamage(t *testing.T) {
	inBubble(t, dayPartitions, func(s *stage) {
		d := newDay(s, 3, []string{input, "more"}, "profiles")
		d.start("a")
		d.live(60)
		d.start("a")
		d.pass(time.Hour)
		fires := d.standing()
		var want []string
		d.copied("copy", func(records []*kgo.Record) []*kgo.Record {
			if len(records) < 10 || len(want) > 0 {
				return records
			}
			id := func(i int) string { return decoded(d, records[i]).FireID }
			want = []string{"missing " + id(2), "different " + id(4), "different " + id(5), "duplicated " + id(6), "extra 0123456789abcdef"}
			edit(d, records[4], func(v *webhook.Delivery) { v.Body = bytes.ToUpper(v.Body) })
			edit(d, records[5], func(v *webhook.Delivery) { v.At = v.At.Add(time.Millisecond); v.LateByMS++ })
			added, foreign, again, run := clone(records[7]), clone(records[7]), clone(records[8]), clone(records[8])
			edit(d, added, func(v *webhook.Delivery) { v.FireID = "0123456789abcdef" })
			edit(d, foreign, func(v *webhook.Delivery) { v.FireID, v.Campaign = "another", "invoices" })
			again.Headers = append(again.Headers, kgo.RecordHeader{Key: webhook.HeaderOrigin, Value: []byte("replay")})
			edit(d, run, func(v *webhook.Delivery) { v.FireID, v.Run = "b", "backfill" })
			junk := &kgo.Record{Topic: "copy", Partition: records[0].Partition, Value: []byte("{oops")}
			return slices.Concat(records[:2], records[3:7], []*kgo.Record{added, clone(records[6]), foreign, again, run, junk}, records[7:])
		})
		r := d.verify(d.sets...)
		slices.Sort(want)
		if diff := cmp.Diff(want, kinds(r.Differences)); diff != "" || len(want) == 0 {
			d.t.Errorf("findings (-want +got)\n%s", diff)
		}
		if r.OK() || r.Equal != fires-3 || r.Foreign != 1 || r.Apart != 2 || r.Unreadable != 1 || len(r.Unverifiable) != 0 {
			d.t.Errorf("%+v", r)
		}
		for _, f := range r.Differences {
			if f.Kind == verify.Different && !slices.Equal(f.Fields, []string{"body"}) && !slices.Equal(f.Fields, []string{"at", "late_by_ms"}) {
				d.t.Errorf("differs in %v", f.Fields)
			}
		}
	})
}

func decoded(d *day, r *kgo.Record) *webhook.Delivery {
	d.t.Helper()
	v := &webhook.Delivery{}
	d.must(json.Unmarshal(r.Value, v))
	return v
}

func edit(d *day, r *kgo.Record, change func(*webhook.Delivery)) {
	d.t.Helper()
	v := decoded(d, r)
	change(v)
	r.Value = v.Encode()
}

func clone(r *kgo.Record) *kgo.Record {
	c := *r
	c.Headers = slices.Clone(r.Headers)
	return &c
}

// Where retention has taken the beginning of the inputs, or the campaigns of before an edit are not given, a difference
// is not told as one; where it has taken fires, these are not missing. A fire that stands twice is one all the same.
func TestVerifyTellsWhatIsNotKnown(t *testing.T) {
	for _, row := range []struct {
		name string
		want verify.Loss
		lose func(d *day)
	}{
		{"inputs", verify.LostInputs, func(d *day) { d.cutTopic(input, 5) }},
		{"journal", verify.LostJournal, func(d *day) { d.cutTopic(d.topics.Journal, 3) }},
		{"webhooks", verify.LostWebhooks, func(d *day) { d.cutTopic(d.topics.Webhooks, 7) }},
		{"campaigns", verify.LostCampaigns, func(d *day) { d.sets = d.sets[1:] }},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, dayPartitions, func(s *stage) {
				d := newDay(s, 2, []string{input}, "")
				d.start("a")
				d.live(60)
				d.start("a")
				d.pass(time.Hour)
				var twice *kgo.Record
				d.copied("copy", func(records []*kgo.Record) []*kgo.Record {
					twice = clone(records[len(records)-1])
					return append(records, twice)
				})
				row.lose(d)
				r := d.verify(d.sets...)
				found := map[string]bool{}
				for _, f := range r.Differences {
					found[string(f.Kind)] = true
				}
				if len(found) != 1 || !found["duplicated"] {
					d.t.Errorf("found: %+v", r.Differences)
				}
				losses := map[verify.Loss]int{}
				for _, f := range r.Unverifiable {
					losses[f.Loss]++
				}
				if losses[row.want] == 0 || len(losses) != 1 {
					d.t.Errorf("not known: %v; %+v", losses, r.Notes)
				}
			})
		})
	}
}

// A profiles topic is compacted: a profile that was replaced is gone, and so is what it decided. Until then nothing is.
func TestVerifyAfterCompaction(t *testing.T) {
	inBubble(t, dayPartitions, func(s *stage) {
		d := newDay(s, 9, []string{input}, "profiles")
		d.start("a")
		compact, small := "compact", "100"
		_, err := d.adm.AlterTopicConfigs(d.t.Context(), []kadm.AlterConfig{
			{Name: "cleanup.policy", Value: &compact}, {Name: "segment.bytes", Value: &small},
		}, "profiles")
		d.must(err)
		set := func(user, tier string) {
			d.put(&kgo.Record{Topic: "profiles", Key: []byte(user), Value: []byte(`{"tier":"` + tier + `"}`), Timestamp: d.now})
			d.pass(2 * time.Second)
		}
		for _, user := range []string{"bob", "cid", "dan", "eve", "fay", "gus"} { // so that the topic still begins where it did
			set(user, "tin")
		}
		set("ada", "gold")
		d.put(&kgo.Record{Topic: input, Key: []byte("ada"), Value: []byte(`{"type":"view","id":"1"}`), Timestamp: d.now})
		d.pass(20 * time.Minute)
		set("ada", "tin")
		set("ada", "lead")
		d.honest(d.verify(d.sets...), d.standing())
		d.cluster.Compact()
		r := d.verify(d.sets...)
		if len(r.Differences) != 0 || len(r.Notes) != 1 || r.Notes[0].Loss != verify.LostCompacted {
			d.t.Errorf("found %+v; not known %+v", r.Differences, r.Notes)
		}
		who := 0
		for _, f := range r.Unverifiable {
			if f.Campaign == "l-who" && f.Kind == verify.Extra && f.Loss == verify.LostCompacted {
				who++
			}
		}
		if who != 1 {
			d.t.Errorf("not known: %+v", r.Unverifiable)
		}
	})
}

// What a campaign remembered of a user from before the gap is over when the user was silent for longer than it can
// remember: from then on a difference is one again.
func TestVerifyKnowsAgainAfterSilence(t *testing.T) {
	inBubble(t, 1, func(s *stage) {
		d := &day{stage: s}
		s.must(s.setCampaign(bought))
		s.startProcessor()
		for i, wait := range []time.Duration{0, 80 * time.Hour, 0} {
			s.must(s.send(sending{user: "ada", eventType: "buy", id: string(rune('a' + i)), at: s.now}))
			s.pass(time.Minute)
			s.stopProcessor()
			s.pass(wait)
			s.startProcessor()
		}
		var first time.Time
		d.copied("copy", func(records []*kgo.Record) []*kgo.Record {
			first = decoded(d, records[1]).At
			return records[:1]
		})
		d.cutTopic(input, 1)
		r := s.verify(s.catalog())
		if len(r.Differences) != 1 || r.Differences[0].Kind != verify.Missing || !r.Differences[0].At.After(first) {
			s.t.Errorf("found: %+v", r.Differences)
		}
		if len(r.Unverifiable) != 2 { // the one that is gone from the input, and the one that came soon after it
			s.t.Errorf("not known: %+v", r.Unverifiable)
		}
	})
}

// cutTopic deletes what is before an offset, as retention does.
func (d *day) cutTopic(topic string, at int64) {
	d.t.Helper()
	ends, err := d.adm.ListEndOffsets(d.t.Context(), topic)
	d.must(err)
	offsets := kadm.Offsets{}
	ends.Each(func(l kadm.ListedOffset) {
		if l.Offset > at {
			offsets.AddOffset(topic, l.Partition, at, -1)
		}
	})
	deleted, err := d.adm.DeleteRecords(d.t.Context(), offsets)
	d.must(err)
	d.must(deleted.Error())
}
