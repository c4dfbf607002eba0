package event

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// mode is how a record carries its event.
type mode uint8

const (
	plainEvent mode = iota
	structuredEvent
	binaryEvent
	perhapsStructured // says JSON, in an input of CloudEvents: those that have a specversion are
)

// Names of CloudEvents 1.0 in its Kafka binding.
const (
	contentType     = "content-type"
	headerPrefix    = "ce_"
	typeCloudEvents = "application/cloudevents"
	version         = "1.0"
)

// mode tells how a record carries its event: by its headers where they say so, else as configured (interface 2).
func (d *Decoder) mode(r Record) (mode, error) {
	kind := media(r.header(contentType))
	switch {
	case kind == typeCloudEvents+"+json":
		return structuredEvent, nil
	case strings.HasPrefix(kind, typeCloudEvents):
		return 0, wrong(CodeCloudEvents, "content-type %q is not read, only %s+json", kind, typeCloudEvents)
	case r.header(headerPrefix+"specversion") != nil:
		if kind != "" && !isJSON(kind) {
			return 0, wrong(CodeCloudEvents, "the event's content-type must be JSON, not %q", kind)
		}
		return binaryEvent, nil
	case !d.cloudEvents:
		return plainEvent, nil
	case kind == "":
		return structuredEvent, nil
	default:
		return perhapsStructured, nil
	}
}

func (r Record) header(name string) []byte {
	if r.Header == nil {
		return nil
	}
	value, _ := r.Header(name)
	return value
}

// media is a content-type without its parameters, in small letters.
func media(value []byte) string {
	const maxBytes = 128 // no media type that we know is as long
	name, _, _ := bytes.Cut(value[:min(len(value), maxBytes)], []byte(";"))
	return strings.ToValidUTF8(strings.ToLower(string(bytes.TrimSpace(name))), "?")
}

func isJSON(media string) bool {
	return media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
}

// structuredParts finds the pieces of a CloudEvent in JSON.
func (d *Decoder) structuredParts(r Record, doc Value) (parts, error) {
	if v := doc.Get("specversion"); string(v.Bytes()) != version {
		return parts{}, wrong(CodeCloudEvents, "specversion must be %q", version)
	}
	p := parts{userBytes: r.Key, kind: doc.Member("type"), id: doc.Member("id"), time: doc.Member("time")}
	if d.fields.User != "" {
		p.user, p.userBytes = doc.Get(Path(d.fields.User)), nil
	}
	encoded := doc.Member("data_base64")
	p.props = doc.Member("data")
	if !encoded.Present() {
		return p, nil
	}
	if p.props.Present() {
		return parts{}, wrong(CodeCloudEvents, "an event has data or data_base64, not both")
	}
	if kind := media(doc.Member("datacontenttype").Bytes()); kind != "" && !isJSON(kind) {
		return parts{}, wrong(CodeCloudEvents, "the event's datacontenttype must be JSON, not %q", kind)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded.Text())
	if err != nil || encoded.Kind() != String {
		return parts{}, wrong(CodeCloudEvents, "data_base64 is not base64")
	}
	p.props, err = readDocument(&d.inner, raw)
	return p, err
}

// binaryParts finds the pieces of a CloudEvent whose attributes are headers and whose data are the value.
func (d *Decoder) binaryParts(r Record) (p parts, err error) {
	if v := r.header(headerPrefix + "specversion"); string(v) != version {
		return parts{}, wrong(CodeCloudEvents, "ce_specversion must be %q", version)
	}
	p = parts{userBytes: r.Key, kind: d.attribute(r, "type"), id: d.attribute(r, "id"), time: d.attribute(r, "time")}
	if len(r.Value) > 0 {
		if p.props, err = readDocument(&d.inner, r.Value); err != nil {
			return parts{}, err
		}
	}
	if name := d.fields.User; name != "" {
		p.user, p.userBytes = d.attribute(r, name), nil
		if inside, ok := strings.CutPrefix(name, "data."); ok {
			p.user = p.props.Get(Path(inside))
		}
	}
	return p, nil
}

// attribute is the value of a header; one that is no text, because it is not UTF-8, is a list and refused as such.
func (d *Decoder) attribute(r Record, name string) Value {
	value := r.header(headerPrefix + name)
	switch {
	case value == nil:
		return Value{}
	case !utf8.Valid(value):
		return Value{&document{text: []byte("[]"), nodes: []node{{kind: List, end: 2, next: 1}}}, 0}
	}
	return Value{&document{text: value, nodes: []node{{kind: String, end: uint32(len(value)), next: 1}}}, 0}
}
