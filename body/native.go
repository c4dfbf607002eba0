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

// cleverTap writes the body that a receiver of CleverTap webhooks knows (docs/decisions/0002): one profile a fire, with
// the profile's identity, its well-known fields, all of it as profileData, and the anchor's properties.
func (w *Webhook) cleverTap(f *Fire, s *template.Scope) ([]byte, error) {
	b := field([]byte{'{'}, "targetId", w.about.ID)
	b, err := w.appendData(append(b, `,"key_values":`...), s)
	if err != nil {
		return nil, err
	}
	b = field(append(b, `,"profiles":[{`...), "identity", f.User)
	profile, err := event.ParseValue(object(f.Profile))
	if err != nil {
		return nil, &template.Error{Where: "profile", Err: err}
	}
	for _, name := range []string{"name", "email", "phone"} {
		if v := profile.Get(event.Path(name)); v.Kind() == event.String {
			b = field(append(b, ','), name, v.Text())
		}
	}
	b = append(append(b, `,"profileData":`...), object(f.Profile)...)
	if f.Anchor != nil {
		b = field(append(b, ','), "event_name", f.Anchor.Type)
		b = append(append(b, `,"event_properties":`...), object(f.Anchor.Props)...)
	}
	return append(b, "}]}"...), nil
}
