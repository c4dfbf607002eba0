package processor_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vigil/processor"
)

// The journal as it is written: what is on the topic stays there, and later versions must read it.
func TestJournalWireForm(t *testing.T) {
	const wire = `{"v":1,"cuts":{"events":12,"profiles":3},"moves":[` +
		`{"cuts":{"events":10,"profiles":3},"catalog":"9f2c","owner":{"instance":"a","empty":true,"inputs":["profiles","events"],` +
		`"profiles_topic":"profiles","format":"json","fields":{"user":"who","type":"type","id":"id","time":"time","properties":"properties"},` +
		`"allowed_lateness_ms":2000,"max_event_age_ms":7200000,"max_fire_delay_ms":86400000}},` +
		`{"cuts":{"events":11,"profiles":3},"clock":1764061200000},{"cuts":{"events":11,"profiles":3}}],` +
		`"clamps":[{"topic":"events","offset":11,"rt":1764061200001}],"faults":[{"topic":"events","offset":10}]}`
	at := func(events int64) map[string]int64 { return map[string]int64{"events": events, "profiles": 3} }
	entry := &processor.Entry{
		V: processor.JournalVersion, Cuts: at(12),
		Moves: []processor.Move{
			{Cuts: at(10), Catalog: "9f2c", Owner: &processor.Owner{
				Instance: "a", Empty: true, Inputs: []string{"profiles", "events"}, ProfilesTopic: "profiles", Format: "json",
				Fields:          processor.Fields{User: "who", Type: "type", ID: "id", Time: "time", Properties: "properties"},
				AllowedLateness: 2000, MaxEventAge: 7_200_000, MaxFireDelay: 86_400_000,
			}},
			{Cuts: at(11), Clock: 1_764_061_200_000},
			{Cuts: at(11)},
		},
		Clamps: []processor.Clamp{{Topic: "events", Offset: 11, RT: 1_764_061_200_001}},
		Faults: []processor.Place{{Topic: "events", Offset: 10}},
	}
	text, err := json.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wire, string(text)); diff != "" {
		t.Error(diff)
	}
	got, err := processor.DecodeEntry([]byte(wire))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(entry, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{`{"v":2,"cuts":{}}`, `{}`, `[]`, ``} {
		if _, err := processor.DecodeEntry([]byte(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

// Who takes a partition up journals it: the first with nothing known, the second, of other settings, with what the first
// left behind.
func TestJournalOwners(t *testing.T) {
	s := newStage(t, onBuy)
	stop := s.start(s.config("a"))
	s.send("ada", "buy", "e0", time.Now())
	s.fires(1)
	s.records("vigil.journal", partitions)
	stop()
	second := s.config("a")
	second.Times.AllowedLateness = 300
	s.start(second)
	var owners []processor.Owner
	for _, r := range s.records("vigil.journal", 2*partitions) {
		e, err := processor.DecodeEntry(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range e.Moves {
			if m.Owner != nil && m.Catalog == processor.Fingerprint(s.catalog) && m.Cuts["events"] <= e.Cuts["events"] /* its transaction may have gone on */ {
				owners = append(owners, *m.Owner)
			}
		}
	}
	began, knew := 0, 0
	for _, o := range owners {
		switch {
		case o.Empty && o.AllowedLateness == 200:
			began++
		case o.AllowedLateness == 300:
			if !o.Empty {
				knew++
			}
		default:
			t.Errorf("%+v", o)
		}
	}
	if len(owners) != 2*partitions || began != partitions || knew != 1 {
		t.Errorf("%d owners, %d of them began, %d knew something: %+v", len(owners), began, knew, owners)
	}
}
