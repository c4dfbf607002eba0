package flowtest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/flowtest/live"
	"vigil/trigger"
)

const (
	crowdSeed  = 7
	leastFires = 100             // of each campaign: fewer would say little about it
	sendWithin = 7 * time.Minute // from then on, for the sink to send the rest
)

// play is one run of the crowd through real processes.
type play struct {
	*stage
	crowd      *crowd
	receiver   *live.Receiver
	processors []*live.Child
	sink       *live.Child
	written    map[int32]int64 // where the input ends
}

// newPlay writes the crowd to Kafka before any process runs: while a processor is ahead of the producer its clock would
// follow the wall clock, and what is written hours after its own time would come too late.
func newPlay(t *testing.T, prefix string) *play {
	t.Helper()
	s := newStage(t, prefix, fmt.Sprintf("processor: {max_event_age: %s}\nsink: {max_in_flight: 64}\n", crowdAge))
	p := &play{stage: s, receiver: live.NewReceiver(t)}
	s.Endpoint("shop", p.receiver.URL+"/hooks", "max_in_flight: 1024\n") // the sink is the bottleneck: nothing is parked
	p.crowd = newCrowd(time.Now().Truncate(time.Minute).Add(-time.Minute), crowdSeed)
	p.campaigns()
	p.Abort("before", p.purchases()...)
	p.produce()
	p.Abort("behind", p.purchases()...)
	p.written = s.Ends()
	return p
}

// campaigns puts the files of testdata/flow in place, with the times of day that this run asks for.
func (p *play) campaigns() {
	p.T.Helper()
	files, err := filepath.Glob("testdata/flow/campaigns/*.yaml")
	if err != nil || len(files) == 0 {
		p.T.Fatalf("no campaigns: %v", err)
	}
	end := p.crowd.end.UTC()
	times := map[string]string{
		"CRON_MINUTE": end.Add(30 * time.Minute).Format("4"),
		"QUIET_FROM":  end.Add(-160 * time.Minute).Format("15:04"),
		"QUIET_TO":    end.Add(-140 * time.Minute).Format("15:04"),
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			p.T.Fatal(err)
		}
		p.Write(filepath.Join("campaigns", filepath.Base(file)), os.Expand(string(text), func(name string) string { return times[name] }))
	}
}

// produce writes the crowd and the ticks, and notes where each record stands.
func (p *play) produce() {
	p.T.Helper()
	ctx := p.Within(patience)
	var failed error // of the client's one goroutine for promises
	write := func(w *written, partition int32) {
		r := w.record(p.Input, partition)
		p.Client.Produce(ctx, r, func(r *kgo.Record, err error) {
			w.place = kgo.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
			if err != nil {
				failed = err
			}
		})
	}
	for _, w := range p.crowd.all {
		var user int
		if _, err := fmt.Sscanf(w.user, "u%d", &user); err != nil {
			p.T.Fatal(err)
		}
		write(w, int32(user%inputPartitions))
	}
	for partition := range int32(inputPartitions) {
		w := p.crowd.tick(partition)
		p.crowd.all = append(p.crowd.all, w)
		write(w, partition)
	}
	if err := p.Client.Flush(ctx); err != nil || failed != nil {
		p.T.Fatalf("produce the crowd: %v, %v", err, failed)
	}
}

// purchases are records of a transaction that is aborted: one that is seen would fire.
func (p *play) purchases() []*kgo.Record {
	var records []*kgo.Record
	for i := range 5 * inputPartitions {
		w := written{user: userName(i), rt: p.crowd.end.UnixMilli(), id: "aborted", inner: `"type":"purchase","properties":{"value":199}`}
		records = append(records, w.record(p.Input, int32(i%inputPartitions)))
	}
	return records
}

// start runs a sink and a processor, and a second processor once the first is at work: half of the partitions move then.
func (p *play) start() {
	p.T.Helper()
	p.sink = p.Sink("sink-1")
	p.processors = []*live.Child{p.Processor("processor-1")}
	p.Await("the first processor is at work", patience, func() (bool, string) {
		at := p.progress()
		return at > 0, fmt.Sprintf("%.1f %% judged", 100*at)
	})
	p.processors = append(p.processors, p.Processor("processor-2"))
}

// progress is the part of the input that is judged and committed, 0 to 1; of some partitions, or of all.
func (p *play) progress(partitions ...int32) float64 {
	at := p.Committed()
	if len(partitions) == 0 {
		partitions = []int32{0, 1, 2, 3}
	}
	var done, all int64
	for _, id := range partitions {
		done, all = done+at[id], all+p.written[id]
	}
	return float64(done) / float64(max(all, 1))
}

// holds are the partitions that a processor owns now.
func (p *play) holds(c *live.Child) []int32 {
	ctx, cancel := context.WithTimeout(p.T.Context(), 10*time.Second)
	defer cancel()
	groups, err := p.Adm.DescribeGroups(ctx, p.Prefix+".processor")
	if err != nil {
		return nil
	}
	for _, m := range groups[p.Prefix+".processor"].Members {
		if m.InstanceID == nil || *m.InstanceID != c.Name {
			continue
		}
		if assigned, ok := m.Assigned.AsConsumer(); ok && len(assigned.Topics) > 0 {
			return assigned.Topics[0].Partitions
		}
	}
	return nil
}

// finish waits until all is judged and sent, and compares it with the simulation.
func (p *play) finish() {
	p.T.Helper()
	began := time.Now()
	want := p.simulate()
	p.T.Logf("%d fires simulated in %s", len(want), time.Since(began).Round(time.Millisecond))
	p.Await("the processors have judged everything", patience, func() (bool, string) {
		at := p.Committed()
		return maps.Equal(at, p.written), fmt.Sprintf("by partition %v of %v", at, p.written)
	})
	p.T.Logf("judged %s after the simulation began", time.Since(began).Round(time.Millisecond))
	p.Compare(want, p.Fires())
	p.deadLetters()
	code, told := p.Told("verify", patience, "verify", "--config", p.Path("vigil.yaml"))
	if as := fmt.Sprintf("%d fires are as they must be, 0 differences, 0 unverifiable", len(want)); code != 0 || !strings.Contains(told, as) {
		p.T.Errorf("vigil verify ended with %d and said %q, want %q", code, told, as)
	}
	for name, n := range byCampaign(want) {
		if n < leastFires {
			p.T.Errorf("campaign %s fired %d times only: the crowd does not test it", name, n)
		}
	}
	if p.T.Failed() {
		return
	}
	p.Await("every webhook is received", sendWithin, func() (bool, string) {
		ids, repeats := p.receiver.Received()
		return ids >= len(want), fmt.Sprintf("%d of %d ids, %d repeats", ids, len(want), repeats)
	})
	p.receiver.Check(p.T, want)
	_, repeats := p.receiver.Received()
	p.T.Logf("%d webhooks received, %d of them again, %s after the simulation began", len(want), repeats, time.Since(began).Round(time.Millisecond))
}

// simulate says what must fire of the crowd, with the clock of each partition at its last record in the end.
func (p *play) simulate() map[string]live.Fire {
	p.T.Helper()
	lines := make([]bytes.Buffer, inputPartitions)
	for _, w := range p.crowd.all {
		lines[w.place.Partition].Write(w.line())
	}
	opt := trigger.Options{AllowedLateness: 2000, MaxEventAge: crowdAge.Milliseconds(), MaxFireDelay: (24 * time.Hour).Milliseconds()}
	var all []live.Fire
	for id := range lines {
		all = append(all, p.Simulate(opt, int32(id), lines[id].Bytes(), 0)...)
	}
	want, again := live.ByID(all)
	if len(again) > 0 {
		p.T.Errorf("%d fires are simulated twice, %s for one", len(again), again[0])
	}
	return want
}

// byCampaign counts fires; a campaign of the folder without any counts 0.
func byCampaign(fires map[string]live.Fire) map[string]int {
	counts := map[string]int{}
	for _, f := range fires {
		counts[f.Campaign]++
	}
	return counts
}

// deadLetters wants every record that is no event among them, once.
func (p *play) deadLetters() {
	p.T.Helper()
	seen := map[string]int{}
	for _, r := range p.Read(p.Topics.DeadEvents) {
		seen[headerOf(r, "__connect.errors.partition")+"/"+headerOf(r, "__connect.errors.offset")]++
		if headerOf(r, "x-reason-code") == "" {
			p.T.Errorf("%s/%d at %d has no reason", r.Topic, r.Partition, r.Offset)
		}
	}
	bad := 0
	for _, w := range p.crowd.all {
		if !w.bad {
			continue
		}
		bad++
		if at := fmt.Sprintf("%d/%d", w.place.Partition, w.place.Offset); seen[at] != 1 {
			p.T.Errorf("the record at %s is among the dead letters %d times, want once", at, seen[at])
		}
	}
	if len(seen) != bad {
		p.T.Errorf("%d dead letters, want %d", len(seen), bad)
	}
}

func headerOf(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}
