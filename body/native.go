package body

import (
	"strconv"

	"vigil/event"
	"vigil/source"
	"vigil/template"
)

// native writes the envelope of semantics 4. Properties and profile are the bytes that came in.
func (w *Webhook) native(f *Fire, s *template.Scope) ([]byte, error) {
	b := make([]byte, 0, 1024)
	b = field(append(b, '{'), "fire_id", f.FireID)
	b = field(append(b, ','), "campaign", w.about.ID)
	b = field(append(b, ','), "revision", w.about.Revision)
	b = field(append(b, ','), "user", f.User)
	b = field(append(b, ','), "key", f.Key)
	b = field(append(b, ','), "at", rfc3339(f.At))
	b = strconv.AppendInt(append(b, `,"late_by_ms":`...), f.LateBy, 10)
	b = field(append(b, `,"trigger":{`...), "type", w.about.Type)
	b = field(append(b, ','), "slot", f.Slot)
	b = appendEvent(append(b, `,"anchor":`...), f.Anchor)
	b = append(b, `,"events":[`...)
	for i, e := range f.Events {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendEvent(b, e)
	}
	b = append(append(b, `]},"profile":`...), object(f.Profile)...)
	b, err := w.appendData(append(b, `,"data":`...), s)
	return append(b, '}'), err
}

// field writes a member with a text.
func field(b []byte, name, text string) []byte {
	return source.AppendString(append(source.AppendString(b, name), ':'), text)
}

func appendEvent(b []byte, e *event.Snapshot) []byte {
	if e == nil {
		return append(b, "null"...)
	}
	b = field(append(b, '{'), "id", e.ID)
	b = field(append(b, ','), "type", e.Type)
	b = field(append(b, ','), "time", rfc3339(e.TS))
	b = append(append(b, `,"properties":`...), object(e.Props)...)
	return append(b, '}')
}

func (w *Webhook) appendData(b []byte, s *template.Scope) ([]byte, error) {
	if w.data == nil {
		return append(b, "{}"...), nil
	}
	return w.data.AppendJSON(b, s)
}

// lifted are the members of a profile that CleverTap shows beside profileData, by their names there, in its order around
// identity.
var lifted = []string{"email", "objectId", "push_token"}

// cleverTap writes the body that CleverTap documents (docs/decisions/0002): one profile a fire.
func (w *Webhook) cleverTap(f *Fire, s *template.Scope) ([]byte, error) {
	b := append([]byte{'{'}, `"targetId":`...)
	b, err := w.appendData(append(w.appendTarget(b), `,"key_values":`...), s)
	if err != nil {
		return nil, err
	}
	profile, err := event.ParseValue(object(f.Profile))
	if err != nil {
		return nil, &template.Error{Where: "profile", Err: err}
	}
	known := map[string]string{}
	for _, name := range lifted {
		if v := profile.Member(name); v.Kind() == event.String {
			known[name] = v.Text()
		}
	}
	b = append(b, `,"profiles":[{`...)
	if email, ok := known["email"]; ok {
		b = append(field(b, "email", email), ',')
	}
	b = field(b, "identity", f.User)
	if id, ok := known["objectId"]; ok {
		b = field(append(b, ','), "objectId", id)
	}
	if b, err = appendProfile(append(b, `,"profileData":`...), object(f.Profile), known); err != nil {
		return nil, &template.Error{Where: "profile", Err: err}
	}
	if f.Anchor != nil {
		b = append(append(b, `,"event_properties":`...), object(f.Anchor.Props)...)
	}
	if token, ok := known["push_token"]; ok {
		b = field(append(b, ','), "push_token", token)
	}
	return append(b, "}]}"...), nil
}

// appendTarget writes the campaign's id: as a number where it is one, as CleverTap's are, else as a text.
func (w *Webhook) appendTarget(b []byte) []byte {
	id := w.about.ID
	if n, err := strconv.ParseInt(id, 10, 64); err == nil && strconv.FormatInt(n, 10) == id && n < 1<<53 {
		return append(b, id...)
	}
	return source.AppendString(b, id)
}

// appendProfile writes a profile without the members that stand beside it: its own bytes where there are none.
func appendProfile(b, profile []byte, without map[string]string) ([]byte, error) {
	if len(without) == 0 {
		return append(b, profile...), nil
	}
	rest, err := template.Value(profile)
	if err != nil {
		return nil, err
	}
	members, ok := rest.(map[string]any)
	for name := range without {
		delete(members, name)
	}
	if !ok { // impossible: what stands beside it was a member of it
		return append(b, profile...), nil
	}
	return template.AppendValue(b, members), nil
}
