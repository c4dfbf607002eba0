package body

import (
	"vigil/event"
	"vigil/template"
)

// vars are the variables of one fire. JSON is parsed at once, so that what is none is an error of the fire, and turned
// into values where an output wants them.
type vars struct {
	*Fire
	about   *About
	profile event.Value
	anchor  event.Value   // its properties
	events  []event.Value // theirs
	uses    map[string]bool
}

// scope is what the templates of w are rendered with.
func (w *Webhook) scope(f *Fire) (*template.Scope, error) {
	v, err := w.vars(f)
	if err != nil {
		return nil, err
	}
	return template.NewScope(template.Vars{All: v.all, Find: v.find}, f.At, w.about.Zone), nil
}

// vars prepares the variables that the templates speak of; the others are not read.
func (w *Webhook) vars(f *Fire) (*vars, error) {
	v := &vars{Fire: f, about: &w.about, uses: w.uses}
	var err error
	if w.uses["profile"] {
		if v.profile, err = event.ParseValue(object(f.Profile)); err != nil {
			return nil, &template.Error{Where: "profile", Err: err}
		}
	}
	if w.uses["anchor"] && f.Anchor != nil {
		if v.anchor, err = event.ParseValue(object(f.Anchor.Props)); err != nil {
			return nil, &template.Error{Where: "anchor", Err: err}
		}
	}
	if w.uses["events"] {
		v.events = make([]event.Value, len(f.Events))
		for i, e := range f.Events {
			if v.events[i], err = event.ParseValue(object(e.Props)); err != nil {
				return nil, &template.Error{Where: "events", Err: err}
			}
		}
	}
	return v, nil
}

// all are the variables as the expression library takes them.
func (v *vars) all() map[string]any {
	all := map[string]any{
		"user": v.User,
		"key":  v.Key,
		"fire": map[string]any{
			"id": v.FireID, "fire_id": v.FireID, "run": v.Run, "slot": v.Slot, "at": rfc3339(v.At), "late_by_ms": template.Integer(v.LateBy),
		},
		"campaign": map[string]any{
			"id": v.about.ID, "name": v.about.Name, "revision": v.about.Revision, "type": v.about.Type,
		},
	}
	if v.uses["profile"] {
		all["profile"] = template.FromJSON(v.profile)
	}
	if v.anchor.Kind() != event.Missing {
		all["anchor"] = snapshot(v.Anchor, v.anchor)
	}
	if v.uses["events"] {
		events := make([]any, len(v.events))
		for i, properties := range v.events {
			events[i] = snapshot(v.Events[i], properties)
		}
		all["events"] = events
	}
	return all
}

func snapshot(e *event.Snapshot, properties event.Value) any {
	return map[string]any{"id": e.ID, "type": e.Type, "time": rfc3339(e.TS), "properties": template.FromJSON(properties)}
}

// find is the variable at a path of plain names, as all has it. What is not found here may still mean something to the
// library: the size of a list, say.
func (v *vars) find(path []string) (any, bool) {
	root, rest := path[0], path[1:]
	switch {
	case root == "user" && len(rest) == 0:
		return v.User, true
	case root == "key" && len(rest) == 0:
		return v.Key, true
	case root == "profile":
		return member(v.profile, rest)
	case root == "anchor" && len(rest) > 1 && rest[0] == "properties":
		return member(v.anchor, rest[1:])
	case root == "anchor" && v.anchor.Kind() != event.Missing && len(rest) == 1:
		return snapshotField(v.Anchor, rest[0])
	case root == "fire" && len(rest) == 1:
		return v.fireField(rest[0])
	case root == "campaign" && len(rest) == 1:
		return v.campaignField(rest[0])
	}
	return nil, false
}

func (v *vars) fireField(name string) (any, bool) {
	switch name {
	case "id", "fire_id":
		return v.FireID, true
	case "run":
		return v.Run, true
	case "slot":
		return v.Slot, true
	case "at":
		return rfc3339(v.At), true
	case "late_by_ms":
		return template.Integer(v.LateBy), true
	}
	return nil, false
}

func (v *vars) campaignField(name string) (any, bool) {
	switch name {
	case "id":
		return v.about.ID, true
	case "name":
		return v.about.Name, true
	case "revision":
		return v.about.Revision, true
	case "type":
		return v.about.Type, true
	}
	return nil, false
}

func snapshotField(e *event.Snapshot, name string) (any, bool) {
	switch name {
	case "id":
		return e.ID, true
	case "type":
		return e.Type, true
	case "time":
		return rfc3339(e.TS), true
	}
	return nil, false
}

// member is what lies at names below v: nothing where an object lacks a name. It is false where that is for the library
// to say: size of an object, and names below anything else.
func member(v event.Value, names []string) (any, bool) {
	for _, name := range names {
		inner := v.Member(name)
		if inner.Kind() == event.Missing {
			return nil, v.Kind() == event.Object && name != "size"
		}
		v = inner
	}
	return template.FromJSON(v), v.Kind() != event.Missing
}
