package model

import (
	"encoding/json"
	"slices"
	"strings"

	"vigil/event"
)

// Event is one line of a simulation file (semantics 5); its ts is not yet clamped.
type Event struct {
	User, Type, ID string
	TS, RT         int64
	Props          event.Value
}

// profile is a user's properties, in no order that matters.
type profile struct {
	names  []string
	values []string // as JSON
	parsed event.Value
}

// apply replaces, then removes, properties (semantics 2.6).
func (p *person) apply(props event.Value) {
	if p.profile == nil {
		p.profile = &profile{}
	}
	p.profile.parsed = event.Value{}
	props.Get("set").Each(func(name []byte, v event.Value) {
		p.profile.remove(string(name))
		p.profile.names = append(p.profile.names, string(name))
		p.profile.values = append(p.profile.values, string(v.AppendJSON(nil)))
	})
	for _, v := range props.Get("unset").Items() {
		p.profile.remove(v.Text())
	}
}

func (p *profile) remove(name string) {
	if i := slices.Index(p.names, name); i >= 0 {
		p.names, p.values = slices.Delete(p.names, i, i+1), slices.Delete(p.values, i, i+1)
	}
}

// value is the profile as a filter sees it; that of an unknown user is empty.
func (p *person) value() event.Value {
	var members []string
	if p.profile != nil {
		if p.profile.parsed.Present() {
			return p.profile.parsed
		}
		for i, name := range p.profile.names {
			quoted, _ := json.Marshal(name)
			members = append(members, string(quoted)+":"+p.profile.values[i])
		}
	}
	v, err := event.ParseValue([]byte("{" + strings.Join(members, ",") + "}"))
	if err != nil {
		panic(err) // it was valid JSON when it came in
	}
	if p.profile != nil {
		p.profile.parsed = v
	}
	return v
}
