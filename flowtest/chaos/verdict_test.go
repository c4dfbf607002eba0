package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/flowtest/live"
	"vigil/trigger"
)

const (
	grace   = time.Second     // processor.clock_grace, as it is by default
	overdue = 8 * time.Second // a timer that settles so long after its time was forgotten, in a run's quiet end
)

// scheduled are the campaigns that a short run may be over before.
var scheduled = []string{"every-minute", "asleep"}

// verdict is what a run comes to.
type verdict struct {
	whole          bool
	inputs, fires  int
	fired, wanted  map[int32][]live.Fire // by partition, in order
	byCampaign     map[string]int
	twice          []live.Fire     // on the topic more than once
	exact          live.Difference // from the records and the journal
	simulated      live.Difference // from the records alone, partitions without overtaken records
	loose          live.Difference // the same, partitions with some
	disorder       int             // partitions with the right fires in another order
	moves          int
	overtaken      int
	behind         int64 // ms
	early          int
	earliest       int64  // ms
	lostInputs     int    // acknowledged and not there: Kafka's own
	forgotten      int    // partitions with something due and not settled
	verifyCode     int    // exit code of vigil verify
	verified       string // what it came to
	received       int
	again          int
	undelivered    []live.Fire
	strange        []string
	unsigned       int
	wrongDelivered int // bodies that are not as decided
}

// options are the times of the run's vigil.yaml.
func options() trigger.Options {
	return trigger.Options{AllowedLateness: 2000, MaxEventAge: time.Minute.Milliseconds(), MaxFireDelay: (24 * time.Hour).Milliseconds(), BareSkips: true}
}

// judge reads everything back and holds it against the rule book. ended is when the processors were told to stop.
func (r *run) judge(ended time.Time, acks map[int32][]ack) *verdict {
	v := &verdict{whole: r.whole, byCampaign: map[string]int{}, fired: map[int32][]live.Fire{}, wanted: map[int32][]live.Fire{}}
	records := map[int32][]*kgo.Record{}
	for _, record := range r.Read(r.Input) {
		records[record.Partition] = append(records[record.Partition], record)
		v.inputs++
	}
	for _, f := range r.Fired() {
		v.fired[f.Partition] = append(v.fired[f.Partition], f)
		v.byCampaign[f.Campaign]++
		v.fires++
	}
	moves := r.journalled()
	cat := r.Campaigns()
	for i := range cat.Len() {
		v.byCampaign[cat.At(i).ID] += 0
	}
	all := map[string]live.Fire{}
	for id := range r.partitions {
		o := newOracle(cat, options(), id).judge(records[id], moves[id])
		r.must(o.failed)
		v.wanted[id] = o.fires
		got := v.compare(o.fires, v.fired[id])
		maps.Copy(all, got)
		simulated, _ := live.ByID(r.Simulate(options(), id, o.lines.Bytes(), o.clock))
		if diff := live.Diff(simulated, got); o.overtaken == 0 {
			v.simulated = sum(v.simulated, diff)
		} else {
			v.loose = sum(v.loose, diff)
		}
		n, worst := early(moves[id], acks[id], grace)
		v.early, v.earliest = v.early+n, max(v.earliest, worst)
		v.moves, v.overtaken, v.behind = v.moves+len(moves[id]), v.overtaken+o.overtaken, max(v.behind, o.behind)
		v.lostInputs += lost(records[id], acks[id])
		if o.due < ended.Add(-overdue).UnixMilli() {
			v.forgotten++
		}
	}
	v.deliveries(r.receiver, all)
	return v
}

// compare holds the fires of a partition against those wanted, in order.
func (v *verdict) compare(want, fired []live.Fire) (got map[string]live.Fire) {
	got, twice := live.ByID(fired)
	byID, _ := live.ByID(want)
	diff := live.Diff(byID, got)
	v.twice, v.exact = append(v.twice, twice...), sum(v.exact, diff)
	same := func(a, b live.Fire) bool { return a.ID == b.ID }
	if diff.Len() == 0 && len(twice) == 0 && !slices.EqualFunc(want, fired, same) {
		v.disorder++
	}
	return got
}

// sum adds two differences up.
func sum(a, b live.Difference) live.Difference {
	return live.Difference{
		Missing: append(a.Missing, b.Missing...), Surplus: append(a.Surplus, b.Surplus...), Differ: append(a.Differ, b.Differ...),
	}
}

// lost counts the records that were acknowledged and are not in the log.
func lost(records []*kgo.Record, acks []ack) int {
	there := map[int64]bool{}
	for _, r := range records {
		there[r.Offset] = true
	}
	n := 0
	for _, a := range acks {
		if !there[a.offset] {
			n++
		}
	}
	return n
}

// deliveries holds what the receiver got against what was fired.
func (v *verdict) deliveries(r *live.Receiver, fired map[string]live.Fire) {
	v.received, v.again = r.Received()
	v.unsigned, _ = r.Wrong()
	v.undelivered, v.strange = r.Against(fired)
	for id, f := range fired {
		if _, came := r.At(id); came && !r.SameBody(id, f.Body) {
			v.wrongDelivered++
		}
	}
}

// findings are what must not be; none is a good verdict.
func (v *verdict) findings() []string {
	var all []string
	add := func(n int, what string) {
		if n > 0 {
			all = append(all, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(len(v.twice), "decided twice")
	add(len(v.exact.Missing), "fires lost")
	add(len(v.exact.Surplus), "fires that must not be")
	add(len(v.exact.Differ), "fires that are wrong")
	add(v.simulated.Len(), "differences from the simulation")
	if v.verifyCode != 0 {
		all = append(all, fmt.Sprintf("vigil verify ended with %d: %s", v.verifyCode, v.verified))
	}
	add(v.disorder, "partitions in another order")
	add(v.early, "moves of a clock past unread records")
	add(v.lostInputs, "records lost by Kafka")
	add(v.forgotten, "partitions with timers overdue")
	add(len(v.undelivered), "fires never delivered")
	add(len(v.strange), "deliveries of no fire")
	add(v.unsigned, "deliveries not signed, or changed between attempts")
	add(v.wrongDelivered, "deliveries with another body than decided")
	for _, name := range slices.Sorted(maps.Keys(v.byCampaign)) {
		if v.byCampaign[name] == 0 && (v.whole || !slices.Contains(scheduled, name)) {
			all = append(all, name+" never fired")
		}
	}
	return all
}

// markdown is the summary, to be pasted into docs/reliability.md.
func (r *run) markdown(v *verdict, findings []string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("`%s`, %s: %d broker(s), %d partitions, %d events a second for %s; %d events, %d fires of %d campaigns.",
		r.how, r.began.UTC().Format("2006-01-02 15:04 UTC"), r.brokers, r.partitions, r.rate, r.length, v.inputs, v.fires, len(v.byCampaign))
	kills, stops := r.signals()
	line("%d SIGKILLs and %d SIGSTOPs of processors. A slow producer's transactions: %d committed, %d aborted, %d broken off.",
		kills, stops, r.txns[txnsCommitted], r.txns[txnsAborted], r.txns[txnsBroken])
	line("")
	line("| fault | of a | times |")
	line("|---|---|---|")
	for _, row := range r.done() {
		line("| %s | %s | %s |", row[0], row[1], row[2])
	}
	line("")
	line("| what came of it | |")
	line("|---|---|")
	line("| decided twice | %d |", len(v.twice))
	line("| lost | %d |", len(v.exact.Missing))
	line("| decided that must not be | %d |", len(v.exact.Surplus))
	line("| decided wrongly (time, lateness, key, body) | %d |", len(v.exact.Differ))
	line("| partitions whose order of decisions differs | %d of %d |", v.disorder, r.partitions)
	line("| differences from `vigil simulate` on the records alone | %d |", v.simulated.Len())
	line("| `vigil verify` | %s |", v.verified)
	line("| moves by the wall clock; of these past an unread record | %d; %d |", v.moves, v.early)
	line("| records that were readable only after the clock had passed them; the latest by | %d; %d ms |", v.overtaken, v.behind)
	line("| partitions where the simulation cannot know that; differences there, all as the journal says | %d |", v.loose.Len())
	line("| starts that found no broker; stops that waited for one for over 30 s, and were killed | %d; %d |", r.alone, r.cut.Load())
	line("| deliveries received; fires without one; received again | %d; %d; %d |", v.received, len(v.undelivered), v.again)
	line("| deliveries unsigned, altered or of no fire | %d |", v.unsigned+v.wrongDelivered+len(v.strange))
	line("")
	if len(findings) == 0 {
		line("Verdict: nothing lost, nothing decided twice, nothing decided wrongly. Seed %d.", r.seed)
	} else {
		line("Verdict: FAILED. Seed %d. %s.", r.seed, strings.Join(findings, "; "))
	}
	return b.String()
}
