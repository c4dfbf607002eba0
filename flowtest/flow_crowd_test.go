package flowtest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	crowdRecords = 200_000
	crowdUsers   = 20_000
	crowdErased  = 60
	crowdBad     = 120 // records that are no events
	crowdAge     = 20 * time.Minute
)

// written is one record of the crowd: what goes to Kafka, and what the simulation is told of it.
type written struct {
	user  string
	rt    int64
	id    string // empty: the payload has none, and the record's place is the id
	inner string // members of the payload without the id
	bad   bool   // no event: value is sent as it is
	value []byte
	place kgo.Record // where it was written
}

// crowd makes up what many users do within some hours before end: visits of a few events each, most of them written
// within a second, some late, twice, without id or time, ahead of their record, or broken. All that the campaigns of
// testdata/flow can decide about it is due before end, which ends in a whole minute, or at least 20 minutes after it.
type crowd struct {
	rand *rand.Rand
	end  time.Time
	all  []*written
	ids  int
}

var zones = []string{"UTC", "Europe/Paris", "Asia/Tokyo"}

func newCrowd(end time.Time, seed uint64) *crowd {
	c := &crowd{rand: rand.New(rand.NewPCG(seed, 1)), end: end}
	for i := range crowdUsers {
		if i%5 < 3 {
			c.profile(i, end.Add(-4*time.Hour+c.upTo(10*time.Minute)))
		}
	}
	for i := range crowdErased {
		at := end.Add(-3*time.Hour + c.upTo(90*time.Minute))
		c.add(i*331, at, at, `"type":"$erase"`)
	}
	for i := range crowdBad {
		c.spoil(i)
	}
	for i := 0; len(c.all) < crowdRecords; i++ {
		c.visit(i%crowdUsers, end.Add(-4*time.Hour+c.upTo(150*time.Minute)))
	}
	c.all = c.all[:crowdRecords]
	slices.SortStableFunc(c.all, func(a, b *written) int { return int(a.rt - b.rt) })
	return c
}

func (c *crowd) upTo(d time.Duration) time.Duration { return time.Duration(c.rand.Int64N(int64(d))) }

func (c *crowd) chance(perCent float64) bool { return c.rand.Float64()*100 < perCent }

func pick[T any](c *crowd, from ...T) T { return from[c.rand.IntN(len(from))] }

func userName(i int) string { return fmt.Sprintf("u%05d", i) }

// add notes one event of user i, which came to Kafka at rt.
func (c *crowd) add(i int, ts, rt time.Time, inner string) *written {
	c.ids++
	w := &written{user: userName(i), rt: rt.UnixMilli(), id: fmt.Sprintf("e%06d", c.ids)}
	switch {
	case c.chance(3): // the record's time is the event's
		w.inner = inner
	case c.chance(20):
		w.inner = fmt.Sprintf(`%s,"time":%d`, inner, ts.UnixMilli())
	default:
		w.inner = fmt.Sprintf(`%s,"time":%q`, inner, ts.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	}
	if c.chance(3) {
		w.id = ""
	}
	c.all = append(c.all, w)
	return w
}

// late is how long after an event its record was written.
func (c *crowd) late() time.Duration {
	switch p := c.rand.IntN(1000); {
	case p < 890:
		return c.upTo(900 * time.Millisecond)
	case p < 950:
		return c.upTo(90 * time.Second)
	case p < 970:
		return 3*time.Minute + c.upTo(12*time.Minute)
	case p < 985: // some of these are old
		return 15*time.Minute + c.upTo(20*time.Minute)
	default: // ahead, at times by more than what is forgiven
		return -c.upTo(3 * time.Minute)
	}
}

func (c *crowd) profile(i int, at time.Time) {
	set := fmt.Sprintf(`{"country":%q,"tz":%q,"vip":%t}`, pick(c, "CA", "DE", "FR", "US"), pick(c, zones...), c.chance(20))
	c.add(i, at, at, fmt.Sprintf(`"type":"$profile","properties":{"set":%s}`, set))
}

// spoil adds a record that is no event.
func (c *crowd) spoil(n int) {
	values := [][]byte{
		[]byte("not json"), []byte(`{"id":"x"}`), []byte(`{"type":"view","time":"yesterday"}`), nil,
		{0, 0, 0, 0, 7, 2, 2},
		[]byte(`{"type":"purchase","properties":7}`), []byte(`[{"type":"purchase"}]`),
		{0xff, 0xfe},
	}
	rt := c.end.Add(-4*time.Hour + c.upTo(150*time.Minute))
	c.all = append(c.all, &written{user: userName(n), rt: rt.UnixMilli(), bad: true, value: values[n%len(values)]})
}

// visit is some minutes of one user.
func (c *crowd) visit(i int, at time.Time) {
	cart := fmt.Sprintf(`"cart_id":"c%d-%d"`, i, c.rand.IntN(3))
	for n := range 3 + c.rand.IntN(6) {
		at = at.Add(c.upTo(80 * time.Second)).Truncate(time.Millisecond)
		inner := `"type":"launch"`
		if n > 0 || c.chance(30) {
			inner = c.step(i, at, cart)
		}
		w := c.add(i, at, at.Add(c.late()), inner)
		if c.chance(2) { // a producer tries again
			again := *w
			again.rt += c.upTo(20 * time.Minute).Milliseconds()
			c.all = append(c.all, &again)
		}
	}
	if c.chance(5) {
		c.profile(i, at)
	}
}

// step is one event of a visit.
func (c *crowd) step(i int, at time.Time, cart string) string {
	if c.chance(10) {
		cart = `"note":null`
	}
	value := 1 + c.rand.IntN(200)
	switch p := c.rand.IntN(100); {
	case p < 40:
		return fmt.Sprintf(`"type":"view","properties":{"page":"p%d"}`, c.rand.IntN(50))
	case p < 62:
		return fmt.Sprintf(`"type":"cart_add","properties":{%s,"value":%d}`, cart, value)
	case p < 70:
		return fmt.Sprintf(`"type":"checkout","properties":{%s}`, cart)
	case p < 80:
		return fmt.Sprintf(`"type":"purchase","properties":{%s,"value":%d.5}`, cart, value)
	case p < 84:
		return fmt.Sprintf(`"type":"ticket_open","properties":{"ticket_id":%d}`, i*4+c.rand.IntN(2))
	case p < 87:
		return fmt.Sprintf(`"type":"ticket_close","properties":{"ticket_id":%d}`, i*4+c.rand.IntN(2))
	case p < 90:
		return fmt.Sprintf(`"type":"booking","properties":{"booking_id":%d%s}`, i*4+c.rand.IntN(2), c.start(at))
	case p < 91:
		return fmt.Sprintf(`"type":"booking_cancel","properties":{"booking_id":%d}`, i*4+c.rand.IntN(2))
	case p < 94:
		return `"type":"launch"`
	default:
		return `"type":"scroll"`
	}
}

// start is the date of a booking in one of its forms, or what is none.
func (c *crowd) start(at time.Time) string {
	at = at.Add(10*time.Minute + c.upTo(30*time.Minute)).Truncate(time.Second)
	switch c.rand.IntN(10) {
	case 0:
		return `,"starts_at":"soon"`
	case 1:
		return ""
	case 2, 3:
		return fmt.Sprintf(`,"starts_at":%d`, at.UnixMilli())
	case 4, 5:
		return fmt.Sprintf(`,"starts_at":"$D_%d"`, at.Unix())
	case 6, 7:
		name := pick(c, zones...)
		zone, err := time.LoadLocation(name)
		if err != nil {
			zone, name = time.UTC, "UTC"
		}
		return fmt.Sprintf(`,"starts_at":%q,"tz":%q`, at.In(zone).Format("2006-01-02T15:04:05"), name)
	default:
		return fmt.Sprintf(`,"starts_at":%q`, at.UTC().Format(time.RFC3339))
	}
}

// tick is the last record of a partition: it moves the clock to the end.
func (c *crowd) tick(partition int32) *written {
	return &written{user: fmt.Sprint("tick-", partition), rt: c.end.UnixMilli(), id: "tick", inner: `"type":"tick"`}
}

// record is what goes to Kafka. A user's records stay in one partition.
func (w *written) record(topic string, partition int32) *kgo.Record {
	value := w.value
	switch {
	case w.bad:
	case w.id == "":
		value = []byte("{" + w.inner + "}")
	default:
		value = fmt.Appendf(nil, `{"id":%q,%s}`, w.id, w.inner)
	}
	return &kgo.Record{Topic: topic, Partition: partition, Key: []byte(w.user), Value: value, Timestamp: time.UnixMilli(w.rt)}
}

// line is the record as a simulation file has it (semantics 5), once its place is known; nil for what is no event.
func (w *written) line() []byte {
	if w.bad {
		return nil
	}
	id := w.id
	if id == "" {
		id = fmt.Sprintf("%s/%d/%d", w.place.Topic, w.place.Partition, w.place.Offset)
	}
	name, _ := json.Marshal(id) // a string always marshals
	return fmt.Appendf(nil, `{"user":%q,"received":%d,"id":%s,%s}`+"\n", w.user, w.rt, name, w.inner)
}
