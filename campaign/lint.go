package campaign

import "vigil/source"

// warn tells of what is allowed but can hardly be meant, or costs more than it seems.
func (r *reading) warn(root *source.Node) {
	c, trigger := r.c, root.Field("trigger")
	if key := trigger.Field("key"); key != nil {
		r.warnKey(trigger, key)
	}
	if at := root.Field("who_at"); at != nil && root.Field("who") == nil {
		r.Warn(at, "unused", "who_at does nothing without who")
	}
	if c.Control == 10_000 {
		r.Warn(root.Field("control"), "never_fires", "control: 100 holds out every user")
	}
	if c.Limits.Count > 1 && c.Limits.Gap >= c.Limits.Per && c.Limits.Per > 0 {
		r.Warn(root.Field("limits").Field("max"), "unreachable", "max can never be reached with a gap as long as per")
	}
	r.warnDate(trigger)
}

// warnKey tells of state that grows with every key for as long as the campaign exists (semantics 2.11).
func (r *reading) warnKey(trigger, key *source.Node) {
	t := &r.c.Trigger
	counted := t.Shape == Single && len(t.Did) == 1 && t.Did[0].Count > 1
	if t.First || counted {
		r.Warn(key, "unbounded_state", "with first or count, every key is remembered as long as the campaign exists\nleave out the key, or bound a count with within")
	}
}

// warnDate tells of dates without a time of day; the property's own form cannot be known here (semantics 3.5).
func (r *reading) warnDate(trigger *source.Node) {
	d := r.c.Trigger.Date
	property := trigger.Field("property")
	if d == nil || d.At >= 0 || len(d.Offsets) == 0 || property == nil {
		return
	}
	for _, o := range d.Offsets {
		if o.Days == 0 || o.Millis != 0 {
			return
		}
	}
	r.Warn(property, "no_time_of_day", "a property that holds a date only fires at midnight\nstate at: \"09:00\"")
}
