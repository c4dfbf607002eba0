package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"vigil/campaign"
	"vigil/processor"
)

// dayPartitions are those of each topic of a day.
const dayPartitions = 3

// day is a group over several inputs, disturbed in every way that a bubble allows. Its two members work one after the
// other: while a group is at a rebalance its client waits in a way in which the time of a bubble does not pass.
type day struct {
	*stage
	rand     *rand.Rand
	inputs   []string            // in the order of the configuration
	profiles string              // empty: none
	member   *member             // nil: nobody works
	sets     []*campaign.Catalog // all that were in force
	sent     []*kgo.Record
	orderly  bool // every record is an event or a profile, in the order of its time
}

// member is a processor with a line to the brokers of its own.
type member struct {
	*running
	name   string
	line   *line
	reload chan *campaign.Catalog
}

// newDay makes the topics, and the mixed campaigns.
func newDay(s *stage, seed uint64, inputs []string, profiles string) *day {
	s.t.Helper()
	s.opts = append(s.opts, kgo.FetchMaxWait(time.Minute), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	for _, topic := range append(slices.Clone(inputs), profiles) {
		if topic != "" && topic != input {
			_, err := s.adm.CreateTopic(s.t.Context(), dayPartitions, 1, nil, topic)
			s.must(err)
		}
	}
	d := &day{stage: s, rand: rand.New(rand.NewPCG(seed, 2)), inputs: inputs, profiles: profiles}
	for _, text := range mixed {
		s.must(s.setCampaign(text + "\n"))
	}
	d.sets = append(d.sets, s.catalog())
	s.t.Cleanup(d.stop)
	return d
}

// start runs a member where it does not run, in the place of another.
func (d *day) start(name string) {
	d.t.Helper()
	if d.member != nil && d.member.name == name {
		return
	}
	d.stop()
	m := &member{name: name, line: &line{network: d.network}, reload: make(chan *campaign.Catalog)}
	cfg := d.config()
	cfg.Kafka = append(slices.Clone(d.opts), kgo.Dialer(m.line.dial))
	cfg.Inputs, cfg.ProfilesTopic, cfg.Instance, cfg.Reload = d.inputs, d.profiles, name, m.reload
	cfg.DataDir = filepath.Join(d.dir, name)
	p, err := processor.New(cfg)
	d.must(err)
	m.running = run(p.Run)
	d.member = m
}

func (d *day) stop() {
	d.t.Helper()
	if d.member == nil {
		return
	}
	d.member.cancel()
	// A trouble may meet the last transaction, whose work is then the next member's.
	if err := <-d.member.done; err != nil && !errors.Is(err, kerr.InvalidTxnState) {
		d.t.Errorf("stopped with an error: %v", err)
	}
	d.member = nil
}

// crash takes the member from the brokers in the middle of what it does.
func (d *day) crash() {
	if d.member == nil {
		return
	}
	d.member.line.cut()
	d.member.cancel()
	<-d.member.done // what it says of its end is of no interest
	d.member = nil
}

// edit changes, removes or brings back a campaign, and hands the set to who runs.
func (d *day) edit() {
	d.t.Helper()
	text := mixed[d.rand.IntN(len(mixed))]
	id, _, _ := strings.Cut(strings.TrimPrefix(text, "{id: "), ",")
	switch d.rand.IntN(6) {
	case 0:
		delete(d.texts, id)
	case 1:
		d.texts[id] = strings.Replace(text, "{id", "{status: paused, id", 1)
	case 2:
		d.texts[id] = strings.Replace(text, "{id", "{shadow: true, id", 1)
	case 3:
		d.texts[id] = strings.NewReplacer("within: ", "within: 1", "delay: ", "delay: 1", "gap: ", "gap: 1").Replace(text)
	default:
		d.texts[id] = text
	}
	cat := d.catalog()
	d.sets = append(d.sets, cat)
	if d.member != nil {
		d.member.reload <- cat
	}
	synctest.Wait()
}

// live goes on for some steps, with an edit now and then.
func (d *day) live(steps int) {
	d.t.Helper()
	for i := range steps {
		if i%50 == 25 && !d.orderly {
			d.edit()
		}
		d.step()
	}
}

// step is one thing that happens.
func (d *day) step() {
	if now := time.Now().Truncate(time.Millisecond); now.After(d.now) {
		d.now = now // a stop took its time
	}
	switch n := d.rand.IntN(100); {
	case n < 40:
		for range 1 + d.rand.IntN(8) {
			d.write()
		}
	case n < 44 && len(d.sent) > 0:
		again := d.sent[d.rand.IntN(len(d.sent))]
		d.put(&kgo.Record{Topic: again.Topic, Key: again.Key, Value: again.Value, Timestamp: d.now})
	case n < 62:
		d.pass(time.Duration(1+d.rand.IntN(600)) * time.Second)
	case n < 74:
		d.pass(time.Duration(1+d.rand.IntN(2000)) * time.Millisecond)
	case n < 76:
		d.pass(2 * time.Hour)
	case n < 81:
		d.stop()
	case n < 84:
		d.crash()
	case n < 90:
		d.start([]string{"a", "b"}[d.rand.IntN(2)])
	case n < 96 && !d.orderly:
		d.edit()
	default:
		d.trouble()
	}
}

// trouble makes the next transactions fail in one way or another.
func (d *day) trouble() {
	d.cluster.Fault(
		kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.RebalanceInProgress, Count: 1 + d.rand.IntN(2)},
		kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.TransactionAbortable, Count: 1 + d.rand.IntN(2)},
		kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.InvalidTxnState, Count: d.rand.IntN(2) + 1},
	)
}

// write sends a record to one of the topics: an event, a profile, or no event at all. Some come from clocks that are
// ahead or behind.
func (d *day) write() {
	d.t.Helper()
	r := &kgo.Record{Topic: d.inputs[d.rand.IntN(len(d.inputs))], Timestamp: d.now}
	h := history{stage: d.stage, rand: d.rand, sent: d.sent}
	r.Key, r.Value = h.event()
	switch n := d.rand.IntN(40); {
	case n < 6 && d.profiles != "":
		r.Topic, r.Value = d.profiles, nil
		if tier := d.rand.IntN(3); tier > 0 {
			r.Value = fmt.Appendf(nil, `{"tier":%q}`, []string{"gold", "tin"}[tier-1])
		}
	case d.orderly:
	case n == 6:
		r.Value = []byte("{oops")
	case n == 7:
		r.Timestamp = d.now.Add(10 * time.Minute)
	case n < 12:
		r.Timestamp = d.now.Add(-time.Duration(d.rand.IntN(8000)) * time.Millisecond)
	}
	d.put(r)
}

// put writes a record; it says then where it stands.
func (d *day) put(r *kgo.Record) {
	d.t.Helper()
	d.must(d.produce(r))
	d.sent = append(d.sent, r)
}

// standing counts what is on the webhooks and shadow topics.
func (d *day) standing() (n int) {
	d.t.Helper()
	for _, topic := range []string{d.topics.Webhooks, d.topics.Shadow} {
		records, err := d.read(topic)
		d.must(err)
		n += len(records)
	}
	return n
}

// entries are those of the journal.
func (d *day) entries() (all []*processor.Entry) {
	d.t.Helper()
	records, err := d.read(d.topics.Journal)
	d.must(err)
	for _, r := range records {
		e, err := processor.DecodeEntry(r.Value)
		d.must(err)
		all = append(all, e)
	}
	return all
}

// line is a network that can be cut.
type line struct {
	network *kfake.VirtualNetwork
	mu      sync.Mutex
	down    bool       // guarded by mu
	conns   []net.Conn // guarded by mu
}

func (l *line) dial(ctx context.Context, network, host string) (net.Conn, error) {
	conn, err := l.network.DialContext(ctx, network, host)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		return nil, err
	case l.down:
		return nil, errors.Join(errors.New("the line is cut"), conn.Close())
	}
	l.conns = append(l.conns, conn)
	return conn, nil
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for _, conn := range l.conns {
		_ = conn.Close() // it may be closed already
	}
}
