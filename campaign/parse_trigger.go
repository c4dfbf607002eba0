package campaign

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"vigil/source"
)

// The trigger types of semantics 3, as written.
const (
	typeSingle   = "single_action"
	typeActions  = "actions"
	typeAbsence  = "inaction_within_time"
	typeInaction = "inaction"
	typeDate     = "date_time_property"
	typeProfile  = "actions_with_user_properties"
)

// Limits of lists in a trigger; semantics 3 states those of `did`.
const (
	maxDid     = 10
	maxDidNot  = 20
	maxOffsets = 20
)

var triggerFields = []string{
	"type", "key", "did", "did_not", "within", "occurrence", "delay", "match", "on_repeat", "evaluate", "on", "property",
	"offsets", "at", "timezone", "timezone_property", "cancel_on", "past",
}

func (r *reading) trigger(n, who *source.Node) {
	if !r.Object(n, "a trigger", triggerFields...) {
		return
	}
	t := &r.c.Trigger
	t.Key = r.path(n.Field("key"), "key")
	kind := r.Require(n, "a trigger", "type")
	if kind == nil || kind.Kind != source.String {
		r.Is(kind, source.String, "type")
		return
	}
	t.Type = kind.Text
	switch t.Type {
	case typeSingle:
		r.single(n)
	case typeActions:
		r.actions(n)
	case typeAbsence:
		r.absence(n)
	case typeInaction:
		r.inaction(n)
	case typeDate:
		r.date(n)
	case typeProfile:
		r.withProfile(n, who)
	default:
		r.OneOf(kind, "type", typeSingle, typeActions, typeAbsence, typeInaction, typeDate, typeProfile)
	}
}

// takes refuses fields of other shapes; type and key are always taken, reason says what the others go with.
func (r *reading) takes(n *source.Node, reason string, names ...string) {
	for _, f := range n.Fields {
		known := f.Name == "type" || f.Name == "key" || slices.Contains(names, f.Name)
		if !known && slices.Contains(triggerFields, f.Name) {
			r.Fail(&source.Node{Line: f.Line, Col: f.Col}, "no_meaning", "%q has no meaning in %s\nit takes %s", f.Name, reason,
				strings.Join(names, ", "))
		}
	}
}

// single reads 3.1; with count and within it is a set of one step, which occurrence and delay go with as well.
func (r *reading) single(n *source.Node) {
	t := &r.c.Trigger
	t.Shape = Single
	t.Did = r.steps(r.Require(n, "this trigger", "did"), "did", stepRule{1, 1, true})
	switch within := n.Field("within"); {
	case within == nil:
	case stepNode(n.Field("did")).Field("count") == nil:
		r.Fail(within, "no_meaning", "within goes with a count in the step\nwrite did: {event: NAME, count: N}")
	default:
		t.Shape = Set
		t.Within = r.duration(within, "within")
	}
	r.takes(n, "a single action", "did", "occurrence", "delay", "within")
	t.First = r.OneOf(n.Field("occurrence"), "occurrence", "every", "first") == "first"
	t.Delay = r.duration(n.Field("delay"), "delay")
}

// stepNode is the one step of a field that takes one.
func stepNode(n *source.Node) *source.Node {
	if n != nil && n.Kind == source.List && len(n.Items) > 0 {
		return n.Items[0]
	}
	return n
}

// actions reads 3.2: a set, any of its steps, or a scheduled evaluation (3.7).
func (r *reading) actions(n *source.Node) {
	t := &r.c.Trigger
	did := r.Require(n, "this trigger", "did")
	if evaluate := n.Field("evaluate"); evaluate != nil {
		r.takes(n, "actions evaluated on a schedule", "did", "evaluate")
		t.Did = r.steps(did, "did", stepRule{2, maxDid, true})
		r.evaluate(n, "schedule")
		return
	}
	r.takes(n, "actions", "did", "within", "match", "evaluate")
	match := r.OneOf(n.Field("match"), "match", "all", "sequence", "any")
	t.Did = r.steps(did, "did", stepRule{2, maxDid, match != "any"})
	t.Sequence = match == "sequence"
	within := n.Field("within")
	if match == "any" {
		t.Shape = Single
		if r.duration(within, "within"); within != nil {
			r.Warn(within, "unused", "within does nothing with match: any")
		}
		return
	}
	t.Shape = Set
	if within == nil {
		r.Fail(n, "missing_field", "actions need \"within\", unless match is any")
	}
	t.Within = r.duration(within, "within")
}

// absence reads 3.3.
func (r *reading) absence(n *source.Node) {
	t := &r.c.Trigger
	r.takes(n, "an inaction within a time", "did", "did_not", "within", "on_repeat")
	t.Shape = Absence
	t.Did = r.steps(r.Require(n, "this trigger", "did"), "did", stepRule{1, 1, false})
	t.DidNot = r.steps(r.Require(n, "this trigger", "did_not"), "did_not", stepRule{1, maxDidNot, false})
	t.Within = r.duration(r.Require(n, "this trigger", "within"), "within")
	repeat := r.OneOf(n.Field("on_repeat"), "on_repeat", "restart", "first", "each")
	t.Repeat = map[string]Repeat{"restart": Restart, "first": FirstOnly, "each": Each}[repeat]
}

// inaction reads 3.4.
func (r *reading) inaction(n *source.Node) {
	t := &r.c.Trigger
	r.takes(n, "an inaction", "did", "did_not", "evaluate")
	r.Require(n, "this trigger", "evaluate")
	r.evaluate(n, "action", "session_end", "schedule")
	t.Did = r.steps(r.Require(n, "this trigger", "did"), "did", stepRule{1, 1, t.Shape == Schedule})
	t.DidNot = r.steps(r.Require(n, "this trigger", "did_not"), "did_not", stepRule{1, maxDidNot, false})
}

// withProfile reads 3.6: one of the other shapes, and an audience.
func (r *reading) withProfile(n, who *source.Node) {
	t := &r.c.Trigger
	if who == nil {
		r.Fail(n, "missing_field", "%s needs \"who\" in the campaign", typeProfile)
	}
	did, didNot, evaluate := n.Field("did"), n.Field("did_not"), n.Field("evaluate")
	several := did != nil && did.Kind == source.List && len(did.Items) != 1
	switch {
	case did == nil && didNot == nil:
		r.Fail(n, "missing_field", "this trigger needs \"did\", \"did_not\" or both")
	case evaluate != nil:
		r.profileEvaluate(n, several)
	case didNot == nil && several:
		r.actions(n)
	case didNot == nil:
		r.single(n)
	case did == nil:
		r.Fail(n, "missing_field", "did_not alone needs evaluate: {on: schedule, ...}")
	case n.Field("within") == nil:
		r.Fail(n, "missing_field", "did and did_not need \"within\" or \"evaluate\"")
	default:
		r.absence(n)
	}
	if t.Shape == 0 { // the shape is unclear; the steps can be read all the same
		r.steps(did, "did", stepRule{1, maxDid, true})
		r.steps(didNot, "did_not", stepRule{1, maxDidNot, false})
	}
}

func (r *reading) profileEvaluate(n *source.Node, several bool) {
	t := &r.c.Trigger
	r.takes(n, "a trigger with evaluate", "did", "did_not", "evaluate")
	did, didNot := n.Field("did"), n.Field("did_not")
	if did == nil || didNot == nil || several {
		r.evaluate(n, "schedule")
	} else {
		r.evaluate(n, "action", "session_end", "schedule")
	}
	t.Did = r.steps(did, "did", stepRule{1, maxDid, t.Shape == Schedule})
	t.DidNot = r.steps(didNot, "did_not", stepRule{1, maxDidNot, false})
	if key := n.Field("key"); did == nil && key != nil {
		r.Fail(key, "no_meaning", "did_not alone takes no key")
	}
}

// evaluate reads the moment at which an absence is judged; on is required and one of the given (3.4, 3.7).
func (r *reading) evaluate(trigger *source.Node, on ...string) {
	n := trigger.Field("evaluate")
	const what = "evaluate"
	if !r.Object(n, what, "on", "lookback", "session_gap", "cron", "timezone", "after_action") {
		return
	}
	moment := r.Require(n, what, "on")
	if moment == nil {
		return
	}
	word := r.OneOf(moment, "on", on...)
	if moment.Text != word {
		return
	}
	t := &r.c.Trigger
	switch word {
	case "action":
		r.evaluateTakes(n, word, "lookback")
		t.Shape = OnAction
		t.Lookback = r.duration(r.Require(n, what, "lookback"), "lookback")
	case "session_end":
		r.evaluateTakes(n, word, "session_gap")
		t.Shape = Session
		t.Gap = r.duration(r.Require(n, what, "session_gap"), "session_gap")
	case "schedule":
		r.evaluateTakes(n, word, "cron", "timezone", "lookback", "after_action")
		r.schedule(trigger, n)
	}
}

func (r *reading) evaluateTakes(n *source.Node, on string, names ...string) {
	for _, f := range n.Fields {
		if f.Name != "on" && !slices.Contains(names, f.Name) {
			r.Fail(&source.Node{Line: f.Line, Col: f.Col}, "no_meaning", "%q has no meaning with on: %s", f.Name, on)
		}
	}
}

func (r *reading) schedule(trigger, n *source.Node) {
	t := &r.c.Trigger
	t.Shape = Schedule
	zone := r.zone(n.Field("timezone"), "timezone", r.c.Zone)
	t.Lookback = r.duration(r.Require(n, "evaluate", "lookback"), "lookback")
	after := n.Field("after_action")
	t.AfterAction = r.Bool(after, "after_action")
	if t.AfterAction && (trigger.Field("did") == nil || trigger.Field("did_not") == nil) {
		r.Fail(after, "no_meaning", "after_action needs both did and did_not")
	}
	expr := r.Require(n, "evaluate", "cron")
	if !r.Is(expr, source.String, "cron") {
		return
	}
	cron, err := ParseCron(expr.Text, zone)
	if err != nil {
		r.Fail(expr, "bad_cron", "cron: %v", err)
	}
	t.Cron = cron
}

// date reads 3.5.
func (r *reading) date(n *source.Node) {
	t := &r.c.Trigger
	r.takes(n, "a date trigger", "on", "property", "offsets", "at", "timezone", "timezone_property", "cancel_on", "past")
	t.Shape = Date
	t.Did = r.steps(r.Require(n, "this trigger", "on"), "on", stepRule{1, 1, false})
	t.DidNot = r.steps(n.Field("cancel_on"), "cancel_on", stepRule{1, maxDidNot, false})
	d := &DateRule{At: -1}
	d.Property = r.path(r.Require(n, "this trigger", "property"), "property")
	d.Offsets = r.offsets(n.Field("offsets"))
	if at := n.Field("at"); at != nil {
		d.At = r.clock(at, "at")
	}
	d.Zone = r.zone(n.Field("timezone"), "timezone", r.c.Zone)
	d.ZonePath = r.path(n.Field("timezone_property"), "timezone_property")
	d.FirePast = r.OneOf(n.Field("past"), "past", "skip", "fire") == "fire"
	t.Date = d
}

func (r *reading) offsets(n *source.Node) []Offset {
	if n == nil {
		return []Offset{{Text: "0s"}}
	}
	if !r.Is(n, source.List, "offsets") {
		return nil
	}
	if len(n.Items) == 0 || len(n.Items) > maxOffsets {
		r.Fail(n, "out_of_range", "offsets takes 1 to %d offsets, got %d", maxOffsets, len(n.Items))
		return nil
	}
	var offsets []Offset
	for _, node := range n.Items {
		if !r.Is(node, source.String, "an offset") {
			continue
		}
		offset, err := ParseOffset(node.Text)
		if err != nil {
			r.Fail(node, "bad_duration", "an offset: %v", err)
			continue
		}
		r.distinct(node, offset, offsets)
		offsets = append(offsets, offset)
	}
	return offsets
}

// distinct refuses an offset beyond 400 d and one that is written twice; two that come to the same are two slots.
func (r *reading) distinct(n *source.Node, offset Offset, others []Offset) {
	total := int64(offset.Days)*24*60*60*1000 + offset.Millis
	if total < -maxDuration || total > maxDuration {
		r.Fail(n, "out_of_range", "an offset must be from -400d to 400d, got %s", n.Text)
	}
	for _, other := range others {
		switch {
		case other.Text == offset.Text: // one slot
			r.Fail(n, "duplicate_offset", "%s is there twice", n.Text)
		case other.Days == offset.Days && other.Millis == offset.Millis:
			r.Warn(n, "duplicate_offset", "%s is the same as %s: both fire", n.Text, other.Text)
		}
	}
}

// fingerprint hashes what gives kept history its meaning: the shape, the steps with their filters, the key and the order.
func fingerprint(t *Trigger, n *source.Node) uint32 {
	h := fnv.New32a()
	fmt.Fprintf(h, "%d %q %t", t.Shape, t.Key, t.Sequence)
	for _, name := range []string{"did", "on", "did_not", "cancel_on"} {
		steps := []*source.Node{n.Field(name)}
		if steps[0] != nil && steps[0].Kind == source.List {
			steps = steps[0].Items
		}
		for _, s := range steps {
			fmt.Fprintf(h, "\n%s ", name)
			h.Write(canonicalStep(s))
		}
	}
	return h.Sum32()
}

// canonicalStep is a step in one of its several spellings: a bare name and a count of 1 say nothing more than the event.
func canonicalStep(n *source.Node) []byte {
	if n == nil {
		return nil
	}
	if n.Kind == source.String {
		return source.AppendString(nil, n.Text)
	}
	out := source.AppendString(nil, n.Field("event").Text)
	if where := n.Field("where"); where != nil && len(where.Fields) > 0 {
		out = where.AppendJSON(append(out, " where "...))
	}
	if count := n.Field("count"); count != nil && count.Text != "1" {
		out = append(append(out, " count "...), count.Text...)
	}
	return out
}
