package campaign

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"vigil/event"
	"vigil/source"
)

// Problem is one mistake in a campaign file.
type Problem = source.Problem

// Limits of single fields, in ms where they are times (semantics 3).
const (
	minDuration = 1000
	maxDuration = 400 * 24 * 60 * 60 * 1000
	maxCap      = 10_000 // limits.max.count
	maxNameLen  = 256    // bytes of a name, an event type or a path
)

var idPattern = regexp.MustCompile(`^[a-z0-9_.-]{1,64}$`)

// reading is a campaign file half read: what it says so far and what is wrong with it.
type reading struct {
	*source.Reader
	c *Campaign
}

// Parse reads one campaign file, YAML or JSON (semantics 1.1). It reports every mistake at once; the campaign is nil
// where one of them is an error. It never panics.
func Parse(file string, src []byte) (*Campaign, []Problem) {
	root, reader := source.Parse(file, src)
	if root == nil {
		return nil, reader.Problems()
	}
	r := &reading{Reader: reader, c: &Campaign{}}
	r.campaign(root)
	if !r.Failed() {
		r.seal(root)
	}
	if r.Failed() {
		return nil, r.Problems()
	}
	return r.c, r.Problems()
}

// seal sets what depends on the whole file.
func (r *reading) seal(root *source.Node) {
	r.c.source = root.AppendJSON(nil)
	sum := sha256.Sum256(r.c.source)
	r.c.Revision = hex.EncodeToString(sum[:6])
	r.c.Edition = edition(root)
	r.c.Trigger.Print = fingerprint(&r.c.Trigger, root.Field("trigger"))
	r.c.Webhook.Seal(r.c.about())
}

// edition hashes a campaign without its status: to pause or to drain it is no edit.
func edition(root *source.Node) uint32 {
	rest := *root
	rest.Fields = slices.DeleteFunc(slices.Clone(root.Fields), func(f source.Field) bool { return f.Name == "status" })
	h := fnv.New32a()
	h.Write(rest.AppendJSON(nil))
	return h.Sum32()
}

// JSON is the campaign as canonical JSON, as it is kept on vigil.campaigns; Parse reads it back to the same revision.
func (c *Campaign) JSON() []byte { return c.source }

func (r *reading) campaign(root *source.Node) {
	const what = "a campaign"
	if !r.Object(root, what, "id", "name", "status", "starts", "ends", "timezone", "trigger", "who", "who_at", "control",
		"shadow", "history", "limits", "quiet_hours", "pending", "data", "webhook") {
		return
	}
	c := r.c
	r.id(r.Require(root, what, "id"))
	if name := root.Field("name"); r.Is(name, source.String, "name") {
		c.Name = name.Text
	}
	c.Status = Status(r.OneOf(root.Field("status"), "status", string(Active), string(Paused), string(Draining), string(Stopped)))
	r.period(root)
	c.Zone = r.zone(root.Field("timezone"), "timezone", time.UTC)
	if who := root.Field("who"); who != nil {
		c.Who = r.filter(who, "who")
	}
	c.WhoAt = map[string]WhoAt{"both": Both, "trigger": AtTrigger, "fire": AtFire}[r.OneOf(root.Field("who_at"), "who_at", "both", "trigger", "fire")]
	r.control(root.Field("control"))
	c.Shadow = r.Bool(root.Field("shadow"), "shadow")
	c.History = r.duration(root.Field("history"), "history")
	c.Edited = r.OneOf(root.Field("pending"), "pending", "keep", "cancel") == "cancel"
	r.limits(root.Field("limits"))
	r.quiet(root.Field("quiet_hours"))
	r.trigger(r.Require(root, what, "trigger"), root.Field("who"))
	r.webhook(r.Require(root, what, "webhook"), root.Field("data"))
	r.warn(root)
}

func (r *reading) id(n *source.Node) {
	if r.c.ID = r.Text(n, "id"); r.c.ID == "" {
		return
	}
	if !idPattern.MatchString(n.Text) {
		r.Fail(n, "bad_id", "id must be 1 to 64 of a-z 0-9 - _ . , got %q", n.Text)
	}
}

func (r *reading) period(root *source.Node) {
	r.c.Starts = r.instant(root.Field("starts"), "starts", math.MinInt64)
	r.c.Ends = r.instant(root.Field("ends"), "ends", math.MaxInt64)
	if r.c.Starts >= r.c.Ends {
		r.Fail(root.Field("ends"), "out_of_range", "ends must be after starts")
	}
}

// instant reads an RFC 3339 time in ms; missing says what stands for none.
func (r *reading) instant(n *source.Node, what string, missing int64) int64 {
	if !r.Is(n, source.String, what) {
		return missing
	}
	t, err := time.Parse(time.RFC3339, n.Text)
	if err != nil {
		r.Fail(n, "bad_time", "%s must be a time such as 2026-11-01T00:00:00Z, got %q", what, n.Text)
		return missing
	}
	return t.UnixMilli()
}

func (r *reading) zone(n *source.Node, what string, missing *time.Location) *time.Location {
	if !r.Is(n, source.String, what) {
		return missing
	}
	zone, ok := Zone(n.Text)
	if !ok {
		r.Fail(n, "bad_zone", "%s must be an IANA zone such as Europe/Paris, got %q", what, n.Text)
		return missing
	}
	return zone
}

// duration reads a duration of 1 s to 400 d in ms; 0 where there is none.
func (r *reading) duration(n *source.Node, what string) int64 {
	if n != nil && n.Kind == source.Number {
		r.Fail(n, "bad_duration", "%s must be a duration such as 30m, not a number\ngive it a unit: %ss or %sm", what, n.Text, n.Text)
		return 0
	}
	if !r.Is(n, source.String, what) {
		return 0
	}
	ms, err := ParseDuration(n.Text)
	if err != nil {
		r.Fail(n, "bad_duration", "%s: %v", what, err)
		return 0
	}
	if ms < minDuration || ms > maxDuration {
		r.Fail(n, "out_of_range", "%s must be from 1s to 400d, got %s", what, n.Text)
		return 0
	}
	return ms
}

// path reads the path of a property (semantics 2.5).
func (r *reading) path(n *source.Node, what string) event.Path {
	text := r.Text(n, what)
	if len(text) > maxNameLen {
		r.Fail(n, "out_of_range", "%s is longer than %d bytes", what, maxNameLen)
	}
	return event.Path(text)
}

func (r *reading) clock(n *source.Node, what string) int {
	if !r.Is(n, source.String, what) {
		return -1
	}
	ms, err := ParseClock(n.Text)
	if err != nil {
		r.Fail(n, "bad_clock", "%s: %v", what, err)
		return -1
	}
	return ms
}

// control reads a percentage of at most two decimals into hundredths, exactly.
func (r *reading) control(n *source.Node) {
	if !r.Is(n, source.Number, "control") {
		return
	}
	whole, fraction, _ := strings.Cut(n.Text, ".")
	hundredths, err := strconv.Atoi(whole + (fraction + "00")[:max(2, len(fraction))])
	if err != nil || len(fraction) > 2 || hundredths < 0 || hundredths > 10_000 {
		r.Fail(n, "out_of_range", "control must be a percentage from 0 to 100 with at most two decimals, got %s", n.Text)
		return
	}
	r.c.Control = hundredths
}

func (r *reading) limits(n *source.Node) {
	if !r.Object(n, "limits", "gap", "max") {
		return
	}
	r.c.Limits.Gap = r.duration(n.Field("gap"), "gap")
	most := n.Field("max")
	if !r.Object(most, "max", "count", "per") {
		return
	}
	r.c.Limits.Count = r.Int(r.Require(most, "max", "count"), "count", 1, maxCap)
	r.c.Limits.Per = r.duration(r.Require(most, "max", "per"), "per")
}

func (r *reading) quiet(n *source.Node) {
	const what = "quiet_hours"
	if !r.Object(n, what, "from", "to", "then", "timezone", "timezone_property") {
		return
	}
	q := &QuietHours{Zone: r.zone(n.Field("timezone"), "timezone", r.c.Zone)}
	q.From = r.clock(r.Require(n, what, "from"), "from")
	q.To = r.clock(r.Require(n, what, "to"), "to")
	q.Defer = r.OneOf(n.Field("then"), "then", "discard", "defer") == "defer"
	q.ZonePath = r.path(n.Field("timezone_property"), "timezone_property")
	if q.From >= 0 && q.From == q.To {
		r.Fail(n.Field("to"), "out_of_range", "from and to must differ")
	}
	r.c.Quiet = q
}

// step reads a step: a name, or {event, where, count}. A count is refused where it has no meaning.
func (r *reading) step(n *source.Node, what string, counted bool) Step {
	s := Step{Count: 1}
	if n.Kind == source.String {
		s.Event = r.eventType(n, what)
		return s
	}
	if !r.Object(n, what, "event", "where", "count") {
		return s
	}
	s.Event = r.eventType(r.Require(n, what, "event"), "event")
	if where := n.Field("where"); where != nil {
		s.Where = r.filter(where, "where")
	}
	if count := n.Field("count"); count != nil {
		if !counted {
			r.Fail(count, "no_meaning", "count has no meaning in this %s", what)
		}
		s.Count = r.Int(count, "count", 1, 100)
	}
	return s
}

func (r *reading) eventType(n *source.Node, what string) string {
	text := r.Text(n, what)
	if strings.HasPrefix(text, "$") {
		r.Fail(n, "reserved_event", "a step cannot name %q: types that begin with $ are the engine's", text)
	}
	if len(text) > maxNameLen {
		r.Fail(n, "out_of_range", "%s is longer than %d bytes", what, maxNameLen)
	}
	return text
}

// stepRule is how many steps a field takes, and whether they may have a count.
type stepRule struct {
	least, most int
	counted     bool
}

// String is the rule in the words of a problem.
func (s stepRule) String() string {
	if s.most == 1 {
		return "one step"
	}
	return fmt.Sprintf("%d to %d steps", s.least, s.most)
}

// steps reads a step or a list of steps.
func (r *reading) steps(n *source.Node, what string, rule stepRule) []Step {
	if n == nil {
		return nil
	}
	nodes := []*source.Node{n}
	if n.Kind == source.List {
		nodes = n.Items
	}
	if len(nodes) < rule.least || len(nodes) > rule.most {
		r.Fail(n, "step_count", "%s takes %s, got %d", what, rule, len(nodes))
		nodes = nodes[:min(len(nodes), rule.most)]
	}
	steps := make([]Step, 0, len(nodes))
	for _, node := range nodes {
		steps = append(steps, r.step(node, what, rule.counted))
	}
	return steps
}

// filter compiles a `where` or a `who`; every mistake is told at its own place.
func (r *reading) filter(n *source.Node, what string) *Filter {
	if !r.Is(n, source.Object, what) {
		return nil
	}
	f, problems := CompileFilter(plain(n))
	for _, p := range problems {
		r.Fail(follow(n, p.Path), "bad_filter", "%s: %s\n%s", what, p.Msg, p.Hint)
	}
	return f
}

// plain is n as the values that CompileFilter reads.
func plain(n *source.Node) any {
	switch n.Kind {
	case source.Bool:
		return n.Text == "true"
	case source.Number:
		return json.Number(n.Text)
	case source.String:
		return n.Text
	case source.List:
		values := make([]any, len(n.Items))
		for i, element := range n.Items {
			values[i] = plain(element)
		}
		return values
	case source.Object:
		members := make([]Member, len(n.Fields))
		for i, f := range n.Fields {
			members[i] = Member{Name: f.Name, Value: plain(f.Value)}
		}
		return members
	default:
		return nil
	}
}

// follow finds the place that names and list positions lead to, as far as they do.
func follow(n *source.Node, path []string) *source.Node {
	place := n
	for _, step := range path {
		if n == nil {
			break
		}
		if i, err := strconv.Atoi(step); n.Kind == source.List && err == nil && i >= 0 && i < len(n.Items) {
			n = n.Items[i]
			place = n
			continue
		}
		i := slices.IndexFunc(n.Fields, func(f source.Field) bool { return f.Name == step })
		if i < 0 {
			break
		}
		place = &source.Node{Line: n.Fields[i].Line, Col: n.Fields[i].Col}
		n = n.Fields[i].Value
	}
	return place
}
